"""Shards merged: the same run as one process makes, and a refusal that names what is missing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.runs.models import by_id
from tests.scale.sharded import data_file, planned, run
from tests.scale.test_driver import Setup
from tpo.api import load_run
from tpo.cli.main import app
from tpo.errors import StoreBusy, StoreError, StoreMismatch
from tpo.export import read_in_order
from tpo.report import write_report
from tpo.runs.models import no_models
from tpo.scale.merge import merge_shards
from tpo.scale.run_command import run_command
from tpo.store import read_run, read_trajectories
from tpo.store.lock import Lock
from tpo.store.runfile import write_run

ORDER = [f"q{number}" for number in range(12)]


async def sharded(folder: Path, count: int = 3, failing: str = "") -> Path:
    out = folder / "big"
    for number in range(1, count + 1):
        await run(data_file(folder), out, f"{number}/{count}", failing)
    return out


async def test_merged_shards_are_the_run_of_one_process(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    summary = merge_shards(out)
    alone = await run(data_file(tmp_path), tmp_path / "alone")
    assert replace(summary, seconds=alone.seconds) == alone
    assert by_id(read_trajectories(out)) == by_id(read_trajectories(tmp_path / "alone"))
    assert [each.query.id for each in read_trajectories(out)] == ORDER
    merged = await planned(data_file(tmp_path), out)
    assert merged.is_complete()
    assert read_run(out).totals == json.loads(json.dumps(summary.record()))
    assert len(read_run(out).invocations) == 3


async def test_an_unmerged_set_is_read_as_one_run(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    assert [each.query.id for each in read_in_order(out)] == ORDER
    assert sorted(each.query.id for each in read_trajectories(out)) == sorted(ORDER)
    results = load_run(out)
    assert (results.summary.finished, results.totals["finished"]) == (12, 12)
    assert results.settings["queries"] == 12
    written = write_report([out], tmp_path / "page.html")
    assert written.queries == 12
    assert ("big", "The run is in 3 shards that are not merged.") in written.notes


async def test_missing_and_failed_shards_are_named_with_their_commands(tmp_path: Path) -> None:
    data, out = data_file(tmp_path), tmp_path / "big"
    await run(data, out, "1/3", seed=8)
    failing = next(query.id for query in (await planned(data, out, "2/3")).data.queries)
    await run(data, out, "2/3", failing, seed=8)
    with pytest.raises(StoreError) as refused:
        merge_shards(out)
    told = str(refused.value)
    assert "2 of 3 shards are not complete" in told
    assert "shard 3/3 is missing" in told
    assert ", 1 failed" in told
    for each in (2, 3):
        command = f"tpo run {data} --shard {each}/3 --out {out} --sample-size 2 --max-iterations 1"
        assert re.search(rf"{re.escape(command)}.* --seed 8", told)


async def test_a_shard_that_was_cut_off_is_named_with_the_queries_that_have_not_ended(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    file = out / "shards" / "2-of-3" / "trajectories.jsonl"
    lost = next(iter(read_trajectories(file))).query.id
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(StoreError, match=f"shard 2/3: .* finished, 1 not ended: {lost}\n"):
        merge_shards(out)
    assert merge_shards(out, partial=True).finished == 11
    await run(data_file(tmp_path), out, "2/3")
    assert merge_shards(out).finished == 12


async def test_shards_of_other_settings_are_refused(tmp_path: Path) -> None:
    data, out = data_file(tmp_path), tmp_path / "big"
    await run(data, out, "1/2")
    await run(data, out, "2/2", seed=9)
    with pytest.raises(StoreMismatch, match=r"shards 1/2 and 2/2 have different settings:\n  seed: 7 and 9"):
        merge_shards(out)


async def test_shards_of_another_count_are_refused(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    with pytest.raises(StoreError, match="holds shards of 3, this is one of 2: delete those"):
        await run(data_file(tmp_path), out, "1/2")
    (out / "shards" / "1-of-3").rename(out / "shards" / "1-of-2")
    with pytest.raises(StoreError, match="shards of 2 and of 3"):
        merge_shards(out)


async def test_shards_that_grow_are_merged_again_when_all_of_them_have_grown(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    merge_shards(out)
    data = data_file(tmp_path, 20)
    await run(data, out, "1/3")
    with pytest.raises(StoreMismatch, match="Repeat the command of every shard"):
        merge_shards(out)
    for number in (2, 3):
        await run(data, out, f"{number}/3")
    assert merge_shards(out).finished == 20
    assert merge_shards(out).finished == 20


async def test_a_shard_of_unknown_size_is_complete_when_its_last_invocation_ended(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    shard = out / "shards" / "2-of-3"
    record = read_run(shard)
    unknown = replace(record, configuration={**record.configuration, "queries": None})
    write_run(shard, unknown)
    assert merge_shards(out).finished == 12
    write_run(shard, unknown.begin(9.0).end(9.5, unknown.totals, interrupted=True))
    with pytest.raises(StoreError, match=r"shard 2/3: \d finished"):
        merge_shards(out)


async def test_a_shard_that_was_killed_while_iterations_were_added_is_not_complete(tmp_path: Path) -> None:
    data, out = data_file(tmp_path), await sharded(tmp_path, 2)
    await run(data, out, "1/2", max_iterations=3)
    killed = await planned(data, out, "2/2", max_iterations=3)
    async with killed.opened(no_models()):
        pass
    names = [query.id for query in killed.data.queries]
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    told = f"shard 2/2: 0 of {len(names)} queries finished, {len(names)} not ended: {listed}\n"
    with pytest.raises(StoreError, match=re.escape(told)):
        merge_shards(out)
    await run(data, out, "2/2", max_iterations=3)
    merge_shards(out)
    assert {len(each.steps) for each in read_trajectories(out)} == {3}


@pytest.mark.parametrize("known", [True, False])
async def test_a_query_that_failed_while_it_was_continued_is_told_and_keeps_its_answer(
    tmp_path: Path, known: bool
) -> None:
    data, out = data_file(tmp_path), await sharded(tmp_path, 2)
    shard = out / "shards" / "2-of-2"
    failing = next(read_trajectories(shard)).query.id
    await run(data, out, "1/2", max_iterations=2)
    await run(data, out, "2/2", failing, failing_step=2, max_iterations=2)
    if not known:
        record = read_run(shard)
        write_run(shard, replace(record, configuration={**record.configuration, "queries": None}))
    with pytest.raises(StoreError, match=r"shard 2/2: \d+ (of \d+ queries )?finished, 1 failed"):
        merge_shards(out)
    assert merge_shards(out, partial=True).finished == 12
    assert [each.query.id for each in read_trajectories(out) if len(each.steps) == 1] == [failing]


async def test_parts_of_a_run_that_was_killed_while_iterations_were_added_are_not_complete(
    tmp_path: Path,
) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(keep_parts=True)
    killed = await setup.plan("run", max_iterations=3, ray="auto", keep_parts=True)
    async with killed.opened(no_models()):
        pass
    with pytest.raises(StoreError, match="0 of 12 queries finished, 0 failed: repeat the command"):
        merge_shards(tmp_path / "run")


async def test_shards_whose_data_has_lost_rows_are_merged_with_them(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    data = data_file(tmp_path, 8)
    for number in (1, 2, 3):
        await run(data, out, f"{number}/3")
    assert merge_shards(out).finished == 12
    data.unlink()
    assert merge_shards(out).finished == 12


async def test_a_run_in_parts_whose_data_has_lost_rows_is_merged_with_them(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    await setup.on_ray(keep_parts=True)
    await setup.on_ray(count=8, keep_parts=True)
    assert merge_shards(tmp_path / "run").finished == 12


async def test_queries_of_rows_that_the_data_has_lost_do_not_stand_for_others(tmp_path: Path) -> None:
    data, out = data_file(tmp_path, 20), tmp_path / "big"
    for rows in (20, 8):
        for number in (1, 2):
            await run(data_file(tmp_path, rows), out, f"{number}/2")
    shard = out / "shards" / "2-of-2"
    lost = next(iter((await planned(data, out, "2/2")).data.queries)).id
    file = shard / "trajectories.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(line for line in lines if f'"id":"{lost}"'.encode() not in line))
    told = f"shard 2/2: .* finished, also of rows that the data has no longer, not ended: {lost}\n"
    with pytest.raises(StoreError, match=told):
        merge_shards(out)
    data.unlink()
    write_run(shard, read_run(shard).begin(9.0))
    with pytest.raises(StoreError, match=r"shard 2/2: \d+ finished, also of rows .* no longer\n"):
        merge_shards(out)


def name_data(out: Path, name: str) -> None:
    """Put *name* as that of the data into the records of the shards."""
    for shard in (out / "shards").iterdir():
        record = read_run(shard)
        write_run(shard, replace(record, configuration={**record.configuration, "data": name}))


def merge_elsewhere(out: Path) -> str:
    """Merge with an open standard input, in a process without the library ``datasets``."""
    code = (
        "import sys; sys.modules['datasets'] = None\n"
        "from tests.scale.command import main\n"
        "sys.argv[1:] = ['merge', *sys.argv[1:]]; main()"
    )
    given, kept_open = os.pipe()
    try:
        command = [sys.executable, "-c", code, str(out)]
        return subprocess.run(
            command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        ).stdout
    finally:
        os.close(given)
        os.close(kept_open)


@pytest.mark.parametrize("name", ["hf:someone/prompts", "-"])
async def test_shards_are_merged_where_their_data_cannot_be_read(tmp_path: Path, name: str) -> None:
    out = await sharded(tmp_path)
    name_data(out, name)
    assert merge_elsewhere(out).startswith("12 queries finished")
    (out / "shards" / "3-of-3" / "trajectories.jsonl").write_bytes(b"")
    assert "shard 3/3: 0 of 3 queries finished\n" in merge_elsewhere(out)


async def test_a_merged_run_with_its_shards_is_not_deleted_by_fresh(tmp_path: Path) -> None:
    data, out = data_file(tmp_path), await sharded(tmp_path)
    merge_shards(out)
    anew = replace(await planned(data, out), fresh=True)
    with pytest.raises(StoreError, match=r"holds 3 shards of a run"):
        async with anew.opened(anew.load_models(complete=True)):
            pass
    assert read_run(out).totals["finished"] == 12
    assert (out / "trajectories.jsonl").stat().st_size


def test_the_command_of_a_shard_names_every_source() -> None:
    command = run_command({"data": ["a.jsonl", "b c.jsonl"], "seed": 9}, Path("big"), "1/2")
    assert command == "tpo run a.jsonl 'b c.jsonl' --shard 1/2 --out big --seed 9"


async def test_a_query_in_two_shards_is_refused(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    one, two = (out / "shards" / f"{number}-of-3" / "trajectories.jsonl" for number in (1, 2))
    copied = one.read_bytes().splitlines(keepends=True)[0]
    two.write_bytes(two.read_bytes() + copied)
    with pytest.raises(StoreError, match=r"occur in more than one shard: q\d+"):
        merge_shards(out, partial=True)


async def test_a_renamed_shard_is_refused(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    (out / "shards" / "1-of-3").rename(out / "shards" / "4")
    (out / "shards" / "2-of-3").rename(out / "shards" / "1-of-3")
    with pytest.raises(StoreError, match=r"query 'q\d+' belongs to another shard"):
        merge_shards(out, partial=True)


async def test_a_shard_at_work_is_not_merged(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    held = Lock(out / "shards" / "1-of-3")
    with pytest.raises(StoreBusy, match="a shard is merged after its run has ended"):
        merge_shards(out)
    held.release()
    merge_shards(out)


async def test_a_merged_run_that_was_resumed_is_not_replaced(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    merge_shards(out)
    write_run(out, read_run(out).begin(1.0))
    with pytest.raises(StoreError, match="was resumed since"):
        merge_shards(out)


async def test_a_partial_merge_is_resumed_without_repeating_calls(tmp_path: Path) -> None:
    data, out = data_file(tmp_path), tmp_path / "big"
    await run(data, out, "1/2")
    merge_shards(out, partial=True)
    before = {each.query.id for each in read_trajectories(out)}
    assert 0 < len(before) < 12
    summary = await run(data, out)
    assert summary.finished == 12


async def test_the_command_merges_and_refuses(tmp_path: Path) -> None:
    out = await sharded(tmp_path)
    done = CliRunner().invoke(app, ["merge", str(out)])
    assert (done.exit_code, done.output) == (0, f"12 queries finished: {out}\n")
    refused = CliRunner().invoke(app, ["merge", str(tmp_path)])
    assert refused.exit_code == 2
    assert "no shards are here" in refused.output
