"""Running all checks: it never raises, whatever the models do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.values import by_check, make_setup, sensible
from tpo.doctor import Finding, Setup, no_failures, run_checks
from tpo.doctor.run_checks import CHECKS
from tpo.errors import MissingExtra, RewardError
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Completion


async def test_every_finding_is_told_at_once_and_given_at_the_end() -> None:
    told: list[Finding] = []
    looked: list[str] = []
    found = await run_checks(make_setup(), told.append, looked.append)
    assert found == told
    assert looked == [name for name, _ in CHECKS]
    assert no_failures(found)


def raising(error: BaseException) -> Callable[[], ScriptedReward]:
    def load() -> ScriptedReward:
        raise error

    return load


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("a [b]bug[/b]"), "RuntimeError: a [b]bug[/b]"),
        (SystemExit("gone"), "SystemExit: gone"),
        (MissingExtra("torch", "local", "a reward model"), "pip install 'tpo[local]'"),
        (TimeoutError("slow disk"), "TimeoutError: slow disk"),
    ],
)
async def test_a_reward_that_cannot_be_loaded_is_a_finding(error: BaseException, words: str) -> None:
    found = await run_checks(replace(make_setup(), reward=raising(error)))
    assert by_check(found)["reward"].status == "failure"
    assert words in by_check(found)["reward"].sentence
    assert by_check(found)["iteration"].status == "unknown"
    assert by_check(found)["n"].status == "good"


async def test_a_policy_that_never_answers_is_a_finding() -> None:
    silent = ScriptedPolicy(before=lambda *_: asyncio.Event().wait())
    found = await run_checks(make_setup(policy=silent, seconds=0.5))
    assert not no_failures(found)
    assert "not finished after 0.5 s" in by_check(found)["samples"].sentence


async def test_a_policy_that_raises_anything_is_a_finding() -> None:
    found = await run_checks(make_setup(policy=ScriptedPolicy(ValueError("odd"))))
    assert by_check(found)["samples"].status == "failure"
    assert "unexpected ValueError: odd" in by_check(found)["iteration"].sentence


async def test_no_finding_holds_a_key() -> None:
    leaky = ScriptedPolicy(ValueError("Authorization: Bearer sk-12345"))
    found = await run_checks(make_setup(policy=leaky, secrets=("sk-12345",)))
    assert "sk-12345" not in repr(found)
    assert "[key]" in by_check(found)["samples"].sentence


def test_the_repr_of_a_setup_contains_no_keys() -> None:
    shown = repr(make_setup(api_key="sk-12345", secrets=("sk-12345",)))
    assert "sk-12345" not in shown


@pytest.mark.parametrize(
    ("score", "status", "words"),
    [
        (sensible, "good", "in 6 of 6 pairs"),
        (lambda text: 1.0, "failure", "the same score, 1"),
        (lambda text: -sensible(text), "warning", "in 0 of 6 pairs"),
        (lambda text: float(len(text) % 7), "warning", "of 6 pairs"),
    ],
)
async def test_a_good_answer_beats_a_poor_one(score: Callable[[str], float], status: str, words: str) -> None:
    finding = by_check(await run_checks(make_setup(reward=ScriptedReward(score))))["reward order"]
    assert (finding.status, words in finding.sentence) == (status, True), finding


async def test_squashed_scores_of_a_model_are_a_warning() -> None:
    squashed = ScriptedReward(lambda text: 0.5 + sensible(text) / 100)
    assert "reward scale" not in by_check(await run_checks(make_setup(reward=squashed)))
    found = by_check(await run_checks(_with_reward("hf:org/model", squashed)))
    assert found["reward scale"].status == "warning"
    found = by_check(await run_checks(_with_reward("hf:org/model", ScriptedReward(sensible))))
    assert found["reward scale"].status == "good"


def _with_reward(name: str, reward: ScriptedReward) -> Setup:
    made = make_setup(reward=reward)
    return replace(made, settings=replace(made.settings, reward=(name,)))


async def test_a_reward_that_fails_on_the_data_is_a_failure() -> None:
    def picky(text: str) -> float:
        if text.startswith("sample"):
            raise RewardError("query 'q0', response 0.0: f must return a finite number; it returned nan")
        return sensible(text)

    found = await run_checks(make_setup(reward=ScriptedReward(picky)))
    finding = by_check(found)["iteration"]
    assert finding.status == "failure"
    assert "it returned nan" in finding.sentence
    assert by_check(found)["estimate"].status == "unknown"


async def test_updates_that_are_lost_are_counted() -> None:
    some = ScriptedPolicy({"update": [improved("better, much better"), "no tags"], "sample": ["a", "bb"],
                           "loss": "why", "gradient": "how"})  # fmt: skip
    finding = by_check(await run_checks(make_setup(policy=some, sample_size=4)))["iteration"]
    assert finding.status == "warning"
    assert "2 of 4 updates could be parsed" in finding.sentence
    assert finding.values["parsable"] == 2


async def test_replies_that_are_cut_are_counted() -> None:
    cut = ScriptedPolicy({"update": improved("better"), "sample": Completion(0, "a b", "length"),
                          "loss": "why", "gradient": "how"})  # fmt: skip
    finding = by_check(await run_checks(make_setup(policy=cut, sample_size=1)))["length"]
    assert "1 of 4 replies were cut off at 256 tokens" in finding.sentence
    assert "most replies end before the limit" in finding.advice
    reply = Completion(0, "a", "length")
    cut = ScriptedPolicy({"update": reply, "sample": reply, "loss": reply, "gradient": reply})
    finding = by_check(await run_checks(make_setup(policy=cut, sample_size=1)))["length"]
    assert finding.advice == "raise --max-tokens"


async def test_data_that_cannot_be_read_is_a_failure_with_its_line(tmp_path: Path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text('{"prompt": "a"}\n{"prompt": \n')
    found = await run_checks(make_setup(data=str(data)))
    assert f"{data}:2" in by_check(found)["data"].sentence
    assert not no_failures(found)


async def test_the_query_that_is_tried_is_no_outlier(tmp_path: Path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text("".join(f'{{"prompt": "{"x" * length}"}}\n' for length in (90_000, 1, 20, 30, 2)))
    policy = ScriptedPolicy()
    await run_checks(make_setup(data=str(data), policy=policy))
    tried = [call for call in policy.calls if call.scope.query.startswith("q")]
    assert {call.messages[0]["content"] for call in tried} == {"x" * 20}


async def test_a_directory_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    finding = by_check(await run_checks(make_setup(out=tmp_path / "out" / "run")))["directory"]
    assert finding.status == "failure"
    assert "is a file" in finding.sentence


async def test_golden_scores_of_a_file_are_compared(tmp_path: Path) -> None:
    golden = tmp_path / "golden.jsonl"
    row = '{"messages": [{"role": "user", "content": "q"}], "response": "%s", "score": %s}\n'
    golden.write_text(row % ("a" * 100, 0.0) + row % ("a" * 300, 2.0))
    assert by_check(await run_checks(make_setup(golden=str(golden))))["golden scores"].status == "good"
    golden.write_text(row % ("a" * 100, 9.0) + row % ("a" * 300, -4.0))
    found = await run_checks(make_setup(golden=str(golden)))
    assert by_check(found)["golden scores"].status == "failure"
    found = await run_checks(make_setup(golden=str(tmp_path / "none")))
    assert by_check(found)["golden scores"].status == "failure"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"select": "tournament"}, "--select tournament needs --select-judge URL"),
        ({"select": "lcb"}, "ensemble"),
        ({"stop": {"tests.doctor.values:Missing": 3}}, "Missing"),
        ({"check_reward": "python:tests.doctor.values:missing"}, "missing"),
        (
            {"select": "tournament", "select_judge": "http://127.0.0.1:1/v1#m", "retry_timeout": 0.0},
            "no server answers",
        ),
    ],
)
async def test_options_that_a_run_would_refuse_are_a_finding(changes: dict[str, Any], words: str) -> None:
    setup = make_setup()
    found = await run_checks(replace(setup, settings=replace(setup.settings, **changes)))
    finding = by_check(found)["rules"]
    assert finding.status == "failure"
    assert words in finding.sentence


async def test_rules_that_can_be_used_are_named() -> None:
    setup = make_setup()
    settings = replace(setup.settings, target_reward=2.0, check_reward="python:tests.cli.values:length_of")
    found = by_check(await run_checks(replace(setup, settings=settings)))["rules"]
    assert found.status == "good"
    assert "target_reward, the check reward python:tests.cli.values:length_of" in found.sentence
