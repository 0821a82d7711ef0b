"""Data of recorded runs, found again or not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.scale.sharded import data_file, run
from tpo.runs.shards import Shard
from tpo.scale.recorded_data import RecordedData
from tpo.store import RunRecord, read_run


async def recorded(folder: Path) -> RunRecord:
    await run(data_file(folder, 4), folder / "out")
    return read_run(folder / "out")


async def test_unchanged_data_is_found_again_whole_or_by_shard(tmp_path: Path) -> None:
    record = await recorded(tmp_path)
    found = RecordedData().of(record)
    assert found is not None
    ids = [query.id for query in found.queries]
    halves = [RecordedData().of_shard(record, Shard(2, number)) for number in (1, 2)]
    assert sorted(query.id for half in halves if half is not None for query in half) == sorted(ids)


@pytest.mark.parametrize("count", [0, 5])
async def test_data_that_has_changed_or_gone_is_not_used(tmp_path: Path, count: int) -> None:
    record = await recorded(tmp_path)
    if count:
        data_file(tmp_path, count)
    else:
        (tmp_path / "prompts.jsonl").unlink()
    assert RecordedData().of(record) is None
    assert RecordedData().of_shard(record, Shard(2, 1)) is None


@pytest.mark.parametrize("source", ["-", ["prompts.jsonl", "-"]])
async def test_standard_input_is_not_read_again(tmp_path: Path, source: object) -> None:
    record = await recorded(tmp_path)
    piped = replace(record, configuration={**record.configuration, "data": source})
    assert RecordedData().of(piped) is None
