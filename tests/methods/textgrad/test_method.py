"""``--method textgrad``: its three calls, how an update is read, and a whole run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.methods.textgrad.method import TextGrad, textgrad
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Call, Candidate, Completion, Messages, Pair, Query, Score, plain_text, user

QUERY = Query("q1", (user("Name {a} $sea."),))
PAIR = Pair(Candidate(0, 0, "the {chosen} one", Score(1)), Candidate(0, 1, "the rejected one", Score(0)))
ANYTHING = st.lists(
    st.sampled_from(["<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>", " ", "a", "{b}", "\n"]), max_size=9
).map("".join)


def method(name: str = "textgrad") -> TextGrad:
    made = build_method(name)
    assert isinstance(made, TextGrad)
    return made


def told(messages: Messages) -> str:
    assert [m["role"] for m in messages] == ["system", "user"]
    return "\n".join(plain_text(m) for m in messages)


def calls(of: TextGrad, pair: Pair = PAIR) -> tuple[str, str, str]:
    loss = Call.answered("loss", of.loss_prompt(QUERY, pair), "the loss")
    gradient = Call.answered("gradient", of.gradient_prompt(QUERY, pair, loss), "the gradient")
    return told(loss.messages), told(gradient.messages), told(of.update_prompt(QUERY, pair, loss, gradient))


def test_each_call_shows_what_it_needs_and_braces_in_texts_stay_as_they_are() -> None:
    loss, gradient, update = calls(method())
    shown = ("Name {a} $sea.", "the {chosen} one", "the rejected one")
    assert all(text in call for text in shown for call in (loss, gradient, update))
    assert "the loss" in gradient
    assert "the loss" in update
    assert "the gradient" in update


def test_the_update_carries_the_constraints_and_the_first_samples_a_system_text() -> None:
    text = method().wording.texts["constraints"]
    assert f"<CONSTRAINTS>Constraint 1: {text}</CONSTRAINTS>" in calls(method())[2]
    opening, *rest = method().first_prompt(QUERY)
    assert (opening["role"], tuple(rest)) == ("system", QUERY.messages)


def test_without_constraints_there_is_no_block(tmp_path: Path) -> None:
    (tmp_path / "constraints.txt").write_text("")
    assert "CONSTRAINTS" not in calls(textgrad(tmp_path))[2]


@pytest.mark.parametrize(
    ("name", "pair"),
    [("textgrad-revision", PAIR), ("textgrad", replace(PAIR, rejected=None))],
)
def test_without_a_rejected_response_the_chosen_one_is_judged_alone(name: str, pair: Pair) -> None:
    loss, gradient, update = calls(method(name), pair)
    for call in (loss, gradient, update):
        assert "rejected one" not in call
        assert "other_answer" not in call


@pytest.mark.parametrize(
    ("text", "finish", "response"),
    [
        ("so: <IMPROVED_VARIABLE> good </IMPROVED_VARIABLE> bye", "stop", "good"),
        ("<IMPROVED_VARIABLE>good", "stop", "good"),
        ("<IMPROVED_VARIABLE>goo", "length", None),
        ("<IMPROVED_VARIABLE>good</IMPROVED_VARIABLE> and on", "length", "good"),
        ("<IMPROVED_VARIABLE> </IMPROVED_VARIABLE>", "stop", None),
        ("<improved_response>good</improved_response>", "stop", None),
        ("", "stop", None),
    ],
)
def test_an_update_is_read_between_the_packages_tags(text: str, finish: str, response: str | None) -> None:
    assert method().read_update(Completion(0, text, finish)) == response  # type: ignore[arg-type]


@given(ANYTHING)
def test_whatever_a_reply_holds_no_tag_reaches_a_response(text: str) -> None:
    response = method().read_update(Completion(0, text))
    assert response is None or (response and "IMPROVED_VARIABLE>" not in response)


def test_the_record_tells_the_packages_version_and_wording() -> None:
    described = method().describe()
    assert described["textgrad"] == method().templates.version
    assert described["textgrad_wording"] == method().templates.digest
    assert "templates" not in described


def test_the_instruction_and_the_role_can_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "role.txt").write_text("poem\n")
    (tmp_path / "loss_system.txt").write_text("Compare with: $rejected\n")
    of = textgrad(tmp_path)
    loss, gradient, update = calls(of)
    assert loss.startswith("Compare with: the rejected one\n")
    assert "<ROLE> poem </ROLE>" in gradient
    assert "<ROLE>poem</ROLE>" in update
    assert of.wording.digest != method().wording.digest


def rewritten(call: PolicyCall, index: int) -> str:
    if call.scope.step == 2 and index == 1:
        return "no tags at all"
    return f"<IMPROVED_VARIABLE>better{'!' * (3 * call.scope.step + index)}</IMPROVED_VARIABLE>"


def test_a_whole_run_draws_n_updates_a_step_and_ends_with_the_best() -> None:
    policy = ScriptedPolicy({"sample": ["a", "bb"], "loss": "why", "gradient": "how", "update": rewritten})
    optimizer = Optimizer(policy, ScriptedReward(), build_method("textgrad", sample_size=2))
    trajectory = asyncio.run(optimizer.optimize("Say something."))
    assert trajectory.method == "textgrad"
    assert trajectory.stop_reason == "max_iterations"
    assert [call.sampling.n for call in policy.calls] == [2, 1, 1, 2, 1, 1, 2]
    assert [len(step.candidates) for step in trajectory.steps] == [2, 1]
    assert trajectory.steps[1].unreadable[0].text == "no tags at all"
    assert trajectory.answer == "better" + "!" * 6
