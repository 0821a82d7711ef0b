"""The page in a real browser: it opens, sorts, filters, unfolds a trajectory; hostile texts stay texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from tests.report import runs
from tests.report.hostile import hostile_run
from tpo.policies.scripted import ScriptedPolicy
from tpo.report import ReportOptions, write_report
from tpo.report.partial_run import read_partial_run
from tpo.report.results import Results, Table
from tpo.rewards.scripted import ScriptedReward
from tpo.store.runfile import read_run, write_run

pytestmark = pytest.mark.browser
pytest.importorskip("selenium")

from tests.browser import Page, browsing  # noqa: E402 - selenium must be there first

MINUS, NONE = "\u2212", "\u2013"

SEARCH = (
    "const s = document.getElementById('search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    root = tmp_path_factory.mktemp("ordinary")
    paths = [
        runs.ordinary(root / "tpo", 40),
        runs.ordinary(root / "revision", 40, method="revision", strength=0.4),
    ]
    out = root / "report.html"
    write_report(paths, out, ReportOptions(baselines=(("Instruct", -1.5),)))
    with browsing(out.as_uri()) as opened:
        yield opened


def rows(path: Path) -> list[str]:
    """The ids of a run's queries in the order of its file, which is that in which they ended."""
    return [trajectory.query.id for trajectory in read_partial_run(path).trajectories()]


def open_query(page: Page, query: str) -> None:
    """Search for *query*, open it from the table, and show the whole table again."""
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelectorAll('.row').length > 0")
    page.run(SEARCH, query)
    page.until("document.querySelectorAll('.row').length < 15")
    rows = "[...document.querySelectorAll('.row')]"
    row = f"{rows}.find((row) => row.querySelector('.id').textContent === {json.dumps(query)})"
    page.until(f"{row} !== undefined")
    page.run(f"{row}.click()")
    page.until(f"document.querySelector('#trajectory h2')?.textContent === '{query}'")
    page.run(SEARCH, "")
    page.until("document.querySelector('.count').textContent === '40 queries'")


def gains(page: Page) -> list[float]:
    texts = page.run(
        "return [...document.querySelectorAll('.row')]"
        ".sort((a, b) => a.dataset.place - b.dataset.place).map((row) => row.children[2].textContent)"
    )
    return [float(text.replace(MINUS, "-")) for text in texts if text != NONE]


def test_the_overview_shows_runs_figures_and_the_comparison(page: Page) -> None:
    page.run("location.hash = 'overview'")
    assert page.run("return [...document.querySelectorAll('#head h2')].map((x) => x.textContent)") == [
        "tpo",
        "revision",
    ]
    page.until("document.querySelectorAll('.chart canvas').length === 11")
    assert "tpo against revision" in page.run(
        "return document.querySelector('.comparison').textContent.replaceAll('  ', ' ')"
    )


def test_cards_name_method_policy_and_reward_and_no_mean_reads_as_a_count(page: Page) -> None:
    page.run("location.hash = 'overview'")
    page.until("!document.getElementById('overview').hidden")
    card = page.run("return document.querySelector('#head .card').innerText.replaceAll('\\n', ' ')")
    for said in ("method tpo D2-N5", "policy scripted", "reward scripted", "mean reward, answer"):
        assert said in card


def test_a_card_has_the_reward_of_selected_answers_and_the_number_of_retried_calls(tmp_path: Path) -> None:
    run = runs.worst(tmp_path / "worst", 4)
    record = read_run(run)
    (invocation,) = record.invocations
    write_run(run, replace(record, invocations=(replace(invocation, retries={"sample": 2, "update": 1}),)))
    lowest = [found.best.reward for found in read_partial_run(run).trajectories() if found.best]
    out = tmp_path / "report.html"
    write_report([run], out)
    with browsing(out.as_uri()) as page:
        terms = "[...document.querySelectorAll('#head dt')]"
        for name, value in (
            ("mean reward, answer", f"{fmean(lowest):.3f}".replace("-", MINUS)),
            ("retried calls", "3"),
        ):
            term = f"{terms}.find((term) => term.textContent === '{name}')"
            page.until(f"{term} !== undefined")
            assert page.run(f"return {term}.nextElementSibling.textContent") == value


def test_of_equal_rewards_the_first_sample_stayed_best(tmp_path: Path) -> None:
    reward = ScriptedReward(lambda text: 1.0)
    run = runs.make_run(tmp_path / "tie", runs.questions(3), ScriptedPolicy(runs.say), reward, runs.recipe())
    out = tmp_path / "report.html"
    write_report([run], out)
    with browsing(out.as_uri()) as page:
        page.run("location.hash = 'queries/0'")
        page.until("document.querySelectorAll('.row').length === 3")
        page.run("document.querySelector('[name=malformed]').click()")
        page.until("document.querySelector('.count').textContent === '1 of 3 queries'")
        page.run("document.querySelector('[name=worse]').click()")
        page.until("document.querySelector('.count').textContent === '3 queries'")
        cells = page.run(
            "return [...document.querySelectorAll('.row')].map((row) =>"
            " [row.children[2].textContent, row.children[3].textContent])"
        )
        assert cells == [["0.000", "0"]] * 3


