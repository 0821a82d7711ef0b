"""Names of models, the kinds that parse them, and the entry points of other packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from tpo.config import (
    Settings,
    build_policy,
    load_settings,
    make_method,
    name_model,
    policy_identity,
    policy_short_name,
    policy_spec,
    resolve,
    reward_identity,
    reward_of,
    weights_of,
)
from tpo.entry_points import METHODS, POLICIES, REWARDS, load, names
from tpo.errors import ConfigError
from tpo.experiments.bench.registry import benchmark_names, load_benchmark
from tpo.policies.function import FunctionPolicy
from tpo.registry import parse, usages
from tpo.runs import fingerprint
from tpo.types import Sampling, Scope, user

PAGE = (Path(__file__).parent.parent / "docs" / "library.md").read_text("utf-8")
COUNT = PAGE.partition("## Kinds of your own")[2].partition("```python\n")[2].partition("```")[0]
"""The reward kind that the documentation shows."""

MORE = """
from tpo.methods.catalog import tpo as built_in
from tpo.policies.function import as_policy

@dataclass(frozen=True)
class Parrot(ModelSpec):
    usage = "parrot:TEXT"
    summary = "always says the same"

    def build(self, options):
        return as_policy(lambda messages, sampling: self.value)

def patient(prompts=None, **shape):
    return built_in(prompts, **(shape | {"max_iterations": shape["max_iterations"] + 1}))
"""


@pytest.fixture
def other_package(tmp_path: Path) -> Iterator[Path]:
    """An installed package of somebody else's: one file and its entry points."""
    (tmp_path / "others_kinds.py").write_text(COUNT + MORE)
    info = tmp_path / "others_kinds-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others-kinds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[tpo.rewards]\ncount = others_kinds:Count\nbroken = others_kinds:Nothing\n"
        "[tpo.policies]\nparrot = others_kinds:Parrot\n"
        "[tpo.methods]\npatient = others_kinds:patient\n"
    )
    before = list(sys.path)
    sys.path.insert(0, str(tmp_path))
    yield info
    sys.path[:] = before
    sys.modules.pop("others_kinds", None)


