"""Several rewards as one: on scales that never move, with every member's score kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scale, calibrate, read_scales, write_scales
from tpo.rewards.ensemble import Combine, Ensemble, combined
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope, Score, user

MESSAGES = (user("Why?"),)
SCOPE = Scope("q", 0, "reward", 0)
SCALES = {"long": Scale(10.0, 5.0), "vowels": Scale(2.0, 0.5)}


def vowels(text: str) -> float:
    return sum(text.count(letter) for letter in "aeiou")


def members() -> dict[str, Reward]:
    return {"long": ScriptedReward(len), "vowels": ScriptedReward(vowels)}


@pytest.mark.parametrize(("combine", "value"), [("mean", 0.5), ("min", -1.0), ("lcb", -1.0)])
async def test_members_are_standardised_then_put_together(combine: Combine, value: float) -> None:
    ensemble = Ensemble(members(), combine, scales=SCALES)
    text = "aei bcdfghjklmnpqrst"[:15] + "o"  # 16 characters, 4 vowels: 1.2 and 4.0 deviations
    score = await ensemble.score(MESSAGES, "aei b", SCOPE)  # 5 characters, 3 vowels: -1 and 2
    assert score.value == pytest.approx(value)
    assert score.parts == {"long": 5.0, "vowels": 3.0}
    assert score.tokens == 4
    assert (await ensemble.score(MESSAGES, text, SCOPE)).value > score.value


async def test_scales_come_from_the_probes_and_do_not_depend_on_what_is_scored_first() -> None:
    texts = ["a", "bb", "a much longer text than those"]
    forward, backward = Ensemble(members()), Ensemble(members())
    there = [(await forward.score(MESSAGES, text, SCOPE)).value for text in texts]
    back = [(await backward.score(MESSAGES, text, SCOPE)).value for text in reversed(texts)]
    assert there == back[::-1]


async def test_a_calibration_file_is_written_once_and_read_ever_after(tmp_path: Path) -> None:
    file = tmp_path / "scales.json"
    first = await Ensemble(members(), calibration=file).score(MESSAGES, "aa", SCOPE)
    rewards = members()
    assert await Ensemble(rewards, calibration=file).score(MESSAGES, "aa", SCOPE) == first
    assert isinstance(rewards["long"], ScriptedReward)
    assert len(rewards["long"].calls) == 1


async def test_members_are_measured_once_however_many_ask() -> None:
    rewards = members()
    ensemble = Ensemble(rewards)
    await asyncio.gather(*(ensemble.score(MESSAGES, "aa", SCOPE) for _ in range(5)))
    assert isinstance(rewards["long"], ScriptedReward)
    assert len(rewards["long"].calls) == 12 + 5


async def test_a_member_without_a_score_fails_the_response_by_name() -> None:
    rewards = members() | {"broken": ScriptedReward({})}
    ensemble = Ensemble(rewards, scales=SCALES | {"broken": Scale(0.0, 1.0)})
    with pytest.raises(RewardError, match="reward broken of the ensemble"):
        await ensemble.score(MESSAGES, "x", SCOPE)


async def test_a_refusal_of_a_member_stays_a_refusal() -> None:
    refusing = ScriptedReward(len, failures={SCOPE: RewardRefused("gone")})
    ensemble = Ensemble({"a": refusing}, scales={"a": Scale(0.0, 1.0)})
    with pytest.raises(RewardRefused, match="gone"):
        await ensemble.score(MESSAGES, "x", SCOPE)


async def test_a_member_that_always_says_the_same_is_refused() -> None:
    with pytest.raises(RewardRefused, match="reward flat gives 12 different responses one score"):
        await calibrate({"flat": ScriptedReward(lambda text: 3.0)})


async def test_closing_closes_every_member() -> None:
    closed: list[str] = []

    class Closable(ScriptedReward):
        async def aclose(self) -> None:
            closed.append("one")

    await Ensemble({"a": Closable(), "b": Closable(), "c": ScriptedReward()}).aclose()
    assert closed == ["one", "one"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"scales": {"long": {"mean": 0}}}',
        '{"scales": {"long": {"mean": 0, "std": 0}}}',
        '{"scales": {"other": {"mean": 0, "std": 1}}}',
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scales.json"
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"scales\.json"):
        read_scales(file, ["long"])


def test_scales_go_through_a_file_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "scales.json"
    write_scales(file, SCALES)
    assert read_scales(file, list(SCALES)) == SCALES
    assert json.loads(file.read_text("utf-8"))["format"] == 1
    with pytest.raises(ConfigError, match="cannot be written"):
        write_scales(tmp_path / "no" / "folder.json", SCALES)


def test_a_process_that_reads_scales_while_they_are_written_finds_a_whole_file(tmp_path: Path) -> None:
    file, link = tmp_path / "scales.json", tmp_path / "link.json"
    link.symlink_to(file)
    write_scales(link, SCALES)
    before = file.read_text("utf-8")
    with file.open(encoding="utf-8") as reading:
        write_scales(link, {"long": Scale(1.0, 1.0)})
        assert reading.read() == before
    assert read_scales(file, ["long"]) == {"long": Scale(1.0, 1.0)}
    assert set(tmp_path.iterdir()) == {file, link}
    assert link.is_symlink()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_the_ways_stand_in_order(values: list[float]) -> None:
    tolerance = 1e-9
    assert combined(values, "min") <= combined(values, "mean") + tolerance
    assert combined(values, "lcb") <= combined(values, "mean") + tolerance


def test_bad_ensembles_are_refused() -> None:
    with pytest.raises(ConfigError):
        Ensemble({})
    with pytest.raises(ConfigError, match="--combine max"):
        Ensemble(members(), "max")  # type: ignore[arg-type] # a mistake on purpose
    with pytest.raises(ConfigError, match="no scale for vowels"):
        Ensemble(members(), scales={"long": Scale(0.0, 1.0)})


async def test_a_score_keeps_the_worst_truncation() -> None:
    class Cutting:
        def __init__(self, cut: int) -> None:
            self.cut = cut

        async def score(self, messages: object, response: str, scope: Scope) -> Score:
            return Score(1.0, tokens=2, truncated_tokens=self.cut)

    one = {"a": Scale(0.0, 1.0), "b": Scale(0.0, 1.0)}
    score = await Ensemble({"a": Cutting(3), "b": Cutting(9)}, scales=one).score(MESSAGES, "x", SCOPE)
    assert (score.tokens, score.truncated_tokens) == (4, 9)


async def test_an_error_with_other_arguments_comes_as_it_is() -> None:
    class QuotaError(RewardError):
        def __init__(self, code: int, why: str) -> None:
            super().__init__(f"{code}: {why}")

    failing = ScriptedReward(len, failures={"x": QuotaError(7, "none left")})
    ensemble = Ensemble(members() | {"failing": failing}, scales=SCALES | {"failing": Scale(0.0, 1.0)})
    with pytest.raises(QuotaError, match="7: none left"):
        await ensemble.score(MESSAGES, "x", SCOPE)
