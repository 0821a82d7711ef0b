"""The order bias of a scripted judge, which prefers what is listed first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from benchmarks.order_bias import CRITERIA, measure

from tests.rewards.decisions.decision_server import EXACT, TOP, DecisionServer
from tpo.rewards.probes import PROBES


def prefers_the_first(prompt: str) -> Mapping[str, float]:
    """Yes with 0.6 where it is listed first, else with 0.4; 0.2 more for a good answer."""
    likely = 0.6 if prompt.endswith("yes or no.") else 0.4
    likely += 0.2 if any(probe.good in prompt for probe in PROBES) else 0.0
    return {"yes": likely, "no": 1 - likely}


async def test_the_shift_and_the_answers_that_it_changes_are_counted() -> None:
    async with DecisionServer(prefers_the_first, frozenset({EXACT, TOP})).up() as url:
        found = await measure(url)
    assert found["questions"] == 2 * len(PROBES) * len(CRITERIA)
    assert found["shift_of_yes"] == {"mean_absolute": 0.2, "mean": 0.2, "largest": 0.2}
    assert found["probability_of_yes"] == {
        "yes listed first": pytest.approx(0.7),
        "no listed first": pytest.approx(0.5),
    }
    assert found["likelier_answer_changes"] == len(PROBES) * len(CRITERIA)
    assert found["good_answer_above_poor"] == found["probes"] == len(PROBES)
    assert found["way"] == "exact label probabilities"