async def test_another_package_adds_a_reward_a_policy_and_a_method(other_package: Path) -> None:
    flags = {"policy": ["parrot:hello you"], "reward": ["count:words"], "method": "patient"}
    settings = load_settings(flags | {"kind_options": {"count": {"factor": 3}}}, {})
    policy = build_policy(settings.policy)
    replies = [text async for text in policy.sample((user("?"),), Sampling(1), Scope("q", 0, "sample"))]
    assert [reply.text for reply in replies] == ["hello you"]
    score = await reward_of(settings).score((user("?"),), replies[0].text, Scope("q", 0, "reward"))
    assert score.value == 6.0
    assert make_method(settings).max_iterations == settings.max_iterations + 1
    assert reward_identity(settings) == {"names": ["count:words"], "options": {"count": {"factor": 3}}}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"reward": ["count:lines"]}, "--reward count:lines: count words or letters"),
        ({"reward": ["counts:words"]}, "count:UNIT"),
        ({"reward": ["broken:x"]}, "importing others_kinds:Nothing of the package others-kinds failed"),
        ({"kind_options": {"count": {"factr": 3}}}, "count: factr: no such option; there are factor"),
        ({"kind_options": {"count": {"factor": "x"}}}, "count: factor: Input should be a valid number"),
        ({"kind_options": {"tiny": {"factor": 1}}}, "tiny has no options of its own"),
        ({"kind_options": {"hf": {}}}, "hf: no policy or reward of this kind is named"),
        ({"kind_options": {"count": {"api_key": "secret"}}}, "api_key would be written"),
        ({"method": "impatient"}, "there are tpo, .*patient"),
        ({"policy": ["parrot:a"], "model": "m"}, "--model is for a server's base URL"),
        ({"policy": ["parrot:a", "parrot:b"]}, "several policies must all be servers' URLs"),
    ],
)
def test_its_mistakes_are_told_like_ours(other_package: Path, flags: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        make_method(load_settings({"reward": ["count:words", "tiny"]} | flags, {}))
    assert "secret" not in str(caught.value)


def test_a_kind_that_two_packages_register_is_refused_only_where_it_is_used(other_package: Path) -> None:
    (other_package / "entry_points.txt").write_text("[tpo.rewards]\njudge = others_kinds:Count\n")
    with pytest.raises(ConfigError, match=r"judge is registered by others-kinds and tpo \(tpo.rewards\)"):
        parse(REWARDS, "judge:http://h", "--reward")
    assert parse(REWARDS, "vllm:http://h", "--reward").kind == "vllm"


def test_the_default_is_the_first_that_a_list_names() -> None:
    assert (names(POLICIES)[0], names(REWARDS)[0], names(METHODS)[0]) == ("tiny", "tiny", "tpo")
    assert usages(POLICIES) == [
        "tiny",
        "hf:ID-OR-PATH",
        "http://HOST:PORT/v1",
        "panel:MODEL,MODEL",
        "python:MODULE:FUNCTION",
    ]


@pytest.mark.parametrize("group", [POLICIES, REWARDS, METHODS])
def test_everything_that_is_registered_can_be_imported(group: str) -> None:
    for name in names(group):
        assert load(group, name, name) is not None


def test_every_benchmark_can_be_imported() -> None:
    assert [load_benchmark(name).name for name in benchmark_names()] == benchmark_names()


@pytest.mark.parametrize(
    ("policy", "model", "identity", "short"),
    [
        (("tiny",), None, "tiny", ""),
        (("hf:org/model",), None, "hf:org/model", "model"),
        (("hf:model/",), None, "hf:model/", "model"),
        (("http://a:1/v1", "http://b:1/v1"), "org/big", "org/big", "big"),
        (("http://a:1/v1",), None, "http://a:1/v1", "a:1"),
        (("python:mine:answer",), None, "python:mine:answer", "python:mine:answer"),
    ],
)
def test_what_a_policy_is_called_in_a_fingerprint_and_in_a_directory(
    policy: tuple[str, ...], model: str | None, identity: str, short: str
) -> None:
    settings = Settings(policy=policy, model=model)
    assert (policy_identity(settings), policy_short_name(settings)) == (identity, short)
    assert policy_spec(policy).urls == tuple(name for name in policy if name.startswith("http"))


@pytest.mark.parametrize("name", ["hf", "tiny:", "tiny:x", "python", "http", ""])
def test_a_prefix_alone_or_too_much_after_it_is_unknown(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--policy {name}: unknown; there are tiny"):
        parse(POLICIES, name, "--policy")


async def test_a_model_in_this_process_is_not_asked_for_its_name() -> None:
    assert await name_model(Settings(), {}) == Settings()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty working directory, and an import path that is put back."""
    before = list(sys.path)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before


async def test_a_function_is_a_policy(here: Path) -> None:
    (here / "answers.py").write_text(
        "def shout(messages, sampling):\n    return messages[-1]['content'].upper()\n"
    )
    policy = build_policy("python:answers:shout")
    assert isinstance(policy, FunctionPolicy)
    replies = [reply async for reply in policy.sample((user("hi"),), Sampling(2), Scope("q", 0, "sample"))]
    assert [reply.text for reply in replies] == ["HI", "HI"]
    for name, words in (
        ("answers", "write python:MODULE"),
        ("answers:no", "has no 'no'"),
        ("sys:path", "not a f"),
    ):
        with pytest.raises(ConfigError, match=words):
            build_policy(f"python:{name}")


@pytest.mark.parametrize("option", ["policy", "reward"])
def test_an_edited_function_is_another_run(here: Path, option: str) -> None:
    values: dict[str, Any] = {option: ("python:mine:f",)}
    settings = Settings(**values)
    seen = []
    for body in ("1.0", "2.0"):
        (here / "mine.py").write_text(f"def f(*_):\n    return {body}\n")
        seen.append(weights_of(settings)[f"source of {option} python:mine:f"])
    assert None not in seen
    assert seen[0] != seen[1]


def test_an_edited_check_reward_is_another_run_and_without_one_nothing_is_added(here: Path) -> None:
    settings, seen = Settings(check_reward="python:mine:f"), []
    for body in ("1.0", "2.0"):
        (here / "mine.py").write_text(f"def f(*_):\n    return {body}\n")
        seen.append(weights_of(settings)["source of check reward python:mine:f"])
    assert None not in seen
    assert seen[0] != seen[1]
    assert not any("check" in name for name in weights_of(Settings()))


def test_of_a_package_every_file_counts_and_none_is_imported(here: Path) -> None:
    settings = Settings(reward=("python:pack:f",))
    (here / "pack").mkdir()
    (here / "pack" / "__init__.py").write_text("raise RuntimeError('imported')")
    seen = []
    for body in ("1", "2"):
        (here / "pack" / "part.py").write_text(body)
        seen.append(weights_of(settings)["source of reward python:pack:f"])
    assert seen[0] != seen[1]


def test_an_edited_method_is_another_run(here: Path) -> None:
    body = "from tpo import Tpo\n\n\nclass {}(Tpo):\n    pass\n"
    seen = []
    for name in ("Mine", "Other"):
        (here / "my_method.py").write_text(body.format("Mine") + f"# {name}\n")
        method = load(METHODS, "my_method:Mine", "--method")(name="mine")
        seen.append(fingerprint(method, seed=7, data=None).get("source of method"))
    assert None not in seen
    assert seen[0] != seen[1]
    assert "source of method" not in fingerprint(make_method(Settings()), seed=7, data=None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"reward": ("python:nowhere:f",)}, "no module 'nowhere'"),
        ({"policy": ("python:math:nothing",)}, "has no 'nothing'"),
        ({"policy": ("hf:./nowhere",)}, "no such directory"),
        ({"reward": ("hf:/nowhere/at/all",)}, "no such directory"),
        ({"reward": ("judge:http://h",), "rubric": Path("nowhere.txt")}, "--rubric nowhere.txt"),
        ({"method": "nope"}, "--method nope: unknown"),
    ],
)
def test_what_is_not_there_is_told_without_loading_a_model(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve(Settings(**values))


def test_what_may_be_there_is_not_looked_for() -> None:
    resolve(Settings(policy=("http://127.0.0.1:1/v1",), reward=("hf:org/model", "vllm:http://127.0.0.1:1")))
