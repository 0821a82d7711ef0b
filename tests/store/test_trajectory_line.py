import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.strategies import UTF8_TEXT, trajectories
from tests.store.values import trajectory
from tpo.data.row import Row
from tpo.data.to_query import to_query
from tpo.errors import DataError, StoreError
from tpo.store.jsonline import seal, unseal
from tpo.store.trajectory_line import decode_head, decode_trajectory, encode_trajectory, json_schema
from tpo.types import Candidate, Query, Score, Trajectory, user

SLOW_DRAW = settings(deadline=None, max_examples=50)
DOCS = Path(__file__).parents[2] / "docs" / "trajectory.schema.json"

LINE = encode_trajectory(trajectory("q7"))


def again(value: Trajectory) -> Trajectory:
    return decode_trajectory(encode_trajectory(value))


@given(trajectories(UTF8_TEXT))
@SLOW_DRAW
def test_a_trajectory_survives_its_line_exactly(value: Trajectory) -> None:
    assert again(value) == value


@given(trajectories())
@SLOW_DRAW
def test_any_unicode_survives_once_its_surrogate_pairs_are_joined(value: Trajectory) -> None:
    assert again(again(value)) == again(value)
    assert [len(step.unreadable) for step in again(value).steps] == [len(s.unreadable) for s in value.steps]


@given(trajectories())
@SLOW_DRAW
def test_the_head_tells_the_same_as_the_whole(value: Trajectory) -> None:
    head, whole = decode_head(encode_trajectory(value), "here"), again(value)
    assert (head.id, head.status, head.stop_reason) == (whole.query.id, whole.status, whole.stop_reason)
    assert head.iterations == len(whole.steps)
    assert head.finished is (whole.status == "finished")


def test_candidates_stand_flat_and_steps_name_them() -> None:
    record = unseal(LINE)
    assert record["schema"] == 2
    assert [candidate["id"] for candidate in record["candidates"]] == ["0.0", "0.1", "1.0"]
    assert (record["steps"][0]["chosen"], record["steps"][0]["rejected"]) == ("0.1", "0.0")
    assert record["best"] == "1.0"
    assert record["candidates"][2]["parents"] == ["0.1"]
    assert [call["phase"] for call in record["steps"][0]["calls"]] == ["loss", "gradient", "update"]
    assert record["steps"][0]["calls"][2]["replies"] == [{"index": 1, "text": "no tags"}]
    assert record["usage"] == {"sample": {"calls": 1, "prompt_tokens": 2, "completion_tokens": 2}}


def test_a_candidate_whose_scoring_failed_has_no_reward() -> None:
    unscored = Candidate(0, 2, "unscored", None)
    value = trajectory("q7")
    value = replace(value, first=replace(value.first, candidates=(*value.first.candidates, unscored)))
    assert unseal(encode_trajectory(value))["candidates"][2]["reward"] is None
    assert again(value) == value


@pytest.mark.parametrize(
    "score",
    [Score(float("nan")), Score(float("inf")), Score(0.0, parts={"a": float("nan")})],
)
def test_a_reward_that_is_no_finite_number_is_not_written(score: Score) -> None:
    value = trajectory("q7")
    first = replace(value.first, candidates=(Candidate(0, 0, "x", score),))
    with pytest.raises(StoreError, match=r"candidate 0\.0: a reward must be a finite number"):
        encode_trajectory(replace(value, first=first, steps=(), selected=None))


def test_metadata_is_written_as_plain_json() -> None:
    metadata = {"when": dt.date(2025, 3, 1), "odd": float("nan"), "large": 10**30, "deep": [{"x": b"y"}]}
    value = replace(trajectory("q7"), query=Query("q7", (user("?"),), None, metadata))
    kept = {"when": "2025-03-01", "odd": None, "large": 10**30, "deep": [{"x": "b'y'"}]}
    assert again(value).query.metadata == kept


def nested(levels: int, lists: int, leaf: object) -> object:
    """*leaf* below so many *levels* of lists and objects; bits of *lists* tell which are lists."""
    for level in range(levels):
        leaf = [leaf] if lists >> level & 1 else {"x": leaf}
    return leaf


LEAVES = st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | UTF8_TEXT
NESTED = st.builds(nested, st.integers(0, 250), st.integers(0, 2**250), LEAVES)


@given(st.dictionaries(UTF8_TEXT, NESTED, max_size=3))
@settings(deadline=None)
def test_a_row_that_is_accepted_survives_its_line(columns: dict[str, object]) -> None:
    try:
        query = to_query(Row("a.jsonl:1", {**columns, "prompt": "?", "id": "q7"}), "")
    except DataError:
        return
    assert again(replace(trajectory("q7"), query=query)).query == query


