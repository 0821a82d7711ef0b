"""Exports are in the order of the data, whatever order queries ended in."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.export.trajectories import failed, finished
from tpo.cli.main import app
from tpo.export import read_in_order
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Trajectory


def at(identity: str, position: int | None) -> Trajectory:
    one = finished(identity)
    return replace(one, query=replace(one.query, position=position))


def write(folder: Path, *trajectories: Trajectory) -> None:
    lines = [encode_trajectory(one) for one in trajectories]
    (folder / "trajectories.jsonl").write_bytes(b"".join(lines))


def ids(folder: Path) -> list[str]:
    return [one.query.id for one in read_in_order(folder)]


def test_recorded_positions_give_the_order(tmp_path: Path) -> None:
    write(tmp_path, at("c", 10), at("a", 2), at("b", 0))
    assert ids(tmp_path) == ["b", "a", "c"]


def test_without_positions_numbered_ids_give_the_order(tmp_path: Path) -> None:
    write(tmp_path, at("q10", None), at("q9", None), at("named", None), at("q0", None))
    assert ids(tmp_path) == ["q0", "q9", "q10", "named"]


def test_the_last_line_of_a_query_stands_in_its_place(tmp_path: Path) -> None:
    write(tmp_path, failed("q1"), at("q0", 0), at("q1", 1))
    assert [(one.query.id, one.status) for one in read_in_order(tmp_path)] == [
        ("q0", "finished"),
        ("q1", "finished"),
    ]


def test_a_failed_line_never_replaces_a_finished_one(tmp_path: Path) -> None:
    write(tmp_path, at("q1", 1), at("q0", 0), failed("q1"))
    assert [(one.query.id, one.status) for one in read_in_order(tmp_path)] == [
        ("q0", "finished"),
        ("q1", "finished"),
    ]


@pytest.mark.parametrize("shape", ["results", "dpo", "sft", "logs"])
def test_every_format_of_the_command_is_in_that_order(tmp_path: Path, shape: str) -> None:
    write(tmp_path, at("b", 1), at("a", 0))
    out = tmp_path / ("out.json" if shape == "logs" else "out.jsonl")
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--format", shape, "--out", str(out)])
    assert done.exit_code == 0, done.output
    content = out.read_text("utf-8")
    rows = json.loads(content) if shape == "logs" else [json.loads(line) for line in content.splitlines()]
    assert [row.get("query_id", row.get("id")) for row in rows] == ["a", "b"]
