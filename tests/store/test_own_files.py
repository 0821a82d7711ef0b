from pathlib import Path

import pytest

from tpo.errors import StoreError
from tpo.store.own_files import NAMES, refuse_own_file


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_file_of_a_run_is_refused(name: str, through_a_link: bool, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "trajectories.jsonl").touch()
    path = run / name
    if through_a_link:
        path = tmp_path / "link.jsonl"
        path.symlink_to(run / name)
    with pytest.raises(StoreError, match=r"cannot write .*: it is a file of the run in .*run; name another"):
        refuse_own_file(path)


def test_another_name_or_another_directory_is_not(tmp_path: Path) -> None:
    refuse_own_file(tmp_path / "journal.jsonl")
    (tmp_path / "run.json").touch()
    refuse_own_file(tmp_path / "results.jsonl")
    refuse_own_file(tmp_path / "elsewhere" / "run.json")
