from pathlib import Path

import pytest

from tests.report import runs
from tests.view.growing import Growing
from tpo.errors import StoreError
from tpo.view import catalog as catalogs
from tpo.view.catalog import Catalog


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def names(catalog: Catalog) -> list[str]:
    return [run["name"] for run in catalog.summary()["runs"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", 2)


def test_a_run_is_a_catalog_of_one(made: Path) -> None:
    catalog = Catalog(made)
    assert catalog.refresh() == (True, False)
    assert names(catalog) == ["run"]
    assert catalog.refresh() == (False, False)


def test_runs_are_found_beneath_a_directory_as_they_appear(made: Path, tmp_path: Path) -> None:
    clock = Clock()
    catalog = Catalog(tmp_path, elapsed=clock)
    catalog.refresh()
    assert names(catalog) == []
    Growing(made, tmp_path / "b" / "deep").begin()
    catalog.refresh()
    assert names(catalog) == [], "not looked for at every look"
    clock.now += catalogs.SEARCH_INTERVAL
    assert catalog.refresh()[0]
    Growing(made, tmp_path / "a").begin()
    clock.now += catalogs.SEARCH_INTERVAL
    catalog.refresh()
    assert names(catalog) == ["b/deep", "a"], "a number once given is kept"


def test_broken_runs_are_listed_with_what_is_missing(made: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "journal.jsonl").write_bytes(b"")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.json").write_text("{")
    Growing(made, tmp_path / "c").begin().grow(1)
    catalog = Catalog(tmp_path)
    catalog.refresh()
    told = {run["name"]: run for run in catalog.summary()["runs"]}
    assert set(told) == {"a", "b", "c"}
    assert any("run.json is missing" in note for note in told["a"]["notes"])
    assert any("unknown" in note for note in told["b"]["notes"])
    assert told["c"]["finished"] == 1


def test_a_folder_that_cannot_be_read_hides_no_other(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> tuple[Path, ...]:
        raise PermissionError(path)

    (tmp_path / "a" / "shards").mkdir(parents=True)
    Growing(made, tmp_path / "b").begin()
    monkeypatch.setattr(catalogs, "shard_directories", refused)
    catalog = Catalog(tmp_path)
    catalog.refresh()
    assert names(catalog) == ["b"]


def test_no_link_leads_out_of_the_directory(made: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "elsewhere").symlink_to(made)
    (tmp_path / "shown" / "circle").symlink_to(tmp_path)
    catalog = Catalog(tmp_path / "shown")
    catalog.refresh()
    assert names(catalog) == []


def test_what_is_no_directory_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such directory"):
        Catalog(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is not a directory"):
        Catalog(made / "run.json")


def test_a_run_that_is_removed_stays_on_the_catalog_and_says_so(made: Path, tmp_path: Path) -> None:
    growing = Growing(made, tmp_path / "a").begin()
    growing.grow(2)
    catalog = Catalog(tmp_path)
    catalog.refresh()
    growing.throw_away()
    assert catalog.refresh()[0]
    (run,) = catalog.summary()["runs"]
    assert run["finished"] == 0
    assert any("run.json is missing" in note for note in run["notes"])
