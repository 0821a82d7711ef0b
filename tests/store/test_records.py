from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from tests.store.strategies import UTF8_TEXT, trajectories
from tests.store.values import trajectory
from tpo.errors import StoreError
from tpo.store.jsonline import from_line, to_line
from tpo.store.records import Record, trajectory_from, trajectory_record
from tpo.store.schema import TrajectoryLine
from tpo.types import Trajectory

SLOW_DRAW = settings(deadline=None, max_examples=30)


def again(value: Trajectory) -> Trajectory:
    return trajectory_from(from_line(to_line(trajectory_record(value))), "here")


@given(trajectories(UTF8_TEXT))
@SLOW_DRAW
def test_a_trajectory_survives_its_line_exactly(value: Trajectory) -> None:
    assert again(value) == value


@given(trajectories())
@SLOW_DRAW
def test_any_unicode_survives_once_its_surrogate_pairs_are_joined(value: Trajectory) -> None:
    assert again(again(value)) == again(value)
    assert [len(step.unreadable) for step in again(value).steps] == [len(s.unreadable) for s in value.steps]


@given(trajectories(UTF8_TEXT))
@SLOW_DRAW
def test_a_record_holds_what_the_schema_declares_and_nothing_else(value: Trajectory) -> None:
    record = from_line(to_line(trajectory_record(value)))
    line = TrajectoryLine.model_validate(record, strict=True)
    assert line.model_dump(by_alias=True, exclude_unset=True) == record


def test_candidates_stand_flat_and_steps_name_them() -> None:
    record = trajectory_record(trajectory("q7"))
    assert [candidate["id"] for candidate in record["candidates"]] == ["0.0", "0.1", "1.0"]
    assert (record["steps"][0]["chosen"], record["steps"][0]["rejected"]) == ("0.1", "0.0")
    assert record["best"] == "1.0"
    assert record["steps"][0]["unreadable"] == 1
    assert record["steps"][0]["unreadable_updates"][0]["text"] == "no tags"
    assert record["usage"]["loss"] == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("usage"),
        lambda record: record.update(candidates=None),
        lambda record: record["candidates"].pop(1),
        lambda record: record["steps"][0].update(chosen="9.9"),
        lambda record: record["usage"]["reward"].update(other=1),
        lambda record: record.update(query="q7"),
    ],
)
def test_a_record_that_is_not_whole_names_its_place(damage: Callable[[Record], Any]) -> None:
    record = trajectory_record(trajectory("q7"))
    damage(record)
    with pytest.raises(StoreError, match="line 3: not a whole trajectory"):
        trajectory_from(record, "line 3")


@pytest.mark.parametrize("version", [{}, {"schema": 2}, {"schema": "1"}])
def test_another_schema_version_is_refused(version: dict[str, Any]) -> None:
    record = {key: value for key, value in trajectory_record(trajectory("q7")).items() if key != "schema"}
    with pytest.raises(StoreError, match="reads version 1 only"):
        trajectory_from(record | version, "here")
