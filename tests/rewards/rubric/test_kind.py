"""``--reward rubric:FILE@URL``: its name, its identity, and a run with criteria from the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rewards.decisions.decision_server import DecisionServer
from tests.rewards.rubric.test_reward import scripted
from tpo import Optimizer, ScriptedPolicy, load_reward
from tpo.entry_points import REWARDS
from tpo.errors import ConfigError
from tpo.methods.catalog import bon
from tpo.registry import ModelOptions, ModelSpec, parse
from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion
from tpo.rewards.verify import VerifierReward
from tpo.rewards.verify.text_checks import RegexChecks
from tpo.runs.identity import identity_of
from tpo.types import Query, user

URL = "http://127.0.0.1:8000"


def rubric_in(folder: Path, text: str = 'criteria = [{text = "kind"}]') -> Path:
    path = folder / "rubric@home.toml"
    path.write_text(text, "utf-8")
    return path


def spec(path: Path, rest: str = "") -> ModelSpec[object]:
    return parse(REWARDS, f"rubric:{path}@{URL}{rest}", "--reward")


def test_the_name_holds_a_file_servers_and_a_model(tmp_path: Path) -> None:
    found = spec(rubric_in(tmp_path), ",http://127.0.0.1:8001#chat")
    assert found.urls == (URL, "http://127.0.0.1:8001")
    assert found.model == "chat"


@pytest.mark.parametrize("name", ["rubric:", "rubric:r.toml", f"rubric:@{URL}", "rubric:r.toml@localhost"])
def test_a_name_without_a_file_or_a_server_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="write rubric:FILE@URL"):
        parse(REWARDS, name, "--reward")


def test_a_url_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(REWARDS, "rubric:r.toml@http://me:secret@host", "--reward")
    assert "secret" not in str(caught.value)


def test_a_faulty_rubric_is_refused_before_the_run(tmp_path: Path) -> None:
    path = rubric_in(tmp_path, 'criteria = []\nclumn = "x"')
    with pytest.raises(ConfigError, match=r"line 2: unknown key 'clumn'"):
        spec(path).resolve(ModelOptions())


def test_the_rubric_counts_by_its_content_and_a_named_model_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here, there = rubric_in(tmp_path), rubric_in(tmp_path / "other")
    options = ModelOptions()
    assert spec(here, "#chat").identity(options) == spec(there, "#chat").identity(options) == "rubric:#chat"
    before = spec(here).details(options)
    assert before == spec(there).details(options)
    rubric_in(tmp_path, 'criteria = [{text = "unkind"}]')
    assert spec(here).details(options) != before


async def test_a_run_scores_by_the_criteria_of_its_rows(tmp_path: Path) -> None:
    path = rubric_in(tmp_path, 'column = "rubrics"')
    query = Query("q", (user("Name a fruit."),), metadata={"rubrics": [{"criterion": "kind", "points": 2}]})
    with DecisionServer(scripted) as server:
        reward = load_reward(f"rubric:{path}@{server.url}")
        trajectory = await Optimizer(
            ScriptedPolicy(lambda *_: "A pear."), reward, bon(sample_size=1)
        ).optimize(query)
    score = trajectory.initial[0].score
    assert score is not None
    assert score.criteria == {"kind": pytest.approx(0.9)}


def test_in_python_a_reward_is_told_from_others_by_what_it_asks() -> None:
    def identity(text: str, **options: str) -> str:
        return identity_of(RubricReward(URL, [Criterion(text, text)], **options))

    found = [identity("kind"), identity("kind"), identity("true"), identity("kind", model="chat")]
    assert len(set(found)) == 3
    patterns = [identity_of(VerifierReward(RegexChecks(each), "verify:regex")) for each in ("a", "a", "b")]
    assert len(set(patterns)) == 2
