import os
from pathlib import Path

import pytest

from tests.report import runs
from tests.view.growing import Growing
from tpo.store import read_run
from tpo.store.lock import Lock
from tpo.view.state import process_is_alive, state_of

LATER = 1e12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", 1)


def test_a_run_that_noted_its_end_has_ended_whoever_lives(made: Path) -> None:
    assert state_of(made, read_run(made), LATER, lambda _: True) == "ended"


def test_a_run_whose_process_is_alive_works(made: Path, tmp_path: Path) -> None:
    path = Growing(made, tmp_path / "run").begin().path
    assert state_of(path, read_run(path), LATER, lambda number: number == os.getpid()) == "working"
    assert state_of(path, read_run(path), LATER, lambda _: False) == "stopped"


def test_a_run_on_another_machine_works_while_its_files_change(made: Path, tmp_path: Path) -> None:
    path = Growing(made, tmp_path / "run").begin().path
    changed = (path / "run.json").stat().st_mtime
    assert state_of(path, read_run(path), changed + 5, lambda _: False) == "working"
    assert state_of(path, read_run(path), changed + 500, lambda _: False) == "stopped"


@pytest.mark.parametrize("holder", [b"", b"0\n", b"-1\n", b"x\n", b"99999999999\n", b"12"])
def test_a_lock_that_names_nobody_is_held_by_nobody(made: Path, tmp_path: Path, holder: bytes) -> None:
    path = Growing(made, tmp_path / "run").begin().path
    (path / ".lock").write_bytes(holder)
    assert state_of(path, read_run(path), LATER, lambda _: True) == "stopped"


def test_looking_at_a_run_keeps_nobody_out(tmp_path: Path) -> None:
    held = Lock(tmp_path)
    held.release()
    state_of(tmp_path, None, LATER)
    Lock(tmp_path).release()


def test_this_process_is_alive_and_none_of_an_impossible_number_does() -> None:
    assert process_is_alive(os.getpid())
    assert not process_is_alive(9_999_999_999)
