import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from typer.testing import CliRunner

from tests.cli.test_session import Terminal
from tests.report import runs
from tpo.cli.main import app
from tpo.store import read_run


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["view", *map(str, arguments)])
    return result.exit_code, re.sub(r"\s+", " ", result.output)


def test_a_run_notes_how_many_queries_it_has_so_that_a_view_can_tell_how_far_it_is(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, prompts=["one", "two", "three"])
    terminal.run(limit=2)
    assert read_run(tmp_path / "out").configuration["queries"] == 2


def test_no_run_is_one_sentence(tmp_path: Path) -> None:
    code, said = call(tmp_path / "nowhere", "--no-open")
    assert (code, "no such directory" in said, "Traceback" in said) == (2, True, False)


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = call(tmp_path, "--port", port, "--no-open")
    assert (code, f"port {port} on 127.0.0.1 is in use" in said) == (2, True)
    assert "Traceback" not in said


def test_a_price_of_cached_tokens_needs_the_others(tmp_path: Path) -> None:
    code, said = call(tmp_path, "--price-cached", 1)
    assert (code, "--price-in" in said) == (2, True)


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "run", 1)
    command = [sys.executable, "-c", "from tpo.cli.main import main; main()", "view", str(run), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        address = started.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
        place, _, query = address.removeprefix("http://").partition("/")
        with closing(HTTPConnection(place)) as client:
            client.request("GET", "/")
            refused = client.getresponse()
            assert (refused.status, b"tpo view" in refused.read()) == (403, True)
            client.request("GET", f"/{query}")
            opened = client.getresponse()
            opened.read()
            cookie = str(opened.headers["Set-Cookie"]).partition(";")[0]
            assert (opened.status, opened.headers["Location"]) == (302, "/")
            client.request("GET", "/", headers={"Cookie": cookie})
            assert b"makeSource" in client.getresponse().read()
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=120)
    assert started.returncode == 130
    assert "no longer viewing" in said
    assert "Traceback" not in said
