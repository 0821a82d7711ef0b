"""The live page in a real browser: it follows a run that grows under its eyes, and nothing in it jumps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.report import runs
from tests.report.hostile import HOSTILE, hostile_run
from tests.view.growing import Growing, Serving

pytestmark = pytest.mark.browser
pytest.importorskip("selenium")

from tests.browser import Page, browsing  # noqa: E402 - selenium must be there first

QUERIES = 60
SEARCH = (
    "const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
)
COUNT = "document.querySelector('.count').textContent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.ordinary(tmp_path_factory.mktemp("made") / "run", QUERIES)


@pytest.fixture
def growing(made: Path, tmp_path: Path) -> Growing:
    """A run of which 20 queries have ended."""
    growing = Growing(made, tmp_path / "shown" / "tpo").begin(total=QUERIES)
    growing.grow(20)
    return growing


@pytest.fixture
def page(growing: Growing) -> Iterator[Page]:
    with Serving(growing.path) as server, browsing(server.address) as page:
        yield page
        assert page.complaints() == []


def ids(page: Page) -> list[str]:
    """Of the rows that have elements, in the order of the table."""
    found: list[str] = page.run(
        "return [...document.querySelectorAll('.row')]"
        ".sort((a, b) => a.dataset.place - b.dataset.place)"
        ".map((row) => row.querySelector('.id').textContent)"
    )
    return found


def show_queries(page: Page) -> None:
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelectorAll('.row').length > 5")


def test_the_overview_follows_a_run_to_its_end(page: Page, growing: Growing) -> None:
    page.until("document.getElementById('state').textContent === 'live'")
    page.until("document.querySelector('.doing').textContent.includes('20 of 60 queries')")
    page.until("document.querySelectorAll('.chart canvas').length === 11")
    growing.call("q99")
    growing.grow(10)
    page.until("document.querySelector('.doing').textContent.includes('30 of 60 queries')")
    page.until("document.querySelector('.doing').textContent.includes('1 in progress')")
    page.until("document.querySelector('.tiles dd').textContent === '30'")
    growing.grow(30)
    growing.end()
    page.until("document.getElementById('state').textContent === 'ended'")
    page.until("document.querySelector('.tiles dd').textContent === '60'")


def test_a_run_that_is_continued_counts_the_queries_that_ended_again(page: Page, growing: Growing) -> None:
    page.until("document.querySelector('.doing').textContent.includes('20 of 60 queries')")
    growing.record["fingerprint"]["method.max_iterations"] += 1
    growing.begin(total=QUERIES)
    page.until("document.querySelectorAll('.doing > span')[1].textContent === '0 of 60 queries'")
    assert page.run("return document.querySelector('.tiles dd').textContent") == "20"


def test_figures_are_drawn_again_where_they_stand(page: Page, growing: Growing) -> None:
    page.until("document.querySelectorAll('.chart canvas').length === 11")
    page.run("document.querySelector('#figure-training-curve details').open = true")
    page.until("document.querySelector('#figure-training-curve td:last-child')?.textContent === '20'")
    page.run("document.querySelector('#figure-answer-step').scrollIntoView({ block: 'center' })")
    page.run(
        "window.places = [...document.querySelectorAll('.chart')].map((c) => c.getBoundingClientRect().top)"
    )
    growing.grow(15)
    page.until("document.querySelector('#figure-training-curve td:last-child').textContent === '35'")
    after = "[...document.querySelectorAll('.chart')].map((c) => c.getBoundingClientRect().top)"
    page.until(f"JSON.stringify({after}) === JSON.stringify(window.places)")
    assert page.run("return document.querySelectorAll('.chart canvas').length") == 11
    assert page.run("return document.querySelector('#figure-training-curve details').open")


def test_what_is_unfolded_on_the_overview_stays_so(page: Page, growing: Growing) -> None:
    page.run("document.querySelector('.card details:last-of-type').open = true")
    page.run("document.querySelector('.card details').open = false")
    growing.grow(5)
    page.until("document.querySelector('.tiles dd').textContent === '25'")
    assert page.run("return [...document.querySelectorAll('.card details')].map((d) => d.open)") == [
        False,
        True,
        True,
    ]


def test_new_rows_come_below_and_nothing_moves(page: Page, growing: Growing) -> None:
    show_queries(page)
    page.run("document.querySelector('.scroller').scrollTop = 217")
    page.until("document.querySelector('.scroller').scrollTop === 217")
    page.until("document.querySelector('.row[data-place=\"5\"]')")
    page.run("window.kept = document.querySelector('.row[data-place=\"5\"]')")
    growing.grow(20)
    page.until(f"{COUNT} === '40 queries'")
    page.until("document.querySelector('.scroller').scrollTop === 217")
    assert page.run("return document.querySelector('.row[data-place=\"5\"]') === window.kept")


def test_a_sorted_table_stays_sorted_and_the_row_at_the_top_stays_there(page: Page, growing: Growing) -> None:
    show_queries(page)
    page.run("document.querySelector('[data-column=gain] button').click()")
    page.until("document.querySelector('[data-column=gain]').getAttribute('aria-sort') === 'descending'")
    page.run("document.querySelector('.scroller').scrollTop = 300")
    at_top = (
        "(() => { const s = document.querySelector('.scroller');"
        "const h = document.querySelector('.row').offsetHeight;"
        "const place = Math.floor(s.scrollTop / h);"
        "const row = document.querySelector(`.row[data-place='${place}']`);"
        "return [row.querySelector('.id').textContent, s.scrollTop - place * h]; })()"
    )
    page.until("document.querySelector('.row[data-place=\"6\"]')")
    before = page.run(f"return {at_top}")
    growing.grow(40)
    page.until(f"{COUNT} === '60 queries'")
    page.until(f"JSON.stringify({at_top}) === '{json.dumps(before, separators=(',', ':'))}'")
    gains = page.run(
        "return [...document.querySelectorAll('.row')].sort((a, b) => a.dataset.place - b.dataset.place)"
        ".map((row) => row.children[2].textContent)"
    )
    values = [float(text.replace("\u2212", "-")) for text in gains if text != "\u2013"]
    assert values == sorted(values, reverse=True)


def test_search_and_filters_hold_for_what_comes(page: Page, growing: Growing) -> None:
    show_queries(page)
    page.run(SEARCH, "q4")
    page.until("document.querySelectorAll('.row').length === 1")
    growing.grow(40)
    page.until(f"{COUNT}.endsWith('of 60 queries')")
    assert set(ids(page)) == {"q4", *(f"q{n}" for n in range(40, 50))}
    page.run(SEARCH, "")
    page.until(f"{COUNT} === '60 queries'")
    page.run("document.querySelector('[name=malformed]').click()")
    page.until(f"{COUNT}.includes(' of 60')")
    assert ids(page)


def test_an_open_trajectory_stays_open_where_it_was_scrolled_to(page: Page, growing: Growing) -> None:
    show_queries(page)
    page.run("document.querySelector('.row[data-place=\"2\"]').click()")
    page.until("document.querySelector('#trajectory .iteration')")
    opened = page.run("return document.querySelector('#trajectory h2').textContent")
    page.run("document.querySelector('.prompts summary').click()")
    page.until("document.querySelector('.prompts details').open")
    page.run("document.querySelector('#trajectory').scrollTop = 333")
    page.until("document.querySelector('#trajectory').scrollTop === 333")
    page.run("window.kept = document.querySelector('#trajectory .iteration')")
    growing.grow(20)
    page.until(f"{COUNT} === '40 queries'")
    assert page.run("return document.querySelector('#trajectory h2').textContent") == opened
    assert page.run("return document.querySelector('#trajectory .iteration') === window.kept")
    page.until("document.querySelector('#trajectory').scrollTop === 333")
    assert page.run("return document.querySelector('.prompts details').open")


def test_texts_come_only_when_their_query_is_opened(page: Page, growing: Growing) -> None:
    show_queries(page)
    asked = page.requests()
    assert not any("/queries/" in address for address in asked)
    page.run("document.querySelector('.row').click()")
    page.until("document.querySelector('#trajectory .iteration')")
    growing.grow(1)
    page.until(f"{COUNT} === '21 queries'")
    later = page.requests()
    assert sum("/queries/" in address for address in later) == 1
    assert any("from=20" in address for address in later), "only what is new is asked for"
    assert all(address.startswith(("http://127.0.0.1:", "data:")) for address in asked + later)


def test_a_run_begun_anew_is_noticed(page: Page, growing: Growing) -> None:
    show_queries(page)
    page.run("location.hash = 'queries/0/19'")
    page.until("document.querySelector('#trajectory .iteration')")
    last = page.run("return document.querySelector('#trajectory h2').textContent")
    growing.throw_away()
    growing.begin(total=QUERIES).grow(3)
    page.until(f"{COUNT} === '3 queries'")
    page.until("document.getElementById('trajectory').textContent.includes('was restarted')")
    growing.grow(57)
    page.until(f"document.querySelector('#trajectory h2')?.textContent === '{last}'")


def test_the_page_outlives_its_server(growing: Growing) -> None:
    with (
        ExitStack() as serving,
        browsing(serving.enter_context(first := Serving(growing.path)).address) as page,
    ):
        show_queries(page)
        page.run("location.hash = 'queries/0/3'")
        page.until("document.querySelector('#trajectory .iteration')")
        serving.close()
        page.until("document.getElementById('state').textContent.startsWith('connection lost')")
        assert page.run("return document.querySelectorAll('.row').length") > 5
        growing.grow(10)
        with Serving(growing.path, first.port):
            page.until("document.getElementById('state').textContent === 'live'")
            page.until(f"{COUNT} === '30 queries'")
            assert page.run("return location.hash") == "#queries/0/3"
            assert page.run("return document.querySelector('#trajectory .iteration') !== null")


def test_runs_of_a_directory_appear_are_chosen_and_told_apart(
    growing: Growing, made: Path, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    with Serving(shown) as server, browsing(server.address) as page:
        page.until("document.querySelectorAll('.card:not(.wide)').length === 1")
        runs.ordinary(shown / "revision", 20, method="revision", strength=0.4)
        (shown / "broken").mkdir()
        (shown / "broken" / "run.json").write_text("{")
        page.until("document.querySelectorAll('.runs li').length === 3")
        page.until("document.querySelector('.comparison')?.textContent.includes('revision')")
        assert "damaged" in page.run("return document.getElementById('head').textContent")
        number = page.run(
            "return [...document.querySelectorAll('.runs label')]"
            ".find((l) => l.textContent === 'revision').htmlFor.split('-')[1]"
        )
        page.run(f"document.getElementById('run-{number}').click()")
        page.until("document.querySelectorAll('.card:not(.wide):not(.comparison)').length === 2")
        page.until("!document.getElementById('figures').textContent.includes('revision')")
        page.run(f"location.hash = 'queries/{number}'")
        page.until(f"{COUNT} === '20 queries'")
        assert page.complaints() == []


def test_a_directory_without_runs_waits_for_the_first(made: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    with Serving(tmp_path / "shown") as server, browsing(server.address) as page:
        assert "There is no run here yet" in page.run("return document.body.textContent")
        page.run("location.hash = 'queries'")
        page.until("document.getElementById('trajectory').textContent.includes('There is no run here yet')")
        Growing(made, tmp_path / "shown" / "first").begin().grow(4)
        page.until(f"{COUNT} === '4 queries'")
        assert page.complaints() == []


def test_a_hostile_run_runs_nothing_and_asks_for_nothing_but_itself(tmp_path: Path) -> None:
    path = hostile_run(tmp_path)
    seen = ""
    with Serving(tmp_path) as server, browsing(server.address) as page:
        page.until("document.querySelectorAll('.chart canvas').length > 0")
        for row in range(len(HOSTILE)):
            page.run(f"location.hash = 'queries/0/{row}'")
            page.until(
                f"location.hash.endsWith('/{row}') && document.querySelector('#trajectory .candidate')"
            )
            page.until(
                "document.querySelector('#trajectory h2').textContent.split(' ')[0] ==="
                " document.querySelector('.row[aria-selected=true] .id')?.textContent.split(' ')[0]"
            )
            page.run("for (const d of document.querySelectorAll('details')) d.open = true")
            page.until("document.querySelectorAll('.candidate .text').length > 5")
            seen += page.run("return document.body.textContent")
        assert page.run("return window.ran") is None
        assert page.run("return document.querySelectorAll('img, svg, iframe, link').length") == 0
        assert page.run("return document.querySelectorAll('#trajectory a, #trajectory script').length") == 0
        for wanted in ("</script><script>window.ran = 2</script>", "U+202E", "U+2028", "U+D83D", "U+001B"):
            assert wanted in seen, wanted
        for steering in "\u202e\u2028\u2029\x1b":
            assert steering not in seen, ascii(steering)
        assert all(a.startswith((server.address, "data:")) for a in page.requests())
        assert page.complaints() == []
    assert path.name.startswith("<img")