def test_screen_readers_get_a_grid_whose_marked_row_is_named(page: Page) -> None:
    open_query(page, "q3")
    roles = page.run(
        "return ['.scroller', '.head', '.head > div', '.space', '.row', '.row > div'].map((selector) =>"
        " [...new Set([...document.querySelectorAll(selector)].map((e) => e.getAttribute('role')))].join())"
    )
    assert roles == ["grid", "row", "columnheader", "rowgroup", "row", "gridcell"]
    named = "document.querySelector('.scroller').getAttribute('aria-activedescendant')"
    page.until("document.querySelector('.row[aria-selected=true] .id')?.textContent === 'q3'")
    page.until(f"{named} === document.querySelector('.row[aria-selected=true]').id")
    page.run(SEARCH, "number 17")
    page.until("document.querySelectorAll('.row').length === 1")
    page.until(f"{named} === null")
    page.run(SEARCH, "")
    page.until("document.querySelector('.count').textContent === '40 queries'")
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelector('.row[aria-selected=true]') === null")
    page.until(f"{named} === null")


def test_queries_stand_in_the_order_of_their_ids_until_they_are_sorted(page: Page) -> None:
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelectorAll('.row').length > 5")
    shown = page.run(
        "return [...document.querySelectorAll('.row')]"
        ".sort((a, b) => a.dataset.place - b.dataset.place)"
        ".map((row) => row.querySelector('.id').textContent)"
    )
    assert shown == [f"q{n}" for n in range(len(shown))]
    # A query whose first sample stayed best has lost nothing: it is not marked as a loss.
    assert page.run("return document.querySelectorAll('.row .falling').length") == 0


def test_the_answers_of_all_runs_stand_side_by_side(page: Page) -> None:
    open_query(page, "q3")
    page.until("document.querySelector('details.elsewhere:not([hidden])') !== null")
    page.run("document.querySelector('details.elsewhere').open = true")
    page.until("document.querySelectorAll('.beside > div:not([hidden]) .framed').length === 2")
    names = page.run("return [...document.querySelectorAll('.beside h4')].map((x) => x.textContent)")
    assert names == ["tpo", "revision"]


def test_a_table_is_sorted_by_gain_both_ways(page: Page) -> None:
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelectorAll('.row').length > 5")
    page.run("document.querySelector('[data-column=gain] button').click()")
    page.until("document.querySelector('[data-column=gain]').getAttribute('aria-sort') === 'descending'")
    page.until("document.querySelectorAll('.row').length > 5")
    falling = gains(page)
    assert falling == sorted(falling, reverse=True)
    page.run("document.querySelector('[data-column=gain] button').click()")
    page.until("document.querySelector('[data-column=gain]').getAttribute('aria-sort') === 'ascending'")
    rising = gains(page)
    assert rising == sorted(rising)


def test_a_gain_is_green_and_a_first_sample_that_stayed_best_is_no_loss_in_red(page: Page) -> None:
    page.run("location.hash = 'queries/1'")
    page.until("document.querySelectorAll('.row').length > 5")
    cells = page.run(
        "return [...document.querySelectorAll('.row')].map((row) =>"
        " [row.children[2].textContent, row.children[2].className.includes('rising'),"
        " row.children[2].className.includes('falling')])"
    )
    better = {text.startswith("+") for text, rising, _ in cells if rising}
    assert better == {True}
    assert [text for text, rising, _ in cells if not rising and text.startswith("+")] == []
    assert any(not text.startswith("+") for text, _, _ in cells)
    assert not any(falling for _, _, falling in cells)


def test_search_and_filters_leave_what_is_asked_for(page: Page) -> None:
    page.run("location.hash = 'queries/0'")
    page.until("document.querySelectorAll('.row').length > 5")
    page.press("/")
    page.until("document.activeElement.id === 'search'")
    page.press("number 17")
    page.until("document.querySelectorAll('.row').length === 1")
    assert page.run("return document.querySelector('.row .id').textContent") == "q17"
    page.run(SEARCH, "")
    page.until("document.querySelector('.count').textContent === '40 queries'")
    page.run("document.querySelector('[name=malformed]').click()")
    page.until("document.querySelector('.count').textContent.includes(' of ')")
    cells = page.run(
        "return [...document.querySelectorAll('.row')].map((row) => row.children[4].textContent)"
    )
    assert cells
    assert NONE not in cells
    page.run("document.querySelector('[name=malformed]').click()")
    page.until("document.querySelector('.count').textContent === '40 queries'")


