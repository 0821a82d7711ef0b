"""Totals of a run that has nothing to do: from run.json, without reading trajectories, if they are known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.models import RECIPE, opened, policy, queries, reward
from tpo.methods.catalog import tpo
from tpo.methods.method import Method
from tpo.runs import Summary, run_queries
from tpo.runs.results import SHOWN_AGAIN
from tpo.store import read_run
from tpo.store.runfile import write_run
from tpo.types import Trajectory

MARK = 1_000_001
"""A number of blank completions that no trajectory has."""


ONE = tpo(sample_size=1, max_iterations=0)
"""A method of one sample per query."""


async def ran(
    path: Path, count: int = 3, earlier: list[Trajectory] | None = None, method: Method = RECIPE
) -> Summary:
    async with opened(path, method) as directory:
        receive = None if earlier is None else earlier.append
        return await run_queries(queries(count), policy(), reward(), method, directory, earlier=receive)


def alter(path: Path, **totals: Any) -> None:
    """Change totals in run.json, so that a run that takes them from there shows it."""
    record = read_run(path)
    write_run(path, replace(record, totals={**record.totals, **totals}))


async def test_a_finished_run_takes_its_totals_from_its_record(tmp_path: Path) -> None:
    first = await ran(tmp_path)
    alter(tmp_path, blank=MARK)
    again = await ran(tmp_path)
    assert replace(again, seconds=0) == replace(first, seconds=0, blank=MARK)
    assert again.seconds == read_run(tmp_path).seconds > first.seconds
    assert (await ran(tmp_path)).blank == MARK  # and so does the third


async def test_a_run_with_something_to_do_counts_all_trajectories(tmp_path: Path) -> None:
    await ran(tmp_path)
    alter(tmp_path, blank=MARK)
    summary = await ran(tmp_path, 5)
    assert (summary.finished, summary.blank) == (5, 0)


@pytest.mark.parametrize("bad", [{"by_step": 1}, {"unknown to this version": 1}, {"finished": "3"}])
async def test_totals_of_another_form_are_not_taken(tmp_path: Path, bad: dict[str, Any]) -> None:
    await ran(tmp_path)
    alter(tmp_path, blank=MARK, **bad)
    summary = await ran(tmp_path)
    assert (summary.finished, summary.blank) == (3, 0)


async def test_totals_of_an_earlier_state_of_the_file_are_not_taken(tmp_path: Path) -> None:
    await ran(tmp_path)
    alter(tmp_path, blank=MARK)
    last = (tmp_path / "trajectories.jsonl").read_bytes().splitlines(keepends=True)[-1]
    with (tmp_path / "trajectories.jsonl").open("ab") as file:
        file.write(last)
    summary = await ran(tmp_path)
    assert (summary.finished, summary.blank) == (3, 0)


async def test_earlier_trajectories_of_a_small_run_are_passed_on(tmp_path: Path) -> None:
    await ran(tmp_path)
    earlier: list[Trajectory] = []
    await ran(tmp_path, earlier=earlier)
    assert sorted(trajectory.query.id for trajectory in earlier) == ["q0", "q1", "q2"]


async def test_earlier_trajectories_of_a_large_finished_run_are_not_read(tmp_path: Path) -> None:
    await ran(tmp_path, SHOWN_AGAIN + 1, method=ONE)
    earlier: list[Trajectory] = []
    await ran(tmp_path, SHOWN_AGAIN + 1, earlier, ONE)
    assert earlier == []
    await ran(tmp_path, SHOWN_AGAIN + 2, earlier, ONE)
    assert len(earlier) == SHOWN_AGAIN + 1
