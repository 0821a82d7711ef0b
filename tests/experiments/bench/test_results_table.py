"""One table of several benchmarks' results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tpo.errors import StoreError
from tpo.experiments.bench.results_table import results_table


def folder(path: Path, title: str, before: float, after: float, *, whole: bool = True) -> Path:
    def metrics(value: float) -> list[dict[str, object]]:
        return [{"name": "accuracy", "value": value, "low": None, "high": None, "unit": "%", "note": ""}]

    method = {"method": "tpo", "by_when": {"before": metrics(before), "after": metrics(after)}}
    record = {
        "schema": 1,
        "policy": "m",
        "benchmark": {"title": title},
        "data": {"is_whole": whole},
        "methods": [method],
    }
    path.mkdir()
    (path / "results.json").write_text(json.dumps(record), "utf-8")
    return path


def test_each_benchmark_is_a_column_and_the_unaligned_policy_a_row(tmp_path: Path) -> None:
    folders = [folder(tmp_path / "a", "A", 50, 60), folder(tmp_path / "b", "B", 10, 20)]
    head, rows = results_table(folders)
    assert head == ["policy", "A accuracy", "B accuracy"]
    assert [row[0] for row in rows] == ["m", "m + tpo"]
    assert [[cell.partition("%")[0] for cell in row[1:]] for row in rows] == [
        ["50.0", "10.0"],
        ["60.0", "20.0"],
    ]


def test_numbers_on_a_part_of_a_benchmark_are_marked(tmp_path: Path) -> None:
    whole, part = folder(tmp_path / "a", "A", 50, 60), folder(tmp_path / "b", "B", 10, 20, whole=False)
    _, rows = results_table([whole, part])
    assert [(a.endswith("*"), b.endswith("*")) for _, a, b in rows] == [(False, True), (False, True)]


def test_two_folders_with_different_values_of_one_cell_are_refused(tmp_path: Path) -> None:
    first, second = folder(tmp_path / "a", "A", 50, 60), folder(tmp_path / "b", "A", 50, 61)
    assert results_table([first, first])[1]
    with pytest.raises(StoreError, match=r"b: A accuracy of m \+ tpo differs from an earlier folder"):
        results_table([first, second])
