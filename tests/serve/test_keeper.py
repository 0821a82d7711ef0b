import asyncio
import shutil
from pathlib import Path

import pytest

from tests.serve.serving import SCRIPT, SETTINGS, served, until
from tpo.errors import StoreMismatch
from tpo.policies.scripted import ScriptedPolicy
from tpo.report.write import write_report
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.serve.keeper import Keeper
from tpo.store import read_trajectories
from tpo.view.catalog import Catalog
from tpo.view.in_flight import InFlightQueries


async def test_trajectories_are_kept_once_and_the_live_view_shows_them_while_the_endpoint_runs(
    tmp_path: Path,
) -> None:
    run = tmp_path / "served"
    async with (
        Keeper.opened(run, SETTINGS) as keeper,
        served(ScriptedPolicy(SCRIPT), keeper=keeper) as client,
    ):
        catalog = Catalog(tmp_path, None)
        catalog.refresh()
        first = (await client.chat("one")).json["tpo"]["trajectory"]
        await client.chat("one")
        await client.chat("two")
        catalog.refresh()
        assert len(catalog.runs[0].table) == 2
    kept = list(read_trajectories(run))
    assert [t.query.text for t in kept] == ["one", "two"]
    assert kept[0].query.id == first
    assert kept[0].answer == "the best"
    async with (
        Keeper.opened(run, SETTINGS) as keeper,
        served(ScriptedPolicy(SCRIPT), keeper=keeper) as client,
    ):
        await client.chat("three")
    assert len(list(read_trajectories(run))) == 3
    assert write_report([run], tmp_path / "report")


async def test_a_run_of_another_kind_is_not_mixed_with(tmp_path: Path) -> None:
    async with Keeper.opened(tmp_path, SETTINGS):
        pass
    other = SETTINGS.__class__(policy=("http://127.0.0.1:1/v1",), model="other", reward=("tiny",))
    with pytest.raises(StoreMismatch):
        async with Keeper.opened(tmp_path, other):
            pass


async def test_the_live_view_shows_requests_in_progress_until_they_end_or_their_client_leaves(
    tmp_path: Path,
) -> None:
    scoring, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(call: RewardCall) -> None:
        if call.scope.step == 1:
            scoring.set()
            await go_on.wait()

    def in_progress() -> list[tuple[int, str]]:
        in_flight.refresh()
        kept = {trajectory.query.id for trajectory in read_trajectories(tmp_path)}
        return [(each["step"], each["phase"]) for each in in_flight.listed(kept)]

    in_flight = InFlightQueries([tmp_path])
    async with (
        Keeper.opened(tmp_path, SETTINGS) as keeper,
        served(ScriptedPolicy(SCRIPT), ScriptedReward(before=slowly), keeper=keeper) as client,
    ):
        leaving = asyncio.create_task(client.chat("one"))
        await scoring.wait()
        # The score may be asked before the update is on disk.
        await until(lambda: in_progress() == [(1, "update")])
        leaving.cancel()
        await until(lambda: not client.service.running)
        assert in_progress() == []
        scoring.clear()
        staying = asyncio.create_task(client.chat("one"))
        await scoring.wait()
        go_on.set()
        assert (await staying).status == 200
        assert in_progress() == []
    assert [t.query.text for t in read_trajectories(tmp_path)] == ["one"]


async def test_calls_that_a_killed_process_left_answer_no_request(tmp_path: Path) -> None:
    scoring = asyncio.Event()

    async def hang(call: RewardCall) -> None:
        if call.scope.step == 1:
            scoring.set()
            await asyncio.Event().wait()

    async with (
        Keeper.opened(tmp_path / "run", SETTINGS) as keeper,
        served(ScriptedPolicy(SCRIPT), ScriptedReward(before=hang), keeper=keeper) as client,
    ):
        leaving = asyncio.create_task(client.chat("one"))
        await scoring.wait()
        leaving.cancel()
        await until(lambda: b"abandoned" in (tmp_path / "run" / "journal.jsonl").read_bytes())
        shutil.copytree(tmp_path / "run", tmp_path / "left")  # as it lies there when the process is killed
    (tmp_path / "left" / ".lock").unlink(missing_ok=True)
    async with (
        Keeper.opened(tmp_path / "left", SETTINGS) as keeper,
        served(ScriptedPolicy(SCRIPT), keeper=keeper) as client,
    ):
        reply = await client.chat("one")
    assert reply.json["choices"][0]["message"]["content"] == "the best"
    (kept,) = read_trajectories(tmp_path / "left")
    assert (kept.answer, kept.stop_reason) == ("the best", "max_iterations")
