from pathlib import Path

import pytest

from tests.report import runs
from tests.view.growing import Growing
from tpo.errors import StoreError
from tpo.view import shelf as shelves
from tpo.view.shelf import Shelf


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def names(shelf: Shelf) -> list[str]:
    return [run["name"] for run in shelf.summary()["runs"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", 2)


def test_a_run_is_a_shelf_of_one(made: Path) -> None:
    shelf = Shelf(made)
    assert shelf.look() == (True, False)
    assert names(shelf) == ["run"]
    assert shelf.look() == (False, False)


def test_runs_are_found_beneath_a_directory_as_they_appear(made: Path, tmp_path: Path) -> None:
    clock = Clock()
    shelf = Shelf(tmp_path, elapsed=clock)
    shelf.look()
    assert names(shelf) == []
    Growing(made, tmp_path / "b" / "deep").begin()
    shelf.look()
    assert names(shelf) == [], "not looked for at every look"
    clock.now += shelves.EVERY
    assert shelf.look()[0]
    Growing(made, tmp_path / "a").begin()
    clock.now += shelves.EVERY
    shelf.look()
    assert names(shelf) == ["b/deep", "a"], "a number once given is kept"


def test_broken_runs_are_listed_with_what_is_missing(made: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "journal.jsonl").write_bytes(b"")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{")
    Growing(made, tmp_path / "c").begin().grow(1)
    shelf = Shelf(tmp_path)
    shelf.look()
    told = {run["name"]: run for run in shelf.summary()["runs"]}
    assert set(told) == {"a", "b", "c"}
    assert any("run.json is missing" in note for note in told["a"]["notes"])
    assert any("unknown" in note for note in told["b"]["notes"])
    assert told["c"]["finished"] == 1


def test_no_link_leads_out_of_the_directory(made: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "elsewhere").symlink_to(made)
    (tmp_path / "shown" / "circle").symlink_to(tmp_path)
    shelf = Shelf(tmp_path / "shown")
    shelf.look()
    assert names(shelf) == []


def test_what_is_no_directory_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such directory"):
        Shelf(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is not a directory"):
        Shelf(made / "run.json")


def test_a_run_that_is_removed_stays_on_the_shelf_and_says_so(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "a").begin()
    growing.grow(2)
    shelf = Shelf(tmp_path)
    shelf.look()
    growing.throw_away()
    assert shelf.look()[0]
    (run,) = shelf.summary()["runs"]
    assert run["finished"] == 0
    assert any("run.json is missing" in note for note in run["notes"])
