import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from tests.openai_server import OpenAIServer
from tpo.cli.common import settings_of
from tpo.cli.main import app
from tpo.cli.options import Command, Given, with_settings
from tpo.errors import ConfigError
from tpo.serve.environment import RETRY_TIMEOUT, read_keys

REWARD = "def length(messages, response):\n    return len(response)\n"


@contextmanager
def serving(folder: Path, policy: str, *flags: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """``tpo serve`` before the server *policy*; its URL and the process."""
    (folder / "scores.py").write_text(REWARD)
    shape = ("--reward", "python:scores:length", "-n", "2", "-d", "1")
    with serving_process(folder, ["--port", "0", "--policy", policy, *shape, *flags]) as served:
        yield served


@contextmanager
def serving_process(folder: Path, arguments: Sequence[str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """``tpo serve`` with *arguments* as a process of its own; its URL and the process."""
    command = [sys.executable, "-c", "from tpo.cli.main import main; main()", "serve", *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", line), process.stderr.read()
            yield line, process
        finally:
            process.kill()


def post(url: str, body: object, key: str = "") -> dict[str, object]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - the loopback
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        found: dict[str, object] = json.loads(reply.read())
        return found


def test_sigterm_lets_requests_in_progress_end(tmp_path: Path) -> None:
    asked, go = threading.Event(), threading.Event()

    def reply(body: dict[str, object], index: int) -> str:
        if body.get("max_tokens") != 16:  # the check of the policy before the start
            asked.set()
            go.wait(300)
        return f"<improved_response>answer {index}</improved_response>"

    keys = tmp_path / "keys"
    keys.write_text("# of the team\nalpha\n")
    body = {"model": "own", "messages": [{"role": "user", "content": "Why?"}]}
    with OpenAIServer(reply) as server:
        flags = ("--name", "own", "--api-keys", str(keys), "--store", "kept")
        with serving(tmp_path, server.url, *flags) as (url, process):
            found: list[dict[str, object]] = []
            client = threading.Thread(
                target=lambda: found.append(post(f"{url}/chat/completions", body, "alpha"))
            )
            client.start()
            assert asked.wait(300)
            process.send_signal(signal.SIGTERM)
            go.set()
            client.join(300)
            process.wait(300)
    assert found[0]["model"] == "own"
    assert (tmp_path / "kept" / "trajectories.jsonl").read_text().count("\n") == 1
    assert not (tmp_path / "kept" / ".lock").exists() or process.returncode is not None


def test_keys_come_from_a_file_and_the_environment(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# note\n a \n\nb\n")
    assert read_keys(keys, "c, d") == ("c", "d", "a", "b")
    keys.write_text("\n")
    for path in (keys, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="--api-keys"):
            read_keys(path, "")


def test_a_failing_model_is_retried_for_ten_seconds_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[float] = []

    @with_settings(defaults={"retry_timeout": RETRY_TIMEOUT})
    def command(given: Given) -> None:
        found.append(settings_of(given).retry_timeout)

    cli = typer.Typer()
    cli.command(cls=Command)(command)
    for arguments in ([], ["--retry-timeout", "40"]):
        assert CliRunner().invoke(cli, arguments).exit_code == 0
    monkeypatch.setenv("TPO_RETRY_TIMEOUT", "5")
    assert CliRunner().invoke(cli, []).exit_code == 0
    assert found == [10.0, 40.0, 5.0]
    options = typer.main.get_command(app).commands["serve"].params  # type: ignore[attr-defined]
    (option,) = (each for each in options if each.name == "retry_timeout")
    assert "default: 10]" in option.help
