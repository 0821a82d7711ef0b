"""The results of a run as Python and a notebook see them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tpo
from tests.cli.values import length_of
from tpo.errors import PolicyError, StoreError
from tpo.policies.scripted import Script, improved
from tpo.store.runfile import read_run, write_run
from tpo.types import Scope

SURROGATE = "\ud83d half"


def made(path: Path) -> tpo.Run:
    """A run of two queries, of which one fails."""
    script: Script = {
        "sample": "short",
        "loss": "l",
        "gradient": "g",
        "update": improved(f"longer {SURROGATE}"),
    }
    policy = tpo.ScriptedPolicy(script, failures={Scope("q1", 0, "sample"): PolicyError("<b>gone</b>")})
    rows: list[dict[str, object]] = [{"prompt": "one", "topic": {"a": [1]}}, {"prompt": "two"}]
    return tpo.run(rows, policy=policy, reward=length_of, out=path, sample_size=2, max_iterations=1)


def test_a_run_is_loaded_with_what_was_returned(tmp_path: Path) -> None:
    returned = made(tmp_path)
    loaded = tpo.load_run(str(tmp_path))
    assert loaded == returned
    assert loaded.summary == returned.summary
    assert loaded.totals["finished"] == loaded.summary.finished == 1
    assert loaded.failed == {"q1": "<b>gone</b>"}
    assert loaded.settings["sample_size"] == 2
    assert [t.status for t in loaded.trajectories()].count("failed") == 1


def test_totals_of_a_run_that_was_killed_are_those_of_its_trajectories(tmp_path: Path) -> None:
    totals = made(tmp_path).totals
    record = read_run(tmp_path)
    killed = replace(record.invocations[-1], ended=None)
    write_run(tmp_path, replace(record, invocations=(killed,), totals={**record.totals, "finished": 0}))
    there = tpo.load_run(tmp_path)
    assert there.record.ended is None
    assert there.totals["finished"] == totals["finished"] == 1


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run is here"):
        tpo.load_run(tmp_path)


def test_it_shows_itself_in_one_line_and_as_a_table(tmp_path: Path) -> None:
    found = made(tmp_path / "<i>name")
    assert repr(found) == (
        f"Run('{tmp_path}/<i>name': 1 finished, 1 failed, mean best reward +5.000 -> +13.000)"
    )
    shown = found._repr_html_()
    assert "&lt;i&gt;name" in shown
    assert "<i>" not in shown
    assert "<td>0</td><td>+5.000</td><td>+5.000</td><td>2</td>" in shown


def test_rows_as_a_data_frame_and_as_an_arrow_table(tmp_path: Path) -> None:
    found = made(tmp_path)
    frame = found.to_pandas().set_index("id")
    assert frame.loc["q0", "response"] == "longer \\ud83d half"
    assert frame.loc["q0", "metadata"] == {"topic": {"a": [1]}}
    assert frame.loc["q1", "error"] == "<b>gone</b>"
    table = found.to_arrow()
    rows = {row["id"]: row for row in table.to_pylist()}
    assert rows["q0"]["metadata"] == '{"topic": {"a": [1]}}'
    assert rows["q1"]["response"] is None
    assert list(table.column_names) == list(found.to_pandas().columns)


@pytest.mark.parametrize(("library", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow")])
def test_a_library_that_is_missing_is_named(tmp_path: Path, library: str, method: str) -> None:
    made(tmp_path)
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "import tpo\n"
        f"try: tpo.load_run({str(tmp_path)!r}).{method}()\n"
        "except tpo.MissingExtra as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"needs {library}: pip install 'tpo[data]'" in said.stdout
