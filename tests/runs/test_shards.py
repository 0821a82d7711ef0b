"""Shards: a stable division of the queries, each in a directory of its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.runs.models import reply, value
from tests.scale.sharded import data_file, planned, run
from tpo.errors import ConfigError, StoreError
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.models import Models
from tpo.runs.shards import Shard

IDS = [f"q{number}" for number in range(2000)]


def test_each_query_belongs_to_one_shard_and_shards_are_even() -> None:
    shards = [Shard(8, number) for number in range(1, 9)]
    held = [[shard.number for shard in shards if shard.holds(query)] for query in IDS]
    assert all(len(numbers) == 1 for numbers in held)
    sizes = Counter(number for (number,) in held)
    assert max(sizes.values()) < 1.2 * min(sizes.values())


def test_the_assignment_of_an_id_never_changes() -> None:
    assert [
        next(n for n in range(1, 17) if Shard(16, n).holds(query)) for query in ("q0", "q1", "\ud83d")
    ] == [
        14,
        9,
        11,
    ]


def test_the_notation_counts_from_one() -> None:
    shard = Shard.parse("3/16")
    assert (shard.number, shard.count, str(shard), shard.directory) == (3, 16, "3/16", "03-of-16")
    assert Shard.of_directory("03-of-16") == shard
    assert Shard.of_directory("old") is None


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4", "1/1000000"])
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--shard is .* it must be NUMBER/COUNT"):
        Shard.parse(text)


async def test_a_shard_has_its_own_directory_and_the_settings_of_the_whole(tmp_path: Path) -> None:
    data = data_file(tmp_path)
    whole = await planned(data, tmp_path / "run")
    first, second = [await planned(data, tmp_path / "run", shard) for shard in ("1/2", "2/2")]
    assert first.path == tmp_path / "run" / "shards" / "1-of-2"
    assert whole.fingerprint() == first.fingerprint() == second.fingerprint()
    assert first.data.total is not None
    assert second.data.total is not None
    assert first.data.total + second.data.total == whole.data.total == 12


async def test_a_shard_is_run_again_by_the_plan_that_found_it_incomplete(tmp_path: Path) -> None:
    data = data_file(tmp_path)
    failing, *rest = [query.id for query in (await planned(data, tmp_path / "run", "1/2")).data.queries]
    assert (await run(data, tmp_path / "run", "1/2", failing)).failed == 1
    plan = await planned(data, tmp_path / "run", "1/2")
    assert not plan.is_complete()
    summary = await plan.run(Models(ScriptedPolicy(reply), ScriptedReward(value)))
    assert (summary.finished, summary.failed) == (1 + len(rest), 0)
    assert (await planned(data, tmp_path / "run", "1/2")).is_complete()


async def test_a_run_without_shard_beside_shards_is_refused(tmp_path: Path) -> None:
    data = data_file(tmp_path)
    first = await planned(data, tmp_path / "run", "1/2")
    async with first.opened(first.load_models()):
        pass
    whole = await planned(data, tmp_path / "run")
    with pytest.raises(StoreError, match=r"holds 1 shards of a run.*tpo merge"):
        async with whole.opened(whole.load_models(complete=True)):
            pass
