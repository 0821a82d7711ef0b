from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from tests.report import runs
from tests.view.growing import Growing
from tpo.errors import StoreError
from tpo.report.partial_run import read_partial_run
from tpo.store.trajectory_line import encode_trajectory
from tpo.view import server as servers
from tpo.view.catalog import Catalog
from tpo.view.server import Server

DATA = [
    "/data/summary",
    "/data/figures?runs=0",
    "/data/runs/0/rows",
    "/data/runs/0/queries/0",
    "/data/changes",
]


class Open:
    """A server over a run that grows, looked at when the test says so, and a client of it."""

    def __init__(self, growing: Growing, server: Server, client: TestClient[Any, Any]) -> None:
        self.growing = growing
        self.server = server
        self.client = client

    async def json(self, path: str) -> Any:
        answer = await self.client.get(path)
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", 6)


@pytest_asyncio.fixture
async def opened(made: Path, tmp_path: Path) -> AsyncIterator[Open]:
    growing = Growing(made, tmp_path / "shown" / "run").begin(total=6)
    growing.grow(3)
    (tmp_path / "secret.txt").write_text("secret")
    (growing.path / "notes.txt").write_text("secret")
    server = Server(Catalog(tmp_path / "shown"), heartbeat=3600.0)  # every event is of a test's own change
    async with TestClient(TestServer(server.app(follow=False))) as client:
        await server.refresh()
        yield Open(growing, server, client)


async def test_the_page_comes_whole_and_asks_this_server_only(opened: Open) -> None:
    answer = await opened.client.get("/")
    text = await answer.text()
    policy = answer.headers["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["connect-src"] == "'self'"
    assert rules["default-src"] == rules["frame-ancestors"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    assert re.fullmatch(r"'sha256-[\w+/=]+'", rules["script-src"])
    assert f'content="{policy.removesuffix("; frame-ancestors " + chr(39) + "none" + chr(39))}"' in text
    assert text.rstrip().endswith("</html>")
    assert "makeSource" in text


async def test_the_overview_tells_what_the_run_is_doing(opened: Open) -> None:
    told = await opened.json("/data/summary")
    (run,) = told["runs"]
    assert (run["name"], run["finished"], run["live"]["state"]) == ("run", 3, "working")
    assert run["live"]["total"] == 6


async def test_the_table_is_asked_for_from_where_it_is_known(opened: Open) -> None:
    first = await opened.json("/data/runs/0/rows")
    assert len(first["columns"]["id"]) == 3
    opened.growing.grow(2)
    await opened.server.refresh()
    rest = await opened.json("/data/runs/0/rows?generation=0&from=3&changes=0")
    assert (rest["start"], len(rest["columns"]["id"]), rest["more"]) == (3, 2, False)


async def test_a_trajectory_comes_when_it_is_asked_for(opened: Open) -> None:
    record = await opened.json("/data/runs/0/queries/2?generation=0")
    assert record["id"] == json.loads(opened.growing.lines[2])["query"]["id"]
    assert (await opened.client.get("/data/runs/0/queries/3")).status == 404
    opened.growing.throw_away()
    await opened.server.refresh()
    answer = await opened.client.get("/data/runs/0/queries/2?generation=0")
    assert (answer.status, "started again" in await answer.text()) == (404, True)


async def test_figures_and_comparisons_are_those_of_the_runs_that_are_chosen(opened: Open) -> None:
    figures = (await opened.json("/data/figures?runs=0"))["figures"]
    assert {"training-curve", "best-of-pool"} <= {figure["name"] for figure in figures}
    assert (await opened.json("/data/figures?runs="))["figures"] == []
    assert (await opened.client.get("/data/figures?runs=0,1")).status == 404


async def test_figures_are_drawn_again_when_a_query_is_continued(
    opened: Open, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await opened.json("/data/figures?runs=0"))["figures"]
    first, *_, other = read_partial_run(made).trajectories()
    again = replace(other, query=replace(other.query, id=first.query.id))
    opened.growing.append(encode_trajectory(again))
    await opened.server.refresh()
    monkeypatch.setattr(opened.server._drawings, "elapsed", lambda: 1e9)
    assert (await opened.json("/data/figures?runs=0"))["figures"] != before


@pytest.mark.parametrize("kind", [OSError, StoreError])
async def test_the_files_are_followed_after_one_could_not_be_read(
    kind: type[Exception],
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    growing = Growing(made, tmp_path / "run").begin(total=6)
    catalog = Catalog(tmp_path)
    looks, refresh = itertools.count(), catalog.refresh

    def failing() -> tuple[bool, bool]:
        if next(looks) < 2:
            raise kind("Stale file handle")
        return refresh()

    monkeypatch.setattr(catalog, "refresh", failing)
    monkeypatch.setattr(servers, "INTERVAL", 0.01)
    server = Server(catalog)
    async with TestClient(TestServer(server.app())), asyncio.timeout(60):
        growing.grow(1)
        while not server.changes.version:  # noqa: ASYNC110 - a change may have come before
            await asyncio.sleep(0.01)
    assert caplog.text.count("cannot read the runs, and try again: Stale file handle") == 1


async def test_a_change_is_told_as_it_happens(opened: Open) -> None:
    async with opened.client.get("/data/changes") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        before = await event(answer)
        opened.growing.grow(1)
        await opened.server.refresh()
        after = await event(answer)
        assert after["change"] == before["change"] + 1
        assert after["session"] == before["session"] == (await opened.json("/data/summary"))["session"]


async def test_nothing_is_told_where_nothing_changed(opened: Open) -> None:
    before = opened.server.changes.version
    await opened.server.refresh()
    assert opened.server.changes.version == before


async def test_streams_end_with_the_server(opened: Open) -> None:
    async with opened.client.get("/data/changes") as answer:
        await event(answer)
        opened.server.changes.close()
        assert await answer.content.read() == b""


async def test_idle_pages_keep_no_further_one_from_following(opened: Open) -> None:
    first, *idle = [await opened.client.get("/data/changes") for _ in range(servers.MAX_LISTENERS)]
    await asyncio.gather(*(event(answer) for answer in (first, *idle)))
    async with opened.client.get("/data/changes") as further:
        assert further.status == 200
        await event(further)
        assert await first.content.read() == b""
        assert len(opened.server.changes) == servers.MAX_LISTENERS
        opened.server.changes.close()


async def test_with_a_token_nothing_is_told_without_it(tmp_path: Path) -> None:
    server = Server(Catalog(tmp_path), token="right")  # noqa: S106 - of a test
    async with TestClient(TestServer(server.app(follow=False))) as client:
        for path in ("/", "/?token=wrong", "/?token=", "/data/summary", "/data/summary?token=right"):
            assert (await client.get(path)).status == 403
        opened = await client.get("/?token=right", allow_redirects=False)
        assert (opened.status, opened.headers["Location"]) == (302, "/")
        assert "HttpOnly" in opened.headers["Set-Cookie"]
        cookies = {name: morsel.value for name, morsel in opened.cookies.items()}
        client.session.cookie_jar.clear()
        assert (await client.get("/data/summary", cookies=cookies)).status == 200
        assert (await client.get("/", cookies=dict.fromkeys(cookies, "wrong"))).status == 403


@pytest.mark.parametrize("path", ["/", *DATA])
@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:80",
        "127.0.0.1.example.org",
        "localhost.example.org",
        "127.0.0.1@example.org",
    ],
)
async def test_a_name_that_was_made_to_mean_this_machine_is_refused(
    opened: Open, path: str, host: str
) -> None:
    answer = await opened.client.get(path, headers={"Host": host})
    assert answer.status == 403
    assert "run" not in (await answer.text()).replace("running", "")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST:8100", "[::1]:80"])
async def test_this_machine_may_ask_by_any_of_its_names(opened: Open, host: str) -> None:
    assert (await opened.client.get("/data/summary", headers={"Host": host})).status == 200


@pytest.mark.parametrize("path", DATA)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)
async def test_a_page_elsewhere_is_refused(opened: Open, path: str, headers: dict[str, str]) -> None:
    assert (await opened.client.get(path, headers=headers)).status == 403


