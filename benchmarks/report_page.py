"""How a report of many trajectories opens: written, opened, scrolled through, its last trajectory unfolded.

    python -m benchmarks.report_page --queries 10000

The run is made by the loop itself with a scripted policy that says WORDS random words a response (D2-N5, so
15 responses and 4 critiques a query); DISTINCT trajectories are repeated under other ids, too far apart for
compression to see it. Seconds to open count from the navigation until the overview and its
figures stand; frames are those of a scroll through the whole table. The result goes to
``benchmarks/results/report_page.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.record import write_result
from tests.browser import Page, browsing
from tests.report.runs import recipe

from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.report import write_report
from tpo.rewards.scripted import ScriptedReward
from tpo.store.trajectory_line import encode_trajectory
from tpo.types import Query, Trajectory, user

WORDS = 120
DISTINCT = 1000
OPENINGS = 5
PATIENCE = 300
"""Seconds that a measurement in the page may take on a busy machine."""
SCROLL = """
const done = arguments[0], place = document.querySelector('.scroller'), times = [];
const step = place.scrollHeight / 240;
let last = null;
function frame(now) {
  if (last !== null) times.push(now - last);
  last = now;
  place.scrollTop += step;
  if (times.length < 240) requestAnimationFrame(frame); else done(times);
}
requestAnimationFrame(frame);
"""


def vocabulary(generator: random.Random) -> list[str]:
    """Words as frequent and as long as a language's, more or less."""
    letters = "etaoinshrdlcumwfgypbvk"
    weights = range(len(letters), 0, -1)
    return ["".join(generator.choices(letters, weights, k=generator.randint(2, 9))) for _ in range(4000)]


def make_run(path: Path, queries: int) -> None:
    """A run of *queries*, without its run.json."""
    generator = random.Random(7)  # noqa: S311 - texts, not secrets
    words = vocabulary(generator)
    weights = [1 / (rank + 3) for rank in range(len(words))]

    def say(call: PolicyCall, _index: int) -> str:
        text = " ".join(generator.choices(words, weights, k=WORDS))
        return improved(text) if call.scope.phase == "update" else text

    def score(_text: str) -> float:
        return generator.gauss(-1, 1)

    optimizer = Optimizer(ScriptedPolicy(say), ScriptedReward(score), recipe())

    async def trajectories() -> list[Trajectory]:
        texts = (" ".join(generator.choices(words, weights, k=30)) for _ in range(min(DISTINCT, queries)))
        return [await optimizer.optimize(Query("q", (user(text),))) for text in texts]

    distinct = asyncio.run(trajectories())
    with (path / "trajectories.jsonl").open("wb") as file:
        for number in range(queries):
            trajectory = distinct[number % len(distinct)]
            query = replace(trajectory.query, id=f"q{number}")
            file.write(encode_trajectory(replace(trajectory, query=query)))


def opened(address: str) -> dict[str, float]:
    """Milliseconds until the page stood, and until the last trajectory did, in a fresh browser."""
    with browsing(address) as page:
        ready = page.run("return performance.getEntriesByName('ready')[0].startTime")
        loaded = page.run(
            "return performance.timing.domContentLoadedEventStart - performance.timing.fetchStart"
        )
        return {"ready_ms": ready, "whole_file_parsed_ms": loaded}


def used(address: str, queries: int) -> dict[str, float]:
    """How the table scrolls, sorts and is searched, and how soon a trajectory unfolds."""
    with browsing(f"{address}#queries/0") as page:
        page.until("document.querySelectorAll('.row').length > 5")
        page.driver.set_script_timeout(PATIENCE)
        frames = sorted(page.driver.execute_async_script(SCROLL))
        sort = timed(
            page,
            "document.querySelector('[data-column=gain] button').click()",
            "document.querySelector('[data-column=gain]').getAttribute('aria-sort') === 'descending'",
        )
        search = timed(
            page,
            "const s = document.getElementById('search');"
            "s.value = 'q77'; s.dispatchEvent(new Event('input'))",
            "document.querySelector('.count').textContent.includes(' of ')",
        )
        unfold = timed(
            page,
            f"location.hash = 'queries/0/{queries - 1}'",
            f"document.querySelector('#trajectory h2')?.textContent === 'q{queries - 1}'",
        )
        return {
            "scroll_frame_ms_median": statistics.median(frames),
            "scroll_frame_ms_p99": frames[int(0.99 * len(frames))],
            "sort_ms": sort,
            "search_ms": search,
            "last_trajectory_ms": unfold,
        }


def timed(page: Page, action: str, condition: str) -> float:
    """Milliseconds in the page from *action* to the first frame in which *condition* holds."""
    script = f"""
    const done = arguments[0], start = performance.now();
    {action};
    (function look() {{ {condition} ? done(performance.now() - start) : requestAnimationFrame(look); }})();
    """
    return float(page.driver.execute_async_script(script))


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=10_000)
    queries: int = parser.parse_args().queries
    with tempfile.TemporaryDirectory() as folder:
        run, page = Path(folder), Path(folder) / "report.html"
        make_run(run, queries)
        start = time.perf_counter()
        write_report([run], page)
        written = time.perf_counter() - start
        openings = [opened(page.as_uri()) for _ in range(OPENINGS)]
        result: dict[str, Any] = {
            "setup": {"queries": queries, "method": "D2-N5", "words_a_response": WORDS, "openings": OPENINGS},
            "trajectories_mb": round((run / "trajectories.jsonl").stat().st_size / 1e6, 1),
            "page_mb": round(page.stat().st_size / 1e6, 1),
            "write_s": round(written, 1),
            "median": {key: round(statistics.median(o[key] for o in openings)) for key in openings[0]},
            "worst": {key: round(max(o[key] for o in openings)) for key in openings[0]},
            "use": {key: round(value, 1) for key, value in used(page.as_uri(), queries).items()},
        }
    write_result("report_page", result, "selenium", "numpy", "matplotlib")


if __name__ == "__main__":
    main()
