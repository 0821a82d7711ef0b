from typing import Any

from tpo.report.line_figures import RunMeasures
from tpo.view.figure_cache import MAX_CACHED, MIN_PAUSE, FigureCache, Numbers


class Runs:
    """Snapshots that are counted, of runs that change when a test says so."""

    def __init__(self) -> None:
        self.state = 0
        self.taken = 0
        self.now = 0.0

    async def snapshot(self, numbers: Numbers) -> tuple[object, list[RunMeasures]]:
        self.taken += 1
        return self.state, [RunMeasures(f"run {n} {self.state}", n, ()) for n in numbers]

    def elapsed(self) -> float:
        return self.now

    def figures_and_comparisons(self) -> FigureCache:
        return FigureCache(self.snapshot, elapsed=self.elapsed)


async def test_figures_are_drawn_again_after_their_pause_and_not_before() -> None:
    runs = Runs()
    figures_and_comparisons = runs.figures_and_comparisons()
    first = await figures_and_comparisons.of((0,))
    assert (first["figures"], first["pause"]) == ([], MIN_PAUSE)
    runs.state = 1
    runs.now = MIN_PAUSE / 2
    assert (await figures_and_comparisons.of((0,)))["pause"] == MIN_PAUSE / 2
    assert runs.taken == 1
    runs.now = MIN_PAUSE
    assert (await figures_and_comparisons.of((0,)))["pause"] == MIN_PAUSE
    assert runs.taken == 2


async def test_runs_that_have_not_changed_are_not_drawn_again() -> None:
    runs = Runs()
    figures_and_comparisons = runs.figures_and_comparisons()
    await figures_and_comparisons.of((0,))
    runs.now = 10 * MIN_PAUSE
    assert (await figures_and_comparisons.of((0,)))["pause"] == 0.0


async def test_choices_are_kept_apart_and_not_without_end() -> None:
    runs = Runs()
    figures_and_comparisons = runs.figures_and_comparisons()
    for number in range(MAX_CACHED + 1):
        await figures_and_comparisons.of((number,))
    await figures_and_comparisons.of((MAX_CACHED,))
    assert runs.taken == MAX_CACHED + 1
    await figures_and_comparisons.of((0,))
    assert runs.taken == MAX_CACHED + 2


async def test_two_runs_are_compared() -> None:
    record: dict[str, Any] = await Runs().figures_and_comparisons().of((0, 1))
    assert record["comparisons"][0]["paired"] is None