async def test_the_page_itself_may_ask_and_a_link_may_lead_to_it(opened: Open) -> None:
    port = opened.client.port
    own = {"Origin": f"http://127.0.0.1:{port}", "Host": f"127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    assert (await opened.client.get("/data/summary", headers=own)).status == 200
    led = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert (await opened.client.get("/", headers=led)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/data/runs/../../secret.txt",
        "/data/runs/0/../../../secret.txt",
        "/data/runs/..%2f..%2fsecret.txt/rows",
        "/data/runs/%2e%2e/rows",
        "/data/runs/run/rows",
        "/data/runs/-1/rows",
        "/data/runs/0/queries/..%2f..%2fsecret.txt",
        "/data/runs/0/queries/-1",
        "/data/runs/0/notes.txt",
        "/notes.txt",
        "/run.json",
        "/data/runs/0/run.json",
        "/data/runs/9/rows",
        "/data/runs/٣/rows",
    ],
)
async def test_no_path_reaches_a_file(opened: Open, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", opened.client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert re.match(r"HTTP/1\.[01] 40[04] ", answer)
    assert "secret" not in answer.split("\r\n\r\n", 1)[1].replace("secret.txt", "")


@pytest.mark.parametrize("value", ["-1", "x", "1e3", "٣", "9" * 13, ""])
@pytest.mark.parametrize("name", ["generation", "from", "changes"])
async def test_what_is_no_number_is_refused(opened: Open, name: str, value: str) -> None:
    assert (await opened.client.get("/data/runs/0/rows", params={name: value})).status == 400


async def test_numbers_beyond_the_table_give_nothing(opened: Open) -> None:
    piece = await opened.json("/data/runs/0/rows?generation=0&from=999999&changes=999999")
    assert (piece["start"], piece["columns"]["id"], piece["more"]) == (3, [], False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
async def test_nothing_but_reading_is_served(opened: Open, method: str) -> None:
    assert (await opened.client.request(method, "/data/summary")).status == 405


@pytest.mark.parametrize("path", ["/", "/nowhere", *DATA])
async def test_every_answer_says_how_it_may_be_used(opened: Open, path: str) -> None:
    async with opened.client.get(path) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers


async def event(answer: ClientResponse) -> Any:
    """The next event of a stream."""
    line = await answer.content.readline()
    assert await answer.content.readline() == b"\n"
    return json.loads(line.removeprefix(b"data: "))