def test_a_trajectory_opens_with_its_pair_its_critique_and_what_changed(page: Page) -> None:
    open_query(page, "q3")
    text = page.run("return document.getElementById('trajectory').textContent")
    for part in (
        "Question",
        "Answer",
        "Pool",
        "Step 1",
        "Chosen",
        "Rejected",
        "loss",
        "gradient",
        "Responses",
    ):
        assert part in text
    assert page.run("return document.querySelectorAll('#trajectory ins, #trajectory del').length") > 2
    page.run("document.querySelector('.prompts summary').click()")
    page.until("document.querySelector('.prompts .turn')")


def test_the_keyboard_reaches_every_query(page: Page) -> None:
    open_query(page, "q3")
    page.run("document.activeElement.blur()")
    before = page.run("return document.querySelector('.row[aria-selected=true]').dataset.place")
    page.press("j")
    page.until(f"document.querySelector('.row[aria-selected=true]')?.dataset.place === '{int(before) + 1}'")
    page.press("k")
    page.until("document.querySelector('#trajectory h2')?.textContent === 'q3'")
    page.press("\ue00c")
    page.until("location.hash === '#queries/0'")
    page.press("1")
    page.until("!document.getElementById('overview').hidden")


def test_what_was_graded_comes_first_and_is_text_whatever_it_says(tmp_path: Path) -> None:
    rows = (("tpo", "<img src=x onerror=window.ran=1>", "+0.5"), ("bon", "right \u202eot tfel", "\u22121.0"))
    table = Table("Methods", ("method", "by", "change"), rows)
    results = Results("WORDS: <b>policy</b>", ("4 queries.",), (table,), ("a <i>note</i>",))
    write_report(
        [runs.ordinary(tmp_path / "tpo", 2)], tmp_path / "report.html", ReportOptions((), None, None, results)
    )
    with browsing((tmp_path / "report.html").as_uri()) as opened:
        text = opened.run("return document.getElementById('results').innerText")
        assert opened.run("return document.getElementById('overview').hidden")
        for part in ("WORDS: <b>policy</b>", "onerror=window.ran=1", "U+202E", "a <i>note</i>"):
            assert part in text
        assert opened.run("return document.querySelectorAll('#results td.number').length") == 2
        opened.press("1")
        opened.until("document.getElementById('results').hidden")
        opened.press("3")
        opened.until("document.getElementById('overview').hidden")
        assert opened.run("return window.ran") is None


def test_a_narrow_pane_holds_the_whole_pool(page: Page) -> None:
    open_query(page, "q3")
    for width in (1200, 1000, 400):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        page.until(f"innerWidth === {width}")
        wide, seen = page.run(
            "const t = document.getElementById('trajectory'); return [t.scrollWidth, t.clientWidth]"
        )
        assert wide <= seen, width
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_was_asked_for_but_the_page(page: Page) -> None:
    assert [address for address in page.requests() if not address.startswith("data:")] == [
        page.driver.current_url.split("#")[0]
    ]
    assert page.complaints() == []


def test_a_hostile_run_runs_nothing_and_asks_for_nothing(tmp_path: Path) -> None:
    path = hostile_run(tmp_path)
    out = tmp_path / "report.html"
    write_report([path], out)
    seen = ""
    with browsing(out.as_uri()) as page:
        for row, query in enumerate(rows(path)):
            page.run(f"location.hash = 'queries/0/{row}'")
            number = query.split()[0]
            page.until(f"document.querySelector('#trajectory h2')?.textContent.startsWith('{number} ')")
            page.run("for (const d of document.querySelectorAll('details')) d.open = true")
            page.until("document.querySelectorAll('.candidate .text').length > 5")
            seen += page.run("return document.getElementById('trajectory').textContent")
        assert page.run("return window.ran") is None
        assert page.run("return document.querySelectorAll('img, svg, iframe, link').length") == 0
        assert page.run("return document.querySelectorAll('#trajectory a, #trajectory script').length") == 0
        for wanted in ("</script><script>window.ran = 2</script>", "U+202E", "U+2028", "U+D83D", "U+001B"):
            assert wanted in seen, wanted
        for steering in "\u202e\u2028\u2029\x1b":
            assert steering not in seen, ascii(steering)
        assert len(page.requests()) == 1
        assert page.complaints() == []


def test_a_page_that_is_cut_off_says_so(tmp_path: Path) -> None:
    run = runs.ordinary(tmp_path / "tpo", 5)
    out = tmp_path / "report.html"
    write_report([run], out)
    whole = out.read_bytes()
    out.write_bytes(whole[: whole.index(b'<script type="application/zlib" id="texts-0-0"')])
    with browsing(out.as_uri()) as page:
        page.run("location.hash = 'queries/0/1'")
        page.until("document.getElementById('trajectory').textContent.includes('this file is not whole')")
