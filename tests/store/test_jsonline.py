import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.strategies import ANY_TEXT
from tpo.errors import StoreError
from tpo.store.jsonline import flat, from_line, plain, seal, storable, to_line, unseal
from tpo.types import ExtendedSampling, Sampling

RECORDS = st.dictionaries(ANY_TEXT.map(storable), ANY_TEXT.map(storable) | st.integers(), max_size=4)


@given(RECORDS)
def test_a_line_gives_its_record_back_whatever_unicode_it_holds(record: dict[str, object]) -> None:
    assert from_line(to_line(record)) == record


@given(RECORDS)
def test_a_line_is_one_line_of_utf8(record: dict[str, object]) -> None:
    line = to_line(record)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    line.decode()


def test_flat_has_the_fields_of_a_subclass_and_of_its_base() -> None:
    assert flat(ExtendedSampling(3, seed=5, extra={"stop": ["x"]})) == {
        **flat(Sampling(3, seed=5)),
        "extra": {"stop": ["x"]},
        "route": None,
    }
    assert flat(Sampling(3, seed=5))["seed"] == 5


def test_text_that_utf8_can_hold_stays_readable() -> None:
    assert "Grüße 🌍".encode() in to_line({"text": "Grüße 🌍"})


def test_a_lone_surrogate_is_escaped_and_comes_back() -> None:
    line = to_line({"text": "ü\ud800"})
    assert b"\\ud800" in line
    assert from_line(line) == {"text": "ü\ud800"}


def test_a_pair_of_surrogates_is_stored_as_its_character() -> None:
    assert storable("\ud83c\udf0d \ud800") == "🌍 \ud800"


@given(ANY_TEXT)
def test_a_storable_text_survives_and_stays_as_it_is(text: str) -> None:
    kept = storable(text)
    assert storable(kept) == kept
    assert from_line(to_line({"text": text})) == {"text": kept}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(StoreError, match="cannot be written as JSON"):
        to_line({"value": value})


@pytest.mark.parametrize("line", [b"", b"\n", b"{", b"[1]\n", b'"text"\n', b"\xff\xfe{}\n", b"[" * 100_000])
def test_what_is_no_record_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - every kind of damage, in the decoder's own words
        from_line(line)


@given(RECORDS.filter(bool))
def test_a_sealed_line_gives_its_record_back(record: dict[str, object]) -> None:
    assert unseal(seal(record)) == record
    json.loads(seal(record))


@given(RECORDS.filter(bool), st.data())
def test_a_sealed_line_with_any_flipped_bit_is_refused(
    record: dict[str, object], data: st.DataObject
) -> None:
    line = bytearray(seal(record))
    line[data.draw(st.integers(0, len(line) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        unseal(bytes(line))


def test_plain_writes_dates_as_iso_and_numbers_that_are_none_as_null() -> None:
    value = {"when": dt.date(2025, 3, 1), 1: (float("nan"), 2.5), "deep": [{"x": b"y"}]}
    assert plain(value) == {"when": "2025-03-01", "1": [None, 2.5], "deep": [{"x": "b'y'"}]}
