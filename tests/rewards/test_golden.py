"""What a golden check says is off."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.errors import ConfigError
from tpo.rewards.diagnosis import Evidence, Fault, diagnose
from tpo.rewards.golden import Golden, check_golden, golden_scores, read_golden, write_golden
from tpo.rewards.scripted import ScriptedReward
from tpo.types import user

RIGHT = [-4.25, -1.77, 3.5, 8.0, 17.5, 0.3]
LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=8)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def fault(found: list[float], evidence: Evidence | None = None) -> Fault:
    return diagnose(RIGHT, found, evidence).fault


def test_each_fault_is_told_from_the_others() -> None:
    noise = [0.08, -0.05, 0.02, -0.09, 0.06, 0.01]
    assert fault([value + 0.0002 for value in RIGHT]) == "none"
    assert fault([value + error for value, error in zip(RIGHT, noise, strict=True)]) == "dtype"
    assert fault([sigmoid(value) for value in RIGHT]) == "sigmoid"
    assert fault([sigmoid(value + 0.08) for value in RIGHT]) == "sigmoid"
    shifted = [value * 0.9 + 0.7 for value in RIGHT]
    assert fault(shifted) == "template"
    assert fault(shifted, Evidence(tokens=(1,) * 6)) == "start token"
    assert fault(shifted, Evidence(tokens=(-1,) * 6)) == "start token"
    assert fault(shifted, Evidence(tokens=(4, 4, 4, 4, 4, 4))) == "template"
    assert fault(RIGHT[::-1]) == "weights"


def test_a_doubled_start_token_is_found_even_where_it_moves_scores_by_no_more_than_noise() -> None:
    assert fault([value + 0.03 for value in RIGHT], Evidence(tokens=(1,) * 6)) == "start token"


def test_what_the_right_weights_say_of_a_misreading_decides() -> None:
    doubled = [value + 0.4 for value in RIGHT]
    evidence = Evidence(misreadings={"template": [RIGHT[::-1]], "start token": [doubled]})
    assert fault([value + 0.001 for value in doubled], evidence) == "start token"


@given(LOGITS)
def test_equal_scores_are_fine_whatever_they_are(scores: list[float]) -> None:
    assert diagnose(scores, scores).fine


@given(LOGITS.filter(lambda row: max(row) > 3))
def test_a_sigmoid_is_always_found(scores: list[float]) -> None:
    assert diagnose(scores, [sigmoid(value) for value in scores]).fault == "sigmoid"


async def test_a_reward_is_checked_against_itself_and_against_another() -> None:
    golden = await golden_scores(ScriptedReward(len))
    assert len(golden) == 12
    assert (await check_golden(ScriptedReward(len), golden)).fault == "none"
    other = await check_golden(ScriptedReward(lambda text: -float(len(text))), golden)
    assert other.fault == "weights"
    assert not other.fine
    assert "other weights" in str(other)


def test_golden_scores_go_through_a_file(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    golden = [Golden((user("Why \u2028 é?"),), "Because.", -1.25, 7), Golden((user("?"),), "!", 2.0)]
    write_golden(file, golden)
    assert read_golden(file) == golden


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"messages": [], "response": "x", "score": 1}',
        '{"messages": [{"role": "user", "content": "x"}], "response": "x"}',
        '{"messages": [{"role": "user", "content": "x"}], "response": 5, "score": 1}',
        '{"messages": [{"role": "user", "content": "x"}], "response": "x", "score": NaN}',
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "golden.jsonl"
    good = '{"messages": [{"role": "user", "content": "x"}], "response": "x", "score": 1}'
    file.write_text(f"{good}\n{line}\n", "utf-8")
    with pytest.raises(ConfigError, match=r"golden\.jsonl:2: "):
        read_golden(file)


def test_no_file_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_golden(tmp_path / "none")
    (tmp_path / "empty").write_text("", "utf-8")
    with pytest.raises(ConfigError, match="empty"):
        read_golden(tmp_path / "empty")
    with pytest.raises(ConfigError):
        diagnose([], [])
