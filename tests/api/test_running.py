"""``tpo.run`` and ``tpo.arun``: from Python what the command does."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

import tpo
from tests.cli.values import length_of
from tests.openai_server import OpenAIServer
from tpo.config import load_settings, make_method
from tpo.errors import ConfigError, DataError, PolicyError, RewardRefused, StoreMismatch
from tpo.events import Event, QueryEnded
from tpo.methods.catalog import bon
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.ensemble import Ensemble
from tpo.runs.identity import identity_of
from tpo.types import Message, Messages, Sampling, Scope

SMALL: dict[str, Any] = {"sample_size": 2, "max_iterations": 1}
QUESTIONS: list[str | dict[str, str]] = ["one", {"id": "b", "prompt": "two"}]


def say(messages: list[Message], sampling: Sampling) -> str:
    """A policy that repeats the question, longer when it is asked to improve."""
    asked = str(messages[-1]["content"])
    return "<improved_response>much longer</improved_response>" if len(asked) > 50 else f"say {asked}"


def test_functions_over_queries_in_memory_make_a_run_that_resumes(tmp_path: Path) -> None:
    calls = 0

    def counted(messages: list[Message], sampling: Sampling) -> str:
        nonlocal calls
        calls += 1
        return say(messages, sampling)

    found = tpo.run(QUESTIONS, policy=counted, reward=length_of, out=tmp_path / "out", **SMALL)
    assert {t.query.id: t.best.text for t in found.trajectories() if t.best} == {
        "q0": "much longer",
        "b": "much longer",
    }
    assert (found.summary.finished, found.failed, calls) == (2, {}, 2 * (2 + 2 + 2))
    again = tpo.run(QUESTIONS, policy=counted, reward=length_of, out=tmp_path / "out", **SMALL)
    assert (again.summary.finished, calls) == (2, 12)
    kept = json.loads((tmp_path / "out" / "run.json").read_text())
    assert kept["configuration"]["reward"] == [identity_of(length_of)]
    assert kept["configuration"]["max_tokens"] == 2048  # not the embedded policy's 256
    assert kept["configuration"]["queries"] == 2


async def test_it_works_inside_a_running_loop_and_awaited(tmp_path: Path) -> None:
    one = tpo.run(QUESTIONS, policy=say, reward=length_of, out=tmp_path / "a", **SMALL)
    two = await tpo.arun(QUESTIONS, policy=say, reward=length_of, out=tmp_path / "b", **SMALL)
    assert one.summary.by_step == two.summary.by_step


async def test_a_failed_query_is_a_result_and_is_tried_again(tmp_path: Path) -> None:
    gone = {Scope("q0", 0, "sample"): PolicyError("gone")}
    failing = tpo.ScriptedPolicy(failures=gone)
    given: dict[str, Any] = {"reward": length_of, "out": tmp_path, **SMALL}
    found = await tpo.arun(["one", "two"], policy=failing, **given)
    assert found.failed == {"q0": "gone"}
    again = await tpo.arun(["one", "two"], policy=tpo.ScriptedPolicy(), **given)
    assert (again.failed, again.summary.finished) == ({}, 2)


def test_names_are_those_of_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"question": "Why?"}\n{"question": "How?"}\n')
    events: list[Event] = []
    with OpenAIServer() as server:
        found = tpo.run(
            data,
            policy=server.url,
            reward="python:tests.cli.values:length_of",
            method="bon",
            column="question",
            limit=1,
            out=tmp_path / "out",
            listener=events.append,
        )
        assert {body["n"] for body in server.requests if "n" in body} == {5}
    assert found.settings["model"] == "scripted"
    assert [t.query.text for t in found.trajectories()] == ["Why?"]
    assert sum(isinstance(event, QueryEnded) for event in events) == 1
    settings = load_settings({"method": "bon"}, {})
    assert found.record.fingerprint["method.name"] == make_method(settings).name


def test_one_model_may_have_a_name_and_the_other_none(tmp_path: Path) -> None:
    found = tpo.run(["Hi"], reward=length_of, out=tmp_path, sample_size=1, max_iterations=0)
    marks = found.record.fingerprint
    assert marks["policy"] == "tiny"
    assert "weights of policy tiny" in marks
    assert "weights of reward tiny" not in marks
    assert found.summary.finished == 1


def test_a_method_may_be_a_value(tmp_path: Path) -> None:
    recipe = bon(sample_size=3)
    found = tpo.run(["one"], policy=say, reward=length_of, method=recipe, out=tmp_path)
    assert found.settings["method"] == "bon"
    assert (found.settings["sample_size"], found.summary.by_step[0].candidates) == (3, 3)
    with pytest.raises(ConfigError, match="sample_size: the method is a value"):
        tpo.run(["one"], policy=say, reward=length_of, method=recipe, out=tmp_path, sample_size=4)


def test_another_function_is_refused_in_the_same_directory(tmp_path: Path) -> None:
    def other(messages: list[Message], response: str) -> float:
        return -float(len(response))

    tpo.run(["one"], policy=say, reward=length_of, out=tmp_path, **SMALL)
    with pytest.raises(StoreMismatch, match=r"reward: .*length_of"):
        tpo.run(["one"], policy=say, reward=other, out=tmp_path, **SMALL)
    fresh = tpo.run(["one"], policy=say, reward=other, out=tmp_path, fresh=True, **SMALL)
    assert len(fresh.record.invocations) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


def test_without_a_directory_the_options_name_one(folder: Path) -> None:
    one = tpo.run(["one"], policy=say, reward=length_of, **SMALL)
    two = tpo.run(["two"], policy=say, reward=length_of, **SMALL)
    again = tpo.run(["one"], policy=say, reward=length_of, **SMALL)
    assert one.path == again.path != two.path
    assert one.path.parent == Path("runs")
    assert "test_running.say-" in one.path.name
    assert "values.length_of-" in one.path.name
    assert len(again.record.invocations) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sample_sise": 3}, "sample_sise: no such option; did you mean sample_size?"),
        ({"sample_size": 0}, "^sample_size is 0"),
        ({"sample_size": "3"}, "^sample_size is '3'"),
        ({"model": "m"}, "model is for a server's base URL"),
        ({"reward": None}, "give a reward too"),
        ({"method": "magic"}, "magic: unknown"),
        ({"method": 3}, "tpo.run: method must be a name or a tpo.Method, not 3"),
        ({"policy": 5}, "policy is 5"),
        ({"policy": "gpt"}, "^policy gpt: unknown"),
        ({"listener": "x"}, "listener must be a function of an event, not 'x'"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"policy": say, "reward": length_of, "out": tmp_path / "out", **options}
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        tpo.run(["one"], **given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [123, b"bytes", {"prompt": "one"}])
async def test_what_is_no_data_is_refused(data: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^data must be a path, the name of a data set or a list of queries"):
        await tpo.arun(data, policy=say, reward=length_of, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_of_another_run_is_refused_in_pythons_words(tmp_path: Path) -> None:
    given: dict[str, Any] = {"policy": say, "reward": length_of, "out": tmp_path / "out", **SMALL}
    tpo.run(["one"], **given)
    with pytest.raises(StoreMismatch, match="Give another out, or fresh to delete that run"):
        tpo.run(["one"], **given, seed=8)


def test_a_reward_that_is_not_asynchronous_ends_the_run_in_plain_words(tmp_path: Path) -> None:
    class Blocking:
        def score(self, messages: Messages, response: str, scope: Scope) -> tpo.Score:
            return tpo.Score(1.0)

    with pytest.raises(RewardRefused, match=r"Blocking\.score must be a coroutine function"):
        tpo.run(["one"], policy=say, reward=cast(Any, Blocking()), out=tmp_path / "out", **SMALL)


def test_an_object_of_the_caller_stays_open(tmp_path: Path) -> None:
    class Closing(tpo.ScriptedPolicy):
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    policy = Closing()
    tpo.run(["one"], policy=policy, reward=length_of, out=tmp_path, **SMALL)
    assert not policy.closed


@dataclass
class Scorer:
    """A reward as an object, with a *factor* that matters."""

    factor: float

    @property
    def identity(self) -> str:
        """As the fingerprint has it."""
        return f"scorer {self.factor:g}"


class Plain:
    """An object without a word on itself."""


def test_identities_tell_what_decides_an_answer() -> None:
    assert identity_of(length_of).startswith("tests.cli.values.length_of@")
    assert identity_of(Scorer(2.0)) == "scorer 2"
    assert identity_of(Plain()).startswith("tests.api.test_running.Plain@")
    assert identity_of(len) == "builtins.len"
    assert identity_of(OpenAIPolicy("http://h/v1", "m")) == "tpo.policies.openai.OpenAIPolicy m"
    parts = [functools.partial(length_of, response=text) for text in ("a", "b", "b")]
    one, two, same = map(identity_of, parts)
    assert one != two == same
    assert identity_of(Ensemble({"a": tpo.ScriptedReward()}, "min")).startswith("min of a: tpo.")
