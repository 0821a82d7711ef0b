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
from tpo.rewards.judge.verdict import Reply, expected_score, read_reply, stated_score
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


def reply(*rows: dict[str, Any]) -> Reply:
    return Reply("".join(one["token"] for one in rows), rows, 0)


def test_the_digit_may_share_its_token_with_what_stands_around_it() -> None:
    tokens = row(": 7}", **{": 7}": 0.75, ": 3}": 0.25, "7": 0.5, ": 8": 0.5})
    assert expected_score(reply(row('{"score"'), tokens)) == pytest.approx(6.0)


def test_without_alternatives_there_is_no_expected_value() -> None:
    assert expected_score(reply(row('{"score": '), row("7"), row("}"))) is None
    assert expected_score(Reply('{"score": 7}', (), 0)) is None


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
