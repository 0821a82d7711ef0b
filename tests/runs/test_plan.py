"""From settings to a run: completeness, resuming, default directories, the order of errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.openai_server import OpenAIServer
from tpo.config import load_settings, reward_of
from tpo.data import ReadOptions
from tpo.errors import ConfigError, DataError, PolicyError, PolicyRefused, StoreMismatch
from tpo.events import CallRetried, Event, RunEnded
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.calibration import Scale, write_scales
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.default_directory import run_name
from tpo.runs.inputs import QueryRow, SourceInput, as_input, rows_input
from tpo.runs.models import Models, Relay
from tpo.runs.plan import RunPlan
from tpo.store import read_run, read_trajectories
from tpo.types import Messages, Query, Sampling, Scope, user

GIVEN = {"sample_size": 2, "max_iterations": 1}


async def planned(path: Path | None, prompts: Sequence[str] = ("one", "two"), **more: Any) -> RunPlan:
    """A plan over *prompts* with scripted models; *more* are settings."""
    settings = load_settings({**GIVEN, "out": path, **more}, {})
    plan = await RunPlan.resolve(settings, rows_input(prompts))
    return replace(plan, load=lambda events: Models(ScriptedPolicy(), ScriptedReward(), events))


async def done(plan: RunPlan, models: Models | None = None) -> Models:
    """Execute *plan* and return its models."""
    models = models or plan.load_models()
    await plan.run(models)
    return models


async def test_a_run_is_complete_once_every_query_is_finished(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    assert not plan.is_complete()
    broken = ScriptedPolicy(failures={Scope("q1", 0, "sample"): PolicyError("gone")})
    await done(plan, Models(broken, ScriptedReward()))
    assert not plan.is_complete()
    again = ScriptedPolicy()
    await done(plan, Models(again, ScriptedReward()))
    assert plan.is_complete()
    assert {call.scope.query for call in again.calls} == {"q1"}
    assert not replace(plan, fresh=True).is_complete()


async def test_a_query_whose_method_returned_early_is_done(tmp_path: Path) -> None:
    plan = await planned(tmp_path, method="tests.methods.own:Early")
    await done(plan)
    assert [t.stop_reason for t in read_trajectories(tmp_path)] == ["method_ended"] * 2
    assert plan.is_complete()
    assert (await planned(tmp_path, method="tests.methods.own:Early", max_iterations=2)).is_complete()


async def test_queries_whose_first_draw_a_rule_ended_continue_with_more_iterations(tmp_path: Path) -> None:
    draw: dict[str, Any] = {"sample_size": 12, "sample_cost": 0.1}
    script = {"sample": "s", "loss": "l", "gradient": "g", "update": improved("better")}
    for iterations in (0, 1):
        plan = await planned(tmp_path, max_iterations=iterations, **draw)
        assert not plan.is_complete()
        await done(plan, Models(ScriptedPolicy(script), ScriptedReward()))  # type: ignore[arg-type]
        found = list(read_trajectories(tmp_path))
        assert [len(t.steps) for t in found] == [iterations] * 2
        assert [len(t.initial) for t in found] == [4] * 2


async def test_a_complete_run_loads_no_model_and_notes_its_start(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    await done(plan)

    def load(events: Relay) -> Models:
        raise AssertionError("a complete run needs no model")

    await done(replace(plan, load=load))
    assert len(read_run(tmp_path).invocations) == 2


async def test_a_run_that_was_killed_before_its_first_query_is_not_complete(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    await done(plan)
    (tmp_path / "trajectories.jsonl").unlink()
    assert not plan.is_complete()


async def checked(path: Path, *rows: QueryRow, pattern: str | None = None) -> RunPlan:
    """A plan whose reward is ``verify:regex``."""
    options = {} if pattern is None else {"kind_options": {"verify": {"pattern": pattern}}}
    settings = load_settings(
        {**GIVEN, "out": path, "policy": "http://h/v1", "model": "m", "reward": "verify:regex"} | options, {}
    )
    plan = await RunPlan.resolve(settings, rows_input(rows))
    return replace(plan, load=lambda events: Models(ScriptedPolicy(), reward_of(settings), events))


async def test_a_column_that_no_row_has_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with pytest.raises(ConfigError, match=r"verify:regex reads the column 'pattern' .* has none beside") as e:
        (await checked(path, "one", "two")).load_models()
    assert "\n" not in str(e.value)
    with pytest.raises(ConfigError, match="the data has patern"):
        (await checked(path, {"prompt": "one", "patern": "x"})).load_models()
    assert not path.exists()
    assert not (await checked(path, "one", {"prompt": "two", "pattern": "x"})).is_complete()
    assert not (await checked(path, "one", pattern="x")).is_complete()


async def test_a_column_that_a_reward_reads_may_not_change(tmp_path: Path) -> None:
    row, other = {"id": "a", "prompt": "one", "pattern": "x"}, {"id": "b", "prompt": "two", "pattern": "y"}
    await done(await checked(tmp_path, row))
    assert not (await checked(tmp_path, other, row | {"more": 1})).is_complete()
    with pytest.raises(StoreMismatch, match="query 'a': its column 'pattern', which a reward reads"):
        (await checked(tmp_path, other, row | {"pattern": "z"})).is_complete()
    async with (plan := await checked(tmp_path, row)).opened(plan.load_models()) as opened:
        assert opened.directory.columns == ("pattern",)


async def test_a_total_that_is_unknown_is_never_complete(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    await done(plan)
    assert not replace(plan, data=replace(plan.data, total=None)).is_complete()  # type: ignore[type-var]  # a QueryInput


async def test_retries_that_the_models_announce_are_in_the_record(tmp_path: Path) -> None:
    plan = await planned(tmp_path, ["one"])
    models = plan.load_models()

    async def retried(call: Any, _: int) -> None:
        models.events(CallRetried(call.scope, "busy", 0.5))

    heard: list[Event] = []
    await plan.execute(replace(models, policy=ScriptedPolicy(before=retried)), heard.append)
    kept = read_run(tmp_path)
    assert kept.totals["retries"] == {"sample": 2, "loss": 1, "gradient": 1, "update": 2}
    assert sum(isinstance(event, CallRetried) for event in heard) == 6
    assert isinstance(heard[-1], RunEnded)
    models.events(CallRetried(Scope("q0", 0, "sample"), "busy", 0.5))
    assert isinstance(heard[-1], RunEnded)  # a run that has ended listens no more


async def test_models_that_the_plan_loaded_are_closed_and_borrowed_ones_are_not(tmp_path: Path) -> None:
    class Closing(ScriptedPolicy):
        closed = checked = False

        async def check(self) -> None:
            self.checked = True

        async def aclose(self) -> None:
            self.closed = True

    own, other = Closing(), Closing()
    await done(await planned(tmp_path / "a"), Models(own, ScriptedReward()))
    await done(await planned(tmp_path / "b"), Models(other, ScriptedReward(), borrowed=(other,)))
    assert (own.checked, own.closed) == (True, True)
    assert (other.checked, other.closed) == (True, False)


async def test_what_stands_before_the_models_sees_every_call_and_ends_with_the_run(tmp_path: Path) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def wrap(inner: Any, reward: Any) -> Any:
        class Counting:
            async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> Any:
                seen.append(scope.phase)
                async for completion in inner.sample(messages, sampling, scope):
                    yield completion

        yield Counting(), reward
        seen.append("end")

    await done(replace(await planned(tmp_path, ["one"]), wrap=wrap))
    assert seen == ["sample", "loss", "gradient", "update", "end"]


async def test_identity_adds_replaces_and_leaves_out_keys(tmp_path: Path) -> None:
    plan = replace(
        await planned(tmp_path), identity={"benchmark": "xstest", "reward": "mine", "policy_extra": None}
    )
    marks = plan.fingerprint()
    assert (marks["benchmark"], marks["reward"], marks["policy"]) == ("xstest", "mine", "tiny")
    assert "policy_extra" not in marks
    assert marks["weights of policy tiny"]
    await done(plan)
    with pytest.raises(StoreMismatch, match="benchmark"):
        replace(plan, identity={**plan.identity, "benchmark": "other"}).is_complete()


async def test_an_ensembles_scales_are_kept_from_the_run(tmp_path: Path) -> None:
    def ensemble(factor: float) -> Ensemble:
        return Ensemble({"a": ScriptedReward(lambda text: factor * len(text))})

    plan = await planned(tmp_path)
    broken = ScriptedPolicy(failures={Scope("q1", 0, "sample"): PolicyError("gone")})
    first, later = ensemble(1.0), ensemble(3.0)
    await done(plan, Models(broken, first))
    await done(plan, Models(ScriptedPolicy(), later))
    assert await later.scales() == await first.scales()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


async def test_runs_with_other_rewards_have_other_default_directories(folder: Path) -> None:
    one, other = [await planned(None, reward=name) for name in ("tiny", "python:tests.cli.values:length_of")]
    await done(one)
    await done(other)
    assert len({one.path, other.path}) == 2
    assert "python-tests.cli.values-length_of" in other.path.name
    assert one.notices == other.notices == ()


async def test_a_run_under_the_earlier_default_name_is_resumed(folder: Path) -> None:
    plan = await planned(None)
    earlier = plan.path.with_name(run_name(plan.settings, plan.method, plan.data.source))
    await done(replace(plan, path=earlier))
    again = await planned(None)
    assert again.path == earlier
    assert again.is_complete()
    assert "it is resumed there" in again.notices[0]


async def test_another_run_under_the_earlier_default_name_is_left_and_told(folder: Path) -> None:
    other = await planned(None, reward="python:tests.cli.values:length_of")
    earlier = other.path.with_name(run_name(other.settings, other.method, other.data.source))
    await done(replace(other, path=earlier))
    plan = await planned(None)
    assert plan.path != earlier
    assert "holds another run: it is left as it is" in plan.notices[0]
    await done(plan)
    assert not (await planned(None)).notices  # once there is a run under the new name


async def test_a_fresh_run_leaves_the_one_under_the_earlier_default_name(folder: Path) -> None:
    plan = await planned(None)
    earlier = plan.path.with_name(run_name(plan.settings, plan.method, plan.data.source))
    await done(replace(plan, path=earlier))
    again = await RunPlan.resolve(load_settings(GIVEN, {}), rows_input(["one", "two"]), fresh=True)
    assert again.path == plan.path
    assert "left as it is" in again.notices[0]


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"reward": "hf:./no/such/folder"}, ConfigError, "no such directory"),
        ({"policy": "hf:./no/such/folder", "reward": "tiny"}, ConfigError, "no such directory"),
        ({"reward": "python:tests.cli.values:no_such"}, ConfigError, "has no 'no_such'"),
        ({"seed": 8}, StoreMismatch, "seed: 7 there, 8 now"),
    ],
)
async def test_a_model_that_does_not_exist_is_reported_before_a_conflict(
    tmp_path: Path, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    await done(await planned(tmp_path))
    plan = replace(await planned(tmp_path, **more), load=None)
    with pytest.raises(error, match=words):
        plan.load_models()


async def test_a_model_that_a_server_lacks_is_reported_before_a_conflict(tmp_path: Path) -> None:
    def reply(body: dict[str, Any], _: int) -> str:
        if body["model"] != OpenAIServer.model:
            raise web.HTTPNotFound
        return "Hello"

    await done(await planned(tmp_path))
    with OpenAIServer(reply) as server:
        given: dict[str, Any] = {"policy": server.url, "reward": "tiny"}
        with pytest.raises(StoreMismatch, match="policy"):
            replace(await planned(tmp_path, **given), load=None).is_complete()
        with pytest.raises(PolicyRefused, match="has no model 'typo'"):
            replace(await planned(tmp_path, **given, model="typo"), load=None).is_complete()


def test_rows_in_memory_are_queries_with_a_digest_of_them_all() -> None:
    rows: list[QueryRow] = ["one", {"id": "b", "prompt": "two", "topic": "x"}, Query("c", (user("three"),))]
    data = rows_input(rows, limit=2)
    assert [query.id for query in data.queries] == ["q0", "b"]
    assert [query.text for query in data.queries] == ["one", "two"]
    assert data.total == 2
    assert data.digest == rows_input(rows).digest
    assert data.digest != rows_input([*rows[:2], "other"]).digest


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "holds no query"),
        (["a", " "], r"data\[1\]: the query is empty"),
        (["a", 5], r"data\[1\]: a query is a text or an object"),
        ([{"id": "x", "prompt": "a"}, {"id": "x", "prompt": "b"}], r"data\[1\]: query ids must be unique"),
    ],
)
def test_wrong_rows_are_refused_by_their_place(rows: list[Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        rows_input(rows)


def test_a_path_is_read_and_checked_when_it_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"prompt": "one"}\n{"prompt": ""}\n')
    assert as_input(file, ReadOptions(limit=1)).total == 1
    with pytest.raises(DataError, match=r"a\.jsonl:2"):
        _ = SourceInput(str(file)).total


def asked_of(models: Models) -> set[str]:
    """The texts of the queries that *models* sampled."""
    assert isinstance(models.policy, ScriptedPolicy)
    firsts = (call for call in models.policy.calls if call.scope.phase == "sample")
    return {str(call.messages[-1]["content"]) for call in firsts}


@pytest.mark.parametrize(
    ("rows", "new", "ids"),
    [
        (["b", "a"], set(), ["q1", "q0"]),
        (["a", "b", "c"], {"c"}, ["q0", "q1", "q2"]),
        (["new", "a", "b"], {"new"}, ["q2", "q0", "q1"]),
        (["b", "new", "a", "b"], {"new", "b"}, ["q1", "q2", "q0", "q3"]),
    ],
    ids=["reordered", "appended", "inserted", "all and a row that comes twice"],
)
@pytest.mark.parametrize("from_file", [True, False])
async def test_rows_without_ids_continue_a_run_wherever_they_stand(
    rows: list[str], new: set[str], ids: list[str], from_file: bool, tmp_path: Path
) -> None:
    def data(texts: list[str]) -> Any:
        if not from_file:
            return rows_input(texts)
        (tmp_path / "prompts.txt").write_text("".join(f"{text}\n" for text in texts))
        return SourceInput(str(tmp_path / "prompts.txt"))

    plan = await planned(tmp_path / "run")
    await done(replace(plan, data=data(["a", "b"])))
    assert (await done_again(replace(plan, data=data(rows)))) == new
    second = replace(plan, data=data(rows))
    assert [query.id for query in second.queries] == ids
    assert second.is_complete()
    assert sorted(each.query.id for each in read_trajectories(tmp_path / "run")) == sorted(ids)


async def done_again(plan: RunPlan) -> set[str]:
    return asked_of(await done(plan, Models(ScriptedPolicy(), ScriptedReward())))


async def test_a_run_over_changed_data_continues_after_an_interruption(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    await done(replace(plan, data=rows_input(["a", "b"])))
    changed = replace(plan, data=rows_input(["new", "b", "a"]))
    broken = ScriptedPolicy(failures={Scope("q2", 0, "sample"): PolicyError("gone")})
    await done(changed, Models(broken, ScriptedReward()))
    assert not replace(changed).is_complete()
    assert await done_again(replace(changed)) == {"new"}
    assert replace(changed).is_complete()


async def test_a_row_that_was_changed_is_refused_where_it_stands(tmp_path: Path) -> None:
    plan = await planned(tmp_path)
    await done(replace(plan, data=rows_input(["a", "b", "c"])))
    with pytest.raises(StoreMismatch, match="query 'q1': its messages or its reference have changed"):
        replace(plan, data=rows_input(["c", "other", "a", "d"])).is_complete()


async def test_a_check_reward_is_scored_beside_the_reward_and_counts_in_the_fingerprint(
    tmp_path: Path,
) -> None:
    plan = await planned(tmp_path, check_reward="python:tests.cli.values:length_of")
    check = ScriptedReward(lambda text: -len(text))
    await done(plan, Models(ScriptedPolicy(), ScriptedReward(), check=check))
    candidates = [c for trajectory in read_trajectories(tmp_path) for c in trajectory.pool]
    assert len(candidates) == 8
    assert all(c.score is not None and c.score.check == -len(c.text) == -c.reward for c in candidates)
    with pytest.raises(StoreMismatch, match="check_reward"):
        await done(await planned(tmp_path))


async def test_a_run_with_another_tokenizer_of_its_reward_is_refused(tmp_path: Path) -> None:
    given: dict[str, Any] = {"reward": "vllm:http://127.0.0.1:8001#m"}
    await done(await planned(tmp_path, **given, reward_tokenizer="org/a"))
    assert (await planned(tmp_path, **given, reward_tokenizer="org/a")).is_complete()
    for other in ({}, {"reward_tokenizer": "org/b"}):
        with pytest.raises(StoreMismatch, match="reward"):
            (await planned(tmp_path, **given, **other)).is_complete()


async def test_the_content_of_a_check_rewards_rubric_counts_in_the_fingerprint(tmp_path: Path) -> None:
    rubric = tmp_path / "rubric.toml"
    check = f"rubric:{rubric}@http://127.0.0.1:8000#m"
    rubric.write_text('criteria = [{text = "kind"}]', "utf-8")
    await done(await planned(tmp_path / "run", check_reward=check))
    rubric.write_text('criteria = [{text = "unkind"}]', "utf-8")
    with pytest.raises(StoreMismatch, match="check_reward"):
        await done(await planned(tmp_path / "run", check_reward=check))


async def test_an_ensemble_selects_by_its_lower_confidence_bound_and_a_complete_run_needs_none(
    tmp_path: Path,
) -> None:
    rewards = ["python:tests.cli.values:length_of", "python:tests.cli.scores:nothing"]
    plan = await planned(tmp_path, reward=rewards, select="lcb")
    members = {"a": ScriptedReward(), "b": ScriptedReward(lambda text: -len(text))}
    await done(plan, Models(ScriptedPolicy(), Ensemble(members)))
    assert {t.selection for t in read_trajectories(tmp_path)} == {"lcb"}
    assert plan.is_complete()
    await done(plan)
    with pytest.raises(StoreMismatch, match="select"):
        await done(await planned(tmp_path, reward=rewards))


@pytest.mark.parametrize("form", ["judge:#m", "http://a#m"], ids=["by name", "of an earlier version"])
async def test_a_named_judge_may_move_and_its_model_may_not_change(tmp_path: Path, form: str) -> None:
    given: dict[str, Any] = {"select": "tournament", "method": "bon", "sample_size": 1, "max_iterations": 0}

    async def judged(judge: str) -> RunPlan:
        return await planned(tmp_path, select_judge=judge, **given)

    plan = replace(await judged("http://a#m"), identity={"select_judge": form})
    await done(plan, Models(ScriptedPolicy(), ScriptedReward(), are_called=False))
    assert read_run(tmp_path).fingerprint["select_judge"] == form
    for moved in ("http://b#m", "judge:http://a#m"):
        assert (await judged(moved)).is_complete()
    with pytest.raises(StoreMismatch, match="select_judge"):
        (await judged("http://a#other")).is_complete()


async def test_a_shard_needs_the_common_scales_of_an_ensemble(tmp_path: Path) -> None:
    class Fixed(ScriptedReward):
        scale = Scale(0.0, 1.0)

    def models(second: ScriptedReward, calibration: Path | None = None) -> Models:
        members = {"a": Fixed(), "b": second}
        return Models(ScriptedPolicy(), Ensemble(members, calibration=calibration))

    plan, scales = await planned(tmp_path / "run", shard="1/2"), tmp_path / "scales.json"
    with pytest.raises(ConfigError, match=r"--shard: .* --calibration must name a file"):
        await done(plan, models(ScriptedReward(), scales))
    write_scales(scales, {"a": Scale(0.0, 1.0), "b": Scale(1.0, 2.0)})
    await done(plan, models(ScriptedReward(), scales))
    scales.unlink()
    await done(plan, models(ScriptedReward()))  # the record has them
    await done(await planned(tmp_path / "fixed", shard="1/2"), models(Fixed()))


async def test_a_fallback_and_rules_are_those_of_the_settings(tmp_path: Path) -> None:
    plan = await planned(tmp_path, ["one"], fallback="best-of-n", max_iterations=2)
    script = {"sample": "word", "loss": "l", "gradient": "g", "update": "no tags here"}
    await done(plan, Models(ScriptedPolicy(script), ScriptedReward()))  # type: ignore[arg-type]
    (trajectory,) = read_trajectories(tmp_path)
    assert (trajectory.fallback, trajectory.stop_reason) == ("best-of-n", "no_readable_update")
    assert len(trajectory.initial) == 2 + 8  # 8 words of the step, at one word a sample
    assert plan.is_complete()


@pytest.mark.parametrize(
    "options",
    [
        {"check_reward": "tiny"},
        {"check_reward": "python:tests.cli.values:length_of", "gate": ["python:tests.cli.values:length_of"]},
    ],
)
async def test_a_check_reward_that_guides_the_run_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    plan = await planned(tmp_path, **options)
    with pytest.raises(ConfigError, match=r"must not guide|a gate guides"):
        await done(plan)
    assert not (tmp_path / "run.json").exists()