@pytest.mark.parametrize("lists", [0, 2**300 - 1], ids=["objects", "lists"])
def test_a_query_of_ones_own_with_deep_metadata_can_be_read_back(lists: int) -> None:
    deep = {"a": 1, "x": nested(300, lists, 1)}
    found = again(replace(trajectory("q7"), query=Query("q7", (user("?"),), metadata=deep))).query.metadata
    assert found == {"a": 1, "x": nested(100, lists, "<nested too deeply>")}


def test_messages_keep_keys_that_this_package_does_not_know() -> None:
    message: Any = {"role": "user", "content": "?", "tool_calls": [{"id": 1}]}
    value = replace(trajectory("q7"), query=Query("q7", (message,)))
    assert again(value) == value


def test_a_line_with_a_value_that_json_has_no_form_for_is_refused() -> None:
    message: Any = {"role": "user", "content": "?", "odd": object()}
    with pytest.raises(StoreError, match="cannot be written as JSON"):
        encode_trajectory(replace(trajectory("q7"), query=Query("q7", (message,))))


def test_keys_of_later_versions_are_ignored() -> None:
    record = unseal(LINE)
    record["later"] = 1
    record["query"]["later"] = {"x": [1]}
    record["candidates"][0]["later"] = None
    record["steps"][0]["calls"][0]["later"] = "x"
    assert decode_trajectory(seal(record)) == trajectory("q7")


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("usage"),
        lambda record: record.update(candidates=None),
        lambda record: record["candidates"].pop(1),
        lambda record: record["candidates"][0].update(reward="1.5"),
        lambda record: record["candidates"][0].update(step="0"),
        lambda record: record["candidates"][0].update(text=3),
        lambda record: record["candidates"][0].update(finish_reason="tired"),
        lambda record: record["query"]["messages"][0].pop("role"),
        lambda record: record["steps"][0].update(chosen="9.9"),
        lambda record: record["steps"][0]["calls"][0].update(messages=[{"role": "user", "content": 3}]),
        lambda record: record["reward_usage"].update(calls=1.5),
        lambda record: record.update(query="q7"),
        lambda record: record.update(best="9.9"),
        lambda record: record.update(schema=3),
    ],
)
@pytest.mark.parametrize("text", ["plain", "lone \ud800"])
def test_a_record_of_other_types_is_no_trajectory(damage: Callable[[Any], Any], text: str) -> None:
    record = unseal(LINE)
    record["query"]["metadata"] = {"text": text}
    assert decode_trajectory(seal(record))
    damage(record)
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of damage, in the decoder's own words
        decode_trajectory(seal(record))


@given(st.integers(0, len(LINE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_a_flipped_byte_never_gives_another_trajectory(place: int, mask: int) -> None:
    damaged = bytearray(LINE)
    damaged[place] ^= mask
    for decode in (decode_trajectory, lambda line: decode_head(line, "here")):
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            decode(bytes(damaged))


def test_a_later_schema_version_is_named_with_its_place() -> None:
    with pytest.raises(StoreError, match=r"line 3: schema version 9; .* reads versions 1 and 2 only"):
        decode_head(seal({"schema": 9, "other": {}}), "line 3")


def test_the_schema_in_the_docs_is_the_declared_one() -> None:
    assert DOCS.read_text("utf-8") == json_schema(), f"write json_schema() to {DOCS.name}"


def test_the_schema_requires_the_keys_that_readers_rely_on() -> None:
    required = json.loads(json_schema())["required"]
    assert {
        "schema",
        "id",
        "query",
        "status",
        "best",
        "candidates",
        "steps",
        "usage",
        "timing",
        "crc",
    } <= set(required)


def test_the_schema_lets_later_versions_add_keys() -> None:
    assert '"additionalProperties": false' not in json_schema()


@given(trajectories(UTF8_TEXT))
@SLOW_DRAW
def test_every_line_is_valid_under_the_schema(value: Trajectory) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(json.loads(json_schema())).validate(json.loads(encode_trajectory(value)))


def test_every_key_of_a_line_is_declared() -> None:
    schema = json.loads(json_schema())
    record = json.loads(LINE)
    assert record.keys() <= schema["properties"].keys()
    defined = schema["$defs"]
    assert record["candidates"][0].keys() <= defined["CandidateLine"]["properties"].keys()
    assert record["steps"][0].keys() <= defined["StepLine"]["properties"].keys()
    assert record["steps"][0]["calls"][0].keys() <= defined["Call"]["properties"].keys()


def test_a_query_keeps_its_position_in_the_data() -> None:
    one = trajectory("q7")
    placed = replace(one, query=replace(one.query, position=3))
    assert again(placed).query.position == 3
    assert again(one).query.position is None
