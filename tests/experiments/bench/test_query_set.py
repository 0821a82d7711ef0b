import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.bench.scripted import DATA
from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.beavertails import BEAVERTAILS
from tpo.experiments.bench.benchmark import Baseline
from tpo.experiments.bench.columns import column
from tpo.experiments.bench.math500 import MATH_500
from tpo.experiments.bench.query_set import load_query_set


def write(path: Path, *rows: object) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_file_of_another_size_is_no_whole_set_and_says_so() -> None:
    asked = load_query_set(BEAVERTAILS, str(DATA / "beavertails.jsonl"))
    assert (len(asked.queries), asked.is_whole) == (8, False)
    assert asked.notes == ("the data has 8 rows; the published set has 700",)


def test_a_file_of_the_published_size_is_whole_until_it_is_limited(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "category": str(i % 14)} for i in range(700)]
    file = write(tmp_path / "rows.jsonl", *rows)
    assert load_query_set(BEAVERTAILS, file).is_whole
    stratified_subset = load_query_set(BEAVERTAILS, file, limit=28)
    assert (len(stratified_subset.queries), stratified_subset.is_whole) == (28, False)
    assert stratified_subset.notes == ("28 of 700 queries were used, stratified by category",)


def test_the_digest_is_of_the_rows_and_not_of_the_format(tmp_path: Path) -> None:
    lines = DATA / "math_500.jsonl"
    as_list = tmp_path / "rows.json"
    as_list.write_text(json.dumps([json.loads(line) for line in lines.read_text().splitlines()]))
    assert load_query_set(MATH_500, str(lines)).digest == load_query_set(MATH_500, str(as_list)).digest


def test_from_the_hub_the_published_split_is_read(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write(tmp_path / "set/test.jsonl", {"prompt": "p", "category": "c"})
    benchmark = replace(BEAVERTAILS, hub=HubSource(str(tmp_path / "set")))
    asked = load_query_set(benchmark, cache=tmp_path / "cache")
    assert [query.text for query in asked.queries] == ["p"]
    assert asked.source == benchmark.hub.spec


def test_a_file_of_a_repository_is_read_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "questions.jsonl", {"prompt": "p", "category": "c"}, {"category": "c"})
    benchmark = replace(BEAVERTAILS, hub=HubSource(str(tmp_path), file="questions.jsonl"))
    with pytest.raises(DataError, match=r"questions\.jsonl:2: there is no column 'prompt'"):
        load_query_set(benchmark)


def test_a_split_that_is_not_there_says_what_else_to_do(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write(tmp_path / "set/test.jsonl", {"prompt": "p", "category": "c"})
    benchmark = replace(BEAVERTAILS, hub=HubSource(str(tmp_path / "set"), split="validation"))
    with pytest.raises(DataError, match=r"cannot be loaded.*--data FILE"):
        load_query_set(benchmark, cache=tmp_path / "cache")


def test_a_bad_row_names_file_and_line(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", {"prompt": "p", "category": "c"}, {"category": "c"})
    with pytest.raises(DataError, match=r"rows\.jsonl:2: there is no column 'prompt'"):
        load_query_set(BEAVERTAILS, file)


def test_an_id_given_twice_names_both_places(tmp_path: Path) -> None:
    row = json.loads((DATA / "math_500.jsonl").read_text().splitlines()[0])
    file = write(tmp_path / "rows.jsonl", row, row)
    with pytest.raises(DataError, match=r"rows\.jsonl:2: .* already occurs at .*rows\.jsonl:1"):
        load_query_set(MATH_500, file)


def test_nothing_to_ask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no row"):
        load_query_set(BEAVERTAILS, write(tmp_path / "rows.jsonl"))
    with pytest.raises(ConfigError, match="--limit is 0"):
        load_query_set(BEAVERTAILS, str(DATA / "beavertails.jsonl"), limit=0)


def read_opponent(row: Row, position: int) -> tuple[str, str]:
    return f"beavertails-{position}", column(row, "output")


AGAINST = replace(
    BEAVERTAILS, baseline=Baseline(hub=BEAVERTAILS.hub, read=read_opponent, writer="the opponent")
)


def test_an_opponents_answers_come_from_the_rows_or_a_file_of_their_own(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", {"prompt": "p", "category": "c", "output": "no"})
    assert load_query_set(AGAINST, rows).baselines == {"beavertails-0": "no"}
    own = write(tmp_path / "own.jsonl", {"output": "yes"})
    assert load_query_set(AGAINST, rows, baseline=own).baselines == {"beavertails-0": "yes"}


def test_a_query_without_the_opponents_answer_is_refused(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.jsonl", *[{"prompt": "p", "category": "c", "output": "no"}] * 2)
    own = write(tmp_path / "own.jsonl", {"output": "yes"})
    with pytest.raises(DataError, match=r"1 queries have no answer of the opponent.*beavertails-1"):
        load_query_set(AGAINST, rows, baseline=own)


def test_an_opponent_where_there_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--baseline: beavertails"):
        load_query_set(BEAVERTAILS, str(DATA / "beavertails.jsonl"), baseline="x.jsonl")
