"""A full or unwritable directory of temporary files is one sentence that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.values import trajectory
from tpo.store.trajectory_line import encode_trajectory

# Room for the four bytes by which Python tests a directory.
FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else the signal kills; so the write fails
resource.setrlimit(resource.RLIMIT_FSIZE, (4, -1))
from tpo.cli.main import main
main()
"""
LONG = 100_000


def command_on_a_full_disk(*arguments: object, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("SQLITE_TMPDIR", None)
    line = [sys.executable, "-c", FULL_DISK, *map(str, arguments)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["export", "report"])
def test_a_full_temporary_directory_is_named(command: str, tmp_path: Path) -> None:
    names = (f"{number}{'x' * LONG}" for number in range(60))
    (tmp_path / "trajectories.jsonl").write_bytes(b"".join(encode_trajectory(trajectory(n)) for n in names))
    done = command_on_a_full_disk(command, tmp_path, temporary=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: cannot write temporary files in {tmp_path}: ")
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_whose_texts_find_no_room_names_the_temporary_directory(tmp_path: Path) -> None:
    (tmp_path / "trajectories.jsonl").write_bytes(encode_trajectory(trajectory("q0")))
    done = command_on_a_full_disk("report", tmp_path, "--no-figures", temporary=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith(
        f"error: cannot write temporary files in {tmp_path}: File too large. Free some space there, or name "
        "another directory in TMPDIR (of databases in SQLITE_TMPDIR, if that is set)\n"
    )
