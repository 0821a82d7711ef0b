import os
import subprocess
import sys
from pathlib import Path

import pytest

from tpo.errors import StoreBusy
from tpo.store.lock import Lock

HOLDER = """
import pathlib, sys
from tpo.store.lock import Lock
lock = Lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_is_told_whose_run_it_is(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with pytest.raises(StoreBusy, match=rf"{tmp_path}: process {os.getpid()} works in this run"):
        Lock(tmp_path)
    lock.release()
    Lock(tmp_path).release()


def test_another_process_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy, match=f"process {holder.pid}"):
            Lock(tmp_path)
        holder.kill()
        holder.wait()
    Lock(tmp_path).release()


def test_a_damaged_lock_file_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"\xff" * 100)
    lock = Lock(tmp_path)
    lock.release()
