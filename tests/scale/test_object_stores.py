"""Data in an object store: an S3 server on the loopback, read through s3fs, with and without Ray."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runs.models import by_id
from tests.scale.cluster_run import ROOT, driver, options
from tests.scale.paced_server import PacedServer
from tests.scale.sharded import data_file
from tpo.store import read_run, read_trajectories

pytestmark = pytest.mark.ray


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of a server for which the environment has the address and a key."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            monkeypatch.setenv(f"AWS_{name}", "testing")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem()
        system.makedirs("bucket", exist_ok=True)  # moto keeps buckets for the process
        yield system
    finally:
        server.stop()


def alone(server: PacedServer, data: str, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, without Ray."""
    given = options(server) | {"sample_size": 2, "max_iterations": 1, "out": out}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "tests.scale.command", "run", data, *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_run_reads_its_data_from_s3_with_and_without_ray(
    cluster: Any, bucket: Any, server: PacedServer, tmp_path: Path
) -> None:
    local = data_file(tmp_path)
    bucket.pipe("bucket/prompts.jsonl.gz", gzip.compress(local.read_bytes()))
    url = "s3://bucket/prompts.jsonl.gz"
    said = alone(server, url, tmp_path / "alone")
    assert said.returncode == 0, said.stderr
    assert f"12 queries of {url}" in said.stderr
    with driver(cluster, server, url, tmp_path / "ray") as process:
        _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    runs = [by_id(read_trajectories(tmp_path / name)) for name in ("alone", "ray")]
    assert runs[0] == runs[1]
    assert read_run(tmp_path / "ray").configuration["data"] == url
    # A copy of the data elsewhere is the same data: nothing is left to do.
    asked = server.answered
    said = alone(server, str(local), tmp_path / "alone")
    assert "all queries are finished" in said.stderr
    assert server.answered == asked


def test_parts_are_read_by_a_pattern_and_a_missing_file_is_named(
    bucket: Any, server: PacedServer, tmp_path: Path
) -> None:
    for number in (2, 1):
        bucket.pipe(f"bucket/part-{number}.txt", f"prompt {number}\n".encode())
    said = alone(server, "s3://bucket/part-*.txt", tmp_path / "run")
    assert said.returncode == 0, said.stderr
    texts = {trajectory.query.id: trajectory.query.text for trajectory in read_trajectories(tmp_path / "run")}
    assert texts == {"q0": "prompt 1", "q1": "prompt 2"}
    said = alone(server, "s3://bucket/absent.txt", tmp_path / "other")
    assert said.returncode == 2
    assert "s3://bucket/absent.txt: no such file" in said.stderr
    assert "Traceback" not in said.stderr
    assert not (tmp_path / "other").exists()
