"""Results that stand in a file already are recognized, whatever their texts hold."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.trajectories import candidate
from tpo.contrib.reference.existing_results import answered, earlier_results, query_of
from tpo.errors import DataError
from tpo.export.reference import reference_key
from tpo.types import Query, user

Texts = st.lists(st.sampled_from(["a", "b", "<SEP>", "INDEX", " "]), min_size=1).map("".join)


@settings(deadline=None)
@given(query=Texts, responses=st.lists(Texts, min_size=1, max_size=3), others=st.sets(Texts, max_size=3))
def test_the_query_of_a_result_is_found_or_a_longer_one_that_every_key_holds(
    query: str, responses: list[str], others: set[str]
) -> None:
    result = {
        reference_key(Query("q0", (user(query),)), 0, candidate(0, i, text, 1.0).text): 1.0
        for i, text in enumerate(responses)
    }
    found = query_of(result, {query} | others)
    assert found is not None
    assert found == query or (len(found) > len(query) and found.startswith(query))


def test_a_query_that_is_not_asked_about_is_none_of_them() -> None:
    assert query_of({"INDEX-1<SEP>other<SEP>x": 1.0}, {"mine"}) is None
    assert query_of({}, {"mine"}) is None


def test_a_file_is_read_for_the_queries_that_it_answers(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{"INDEX-1<SEP>a<SEP>x": 1.0, "INDEX0<SEP>a<SEP>y": 2.0}], indent=4))
    assert answered(path, {"a", "b"}) == {"a"}


def test_no_file_and_an_empty_one_hold_no_results(tmp_path: Path) -> None:
    assert list(earlier_results(tmp_path / "none.json")) == []
    (tmp_path / "empty.json").write_text("")
    assert list(earlier_results(tmp_path / "empty.json")) == []


@pytest.mark.parametrize("content", ["{", '["a"]', '[{"prompt": "a"}]', "[1]"])
def test_a_file_that_is_no_result_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"r\.json:1"):
        list(earlier_results(path))
