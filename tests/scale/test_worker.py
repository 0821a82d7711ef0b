"""Blocks and workers, without Ray."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.models import by_id, queries, reply, value
from tests.scale.sharded import data_file, planned
from tpo.cli.event_counts import EventCounts
from tpo.config import Settings
from tpo.errors import ConfigError, PolicyRefused, StoreError
from tpo.events import CallRetried, QueryEnded, RunStarted
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.models import Models, Relay
from tpo.scale.blocks import block_name, read_block, write_block
from tpo.scale.cluster import Pool
from tpo.scale.worker import BlockRunner, Worker
from tpo.store import read_trajectories
from tpo.types import Query, Scope, Usage, user


async def test_blocks_at_the_same_time_share_models_and_are_the_runs_of_one_process(tmp_path: Path) -> None:
    loaded: list[Relay] = []
    policy = ScriptedPolicy(reply)

    def load(events: Relay) -> Models:
        loaded.append(events)
        return Models(policy, ScriptedReward(value), events)

    plan = replace(await planned(data_file(tmp_path), tmp_path / "out"), load=load)
    worker = Worker(plan, overlap=2)
    asked = list(queries(12))
    with ThreadPoolExecutor(2) as threads:
        blocks = [asked[:6], asked[6:]]
        paths = [tmp_path / block_name(query.id for query in block) for block in blocks]
        summaries = list(threads.map(worker.run, blocks, paths))
    assert [summary.finished for summary in summaries] == [6, 6]
    before = len(policy.calls)
    assert worker.run(blocks[0], paths[0]).finished == 6
    assert len(policy.calls) == before
    assert len(loaded) == 1
    loaded[0](CallRetried(Scope("q0", 0, "sample"), "busy", 1.0))
    assert worker.take_retries() == {"sample": 1}
    assert not worker.take_retries()
    worker.close()
    assert by_id(read_trajectories(paths[0])).keys() == {f"q{number}" for number in range(6)}


async def test_a_worker_scores_with_the_check_reward_too(tmp_path: Path) -> None:
    def load(events: Relay) -> Models:
        check = ScriptedReward(lambda text: -value(text))
        return Models(ScriptedPolicy(reply), ScriptedReward(value), events, check=check)

    worker = Worker(replace(await planned(data_file(tmp_path), tmp_path / "out"), load=load))
    worker.run(list(queries(2)), tmp_path / "block")
    worker.close()
    scores = [each.score for run in read_trajectories(tmp_path / "block") for each in run.pool]
    assert scores
    assert all(score is not None and score.check == -score.value for score in scores)


def test_a_blocks_name_depends_on_the_ids_and_nothing_else() -> None:
    assert block_name(["a", "b"]) == block_name(iter(("a", "b"))) == "block-79cdb4c35a78d18c3ed4"
    assert block_name(["a", "b"]) != block_name(["b", "a"])
    assert block_name(["ab", "c"]) != block_name(["a", "bc"])
    assert block_name(["\ud83d"]) != block_name(["\ud83e"])


def test_queries_of_a_block_come_back_as_they_were(tmp_path: Path) -> None:
    query = Query("q \ud83d", (user("one\ntwo\u2028three"),), "reference", {"level": [1, None]}, position=7)
    write_block(tmp_path / "block", [query, Query("b", (user("x"),))])
    read = read_block(tmp_path / "block")
    assert read == (query, Query("b", (user("x"),)))
    assert read[0].position == 7


def test_a_block_that_is_not_there_names_the_shared_file_system(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be on a file system that every node shares"):
        read_block(tmp_path)


async def test_fatal_errors_of_a_worker_are_rows(tmp_path: Path) -> None:
    def refuse(_: Relay) -> Models:
        raise PolicyRefused("a wrong key")

    plan = await planned(data_file(tmp_path), tmp_path / "out")
    here = str(Path.cwd())
    refused = BlockRunner(replace(plan, load=refuse), tmp_path, here, 1)
    assert refused({"block": ["block-1"]}) == {
        "block": ["block-1"],
        "retries": ["{}"],
        "kind": ["PolicyRefused"],
        "error": ["a wrong key"],
    }
    loading = replace(plan, load=lambda events: Models(ScriptedPolicy(reply), ScriptedReward(value), events))
    missing = BlockRunner(loading, tmp_path, here, 1)({"block": ["nowhere"]})
    assert missing["kind"] == ["StoreError"]


@pytest.mark.parametrize(
    ("settings", "sizes"), [({}, (1, 1)), ({"workers": "4"}, (4, 4)), ({"workers": "2:8"}, (2, 8))]
)
def test_a_pool_has_a_size_or_a_range(settings: dict[str, Any], sizes: tuple[int, int]) -> None:
    pool = Pool.of(Settings(**settings))
    assert (pool.min_size, pool.max_size) == sizes
    assert Pool.of(Settings(concurrency=1)).overlap == 1


@pytest.mark.parametrize("workers", ["0", "8:2", "many", "1:2:3", ""])
def test_other_sizes_are_refused(workers: str) -> None:
    with pytest.raises(ConfigError, match="--workers"):
        Pool.of(Settings(workers=workers))


async def test_progress_counts_the_tokens_of_queries_that_other_processes_ran(tmp_path: Path) -> None:
    plan = await planned(data_file(tmp_path, 1), tmp_path / "out")
    models = Models(ScriptedPolicy(reply), ScriptedReward(value))
    await replace(plan, load=lambda events: models).run(models)
    (trajectory,) = read_trajectories(tmp_path / "out")
    usage = {"sample": Usage(2, 30, 0, 5)}
    counts = EventCounts(5)
    counts(RunStarted(1, 0, 0))
    counts(QueryEnded(replace(trajectory, usage=usage)))
    assert (counts.finished, counts.read, counts.written) == (1, 30, 5)
