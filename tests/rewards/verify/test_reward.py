"""``--reward verify:NAME``: scores, the record, options, and gates before another reward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tpo.config import Settings, reward_of
from tpo.config.specs import check_names, reward_identity
from tpo.entry_points import REWARDS
from tpo.errors import ConfigError, RewardError
from tpo.registry import parse
from tpo.rewards.calibration import Scale
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.rewards.verify import VerifierReward
from tpo.types import Query, Scope, user

QUERY = Query("q", (user("Give JSON."),), metadata={"pattern": ["a", "b"]})
SCOPE = Scope("q", 0, "reward", 1, data=QUERY)


async def letters(response: str, query: Query) -> Mapping[str, bool]:
    return {letter: letter in response for letter in query.metadata["pattern"]}


async def test_the_score_is_the_share_of_checks_and_the_record_holds_each() -> None:
    score = await VerifierReward(letters, "verify:letters").score(QUERY.messages, "cab", SCOPE)
    assert (score.value, score.criteria) == (1.0, {"a": 1.0, "b": 1.0})
    score = await VerifierReward(letters, "verify:letters").score(QUERY.messages, "b", SCOPE)
    assert (score.value, score.criteria) == (0.5, {"a": 0.0, "b": 1.0})


async def test_a_row_that_lacks_its_columns_fails_alone() -> None:
    reward = reward_of(Settings(reward=("verify:regex",)))
    with pytest.raises(RewardError, match=r"^query 'q', response 0\.1: verify:regex: the row has no column"):
        await reward.score(QUERY.messages, "b", Scope("q", 0, "reward", 1))


@pytest.mark.parametrize("name", ["verify:", "verify:all", "verify:pythn"])
def test_python_and_the_others_are_named_one_by_one(name: str) -> None:
    with pytest.raises(
        ConfigError, match="there are verify:ifeval, verify:json, verify:regex, verify:python"
    ):
        parse(REWARDS, name, "--reward")


async def test_the_kinds_options_say_what_to_check() -> None:
    settings = Settings(reward=("verify:regex",), kind_options={"verify": {"pattern": "^b"}})
    assert (await reward_of(settings).score(QUERY.messages, "b", SCOPE)).value == 1.0
    assert reward_identity(settings)["options"] == {"verify": {"pattern": "^b"}}


def with_gate(**options: Any) -> Ensemble:
    gate = VerifierReward(letters, "gate")
    return Ensemble(
        {"length": ScriptedReward(len)}, scales={"length": Scale(0.0, 1.0)}, gates={"gate": gate}, **options
    )


async def test_what_fails_a_gate_is_below_everything_that_passes() -> None:
    ensemble = with_gate()
    texts = ["ab", "ab" + "x" * 5000, "b" * 10_000, "a", ""]
    scores = [await ensemble.score(QUERY.messages, text, SCOPE) for text in texts]
    values = [score.value for score in scores]
    assert sorted(values, reverse=True) == [values[1], values[0], *sorted(values[2:], reverse=True)]
    assert min(values[:2]) > 0 >= max(values[2:])
    assert values[1] > values[0]
    assert values[2] > values[3] > values[4]
    assert scores[0].parts == {"length": 2.0, "gate": 1.0}
    assert scores[0].criteria == {"a": 1.0, "b": 1.0}


def test_a_gate_that_is_a_reward_as_well_is_refused() -> None:
    with pytest.raises(ConfigError, match="--gate"):
        check_names(Settings(reward=("verify:json",), gate=("verify:json",)))


def test_gates_and_weights_count_in_a_runs_identity() -> None:
    plain = Settings(reward=("verify:json", "verify:regex"))
    gated = Settings(reward=("verify:json", "verify:regex"), gate=("verify:ifeval",))
    weighted = Settings(reward=("verify:json", "verify:regex"), reward_weights={"verify:json": 2.0})
    found = [repr(reward_identity(settings)) for settings in (plain, gated, weighted)]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("weights", "combine", "fault"),
    [
        ({"verify:xml": 1.0}, "mean", "verify:xml is no --reward"),
        ({"verify:json": 0}, "mean", "a weight is a number above 0"),
        ({"verify:json": 2.0}, "min", "takes no weights"),
    ],
)
def test_a_wrong_weight_is_refused(weights: dict[str, float], combine: Any, fault: str) -> None:
    settings = Settings(reward=("verify:json", "verify:regex"), reward_weights=weights, combine=combine)
    with pytest.raises(ConfigError, match=fault):
        reward_of(settings)


async def test_members_count_by_their_weights_on_scales_of_their_own() -> None:
    settings = Settings(
        reward=("verify:json", "verify:regex"),
        kind_options={"verify": {"pattern": "b"}},
        reward_weights={"verify:json": 3.0},
    )
    ensemble = reward_of(settings)
    assert (await ensemble.score(QUERY.messages, "1", SCOPE)).value == pytest.approx((3 - 1) / 4)
    assert (await ensemble.score(QUERY.messages, '"b"', SCOPE)).value == pytest.approx(1.0)
