"""Which replies state a grade, and how alternatives are read off the log-probabilities."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.errors import ConfigError
from tpo.http import HttpFailure
from tpo.rewards.judge.verdict import JudgeReply, expected_score, read_reply, stated_score
from tpo.rewards.judge.wording import judge_messages, read_rubric
from tpo.types import user


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"score": 7}', 7),
        ('{"score": "7"}', 7),
        (' {"score": 6.5} ', 6.5),
        ('```json\n{"score": 3}\n```', 3),
        ('It lacks a closing. {"score": 4}', 4),
        ('<think>{"score": 9}? no.</think>{"score": 2}', 2),
        ("8", 8),
        ("", None),
        ("fine", None),
        ('{"score": 0}', None),
        ('{"score": 10}', None),
        ('{"score": true}', None),
        ('{"score": null}', None),
        ('{"score": NaN}', None),
        ('{"score": 7} It keeps to {braces} and {"more": [1]} of them.', 7),
        ('{"score": 7, "why": {"tone": {"kind": true}}}', 7),
        ('I find this: {"score": 7, "why": {"tone": 3}} and no more.', 7),
        ('{"grade": {"score": 7}}', 7),
        ("2 or 3?</think>\n7", 7),
        ('<think>{"score": 9}? Or', None),
        ('{"score": 9}\n<think>Wait, is it', None),
        ("[" * 100_000, None),
        ('{"score": 9} is what it says, I give {"score": 2}', None),
        ('{"grade": 7}', None),
        ("I give 7 of 9", None),
    ],
)
def test_a_grade_is_read_strictly_or_not_at_all(text: str, score: float | None) -> None:
    assert stated_score(text) == score


@given(st.text())
def test_whatever_a_judge_writes_is_a_grade_in_the_scale_or_none(text: str) -> None:
    score = stated_score(text)
    assert score is None or 1 <= score <= 9


def row(token: str, **alternatives: float) -> dict[str, Any]:
    top = [{"token": name, "logprob": math.log(chance)} for name, chance in alternatives.items()]
    return {"token": token, "top_logprobs": top}


def reply(*rows: dict[str, Any]) -> JudgeReply:
    return JudgeReply("".join(one["token"] for one in rows), rows, 0)


def test_the_digit_may_share_its_token_with_what_stands_around_it() -> None:
    tokens = row(": 7}", **{": 7}": 0.75, ": 3}": 0.25, "7": 0.5, ": 8": 0.5})
    assert expected_score(reply(row('{"score"'), tokens)) == pytest.approx(6.0)


def test_without_alternatives_there_is_no_expected_value() -> None:
    assert expected_score(reply(row('{"score": '), row("7"), row("}"))) is None
    assert expected_score(JudgeReply('{"score": 7}', (), 0)) is None


@pytest.mark.parametrize("odd", [math.nan, -math.inf, math.inf, None, "0"])
def test_log_probabilities_that_are_no_numbers_have_no_weight(odd: Any) -> None:
    tokens = row("7", **{"7": 0.75, "3": 0.25})
    tokens["top_logprobs"] += [{"token": "9", "logprob": odd}, None, {"token": 1}]
    assert expected_score(reply(row('{"score": '), tokens, row("}"))) == pytest.approx(6.0)


def test_digits_in_the_reasoning_are_not_the_grade() -> None:
    thought = row('<think>{"score": 2}? No.</think>')
    assert expected_score(reply(thought, row('{"score": '), row("7", **{"7": 1.0}), row("}"))) == 7.0


def choice(content: Any, finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": {"content": content}, "finish_reason": finish}]}


def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": '{"sco'}, {"type": "text", "text": 're": 7}'}]
    assert read_reply(choice(parts)).stated == 7


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ('{"score": 7} since it', 7),
        ('7 or 8, so {"score": 8} perhaps', None),
        ('<think>7</think>{"score": 8} since', 8),
    ],
)
def test_a_reply_that_was_cut_counts_if_its_answer_begins_with_the_grade(
    content: str, score: float | None
) -> None:
    assert read_reply(choice(content, "length")).stated == score


def test_alternatives_that_lack_the_written_digit_are_not_trusted() -> None:
    assert expected_score(reply(row('{"score": '), row("7", **{"3": 0.9}), row("}"))) is None


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{}]}, [], None, {"choices": "x"}])
def test_a_reply_without_a_choice_may_pass(body: Any) -> None:
    with pytest.raises(HttpFailure) as caught:
        read_reply(body)
    assert caught.value.passes


@given(st.text(), st.text())
def test_no_text_can_close_its_own_marks(question: str, response: str) -> None:
    task, material = judge_messages("- Good.", (user(question),), response)
    mark = str(task["content"]).split("marks <")[1].split(">")[0]
    assert mark not in question + response
    assert str(material["content"]).count(f"</{mark}>") == 2


def test_a_rubric_is_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "rubric.txt"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rubric(file)
    file.write_text(" \n", "utf-8")
    with pytest.raises(ConfigError, match="empty"):
        read_rubric(file)
    file.write_text("- Brevity.\n", "utf-8")
    assert read_rubric(file) == "- Brevity."
