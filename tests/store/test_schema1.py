"""A run that version 1 of the record wrote stays readable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tpo.store import read_run, read_trajectories
from tpo.store.jsonline import from_line, to_line
from tpo.store.trajectory_line import decode_trajectory, encode_trajectory
from tpo.types import Query, Served, Usage

RUN = Path(__file__).parent / "schema1"
SERVED = Served("http://127.0.0.1:8000/v1", 256, 1, 40)

FOUND = {trajectory.query.id: trajectory for trajectory in read_trajectories(RUN)}


def test_every_query_is_read() -> None:
    assert list(FOUND) == ["ü3", "a", "b", "served", "failed"]
    assert read_run(RUN).schema == 1
    assert read_run(RUN).totals == {"finished": 4, "failed": 1}


def test_a_query_keeps_its_steps_and_its_answer() -> None:
    found = FOUND["b"]
    assert found.query.reference == "Prepare."
    assert [len(step.calls) for step in found.steps] == [3, 3]
    assert (len(found.initial), len(found.pool)) == (2, 6)
    assert found.best is not None
    assert found.best.reward == max(each.reward for each in found.pool)
    assert found.usage["loss"].calls == 2
    assert found.selected == found.best.id
    assert found.steps[0].pair is not None
    assert found.steps[0].pair.chosen.reward > found.steps[0].pair.rejected.reward  # type: ignore[union-attr]  # it had one


def test_loss_gradient_and_update_become_calls() -> None:
    step = FOUND["a"].steps[0]
    loss, gradient, update = step.calls
    assert [call.phase for call in step.calls] == ["loss", "gradient", "update"]
    assert {"role": "assistant", "content": loss.replies[0].text} in gradient.messages
    assert {"role": "assistant", "content": gradient.replies[0].text} in update.messages
    assert (loss.reads, gradient.reads, update.reads) == (False, False, True)
    assert update.n == len(step.candidates) == 2


def test_servers_cuts_and_unreadable_updates_are_kept() -> None:
    found = FOUND["served"]
    assert found.query.messages[1]["name"] == "x"
    assert found.stop_reason == "no_parsable_update"
    first = found.initial[0]
    assert (first.text, first.reasoning, first.finish_reason, first.served) == (
        "poor \ud800",
        "hm",
        "length",
        SERVED,
    )
    assert first.score is not None
    assert (first.score.truncated_tokens, first.score.parts) == (2, {"a": -1.5, "b": -0.5})
    (step,) = found.steps
    assert [call.phase for call in step.calls] == ["loss", "update"], "the gradient was no call"
    assert [(reply.text, reply.served) for reply in step.unreadable] == [("no tags", SERVED), ("none", None)]
    assert step.pair is not None
    assert step.pair.rejected is None
    assert found.usage == {"sample": Usage(1, 2, 1, 2), "loss": Usage(1, 5, 0, 5)}


def test_a_failed_query_keeps_its_reason() -> None:
    found = FOUND["failed"]
    assert (found.status, found.error, found.pool, found.best) == ("failed", "the server is gone", (), None)
    assert isinstance(found.query, Query)


@pytest.mark.parametrize("query", FOUND)
def test_it_can_be_written_as_schema_2(query: str) -> None:
    assert decode_trajectory(encode_trajectory(FOUND[query])) == FOUND[query]


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("usage"),
        lambda record: record.update(candidates=None),
        lambda record: record["candidates"][0].update(reward="1.5"),
        lambda record: record["steps"][0].update(chosen="9.9"),
        lambda record: record["steps"][0].pop("update"),
        lambda record: record.update(query="q7"),
        lambda record: record.update(schema=2),
    ],
)
def test_a_damaged_line_is_no_trajectory(damage: Callable[[Any], Any]) -> None:
    record = from_line((RUN / "trajectories.jsonl").read_bytes().splitlines()[0])
    damage(record)
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of damage, in the decoder's own words
        decode_trajectory(to_line(record))
