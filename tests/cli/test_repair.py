from pathlib import Path

from typer.testing import CliRunner, Result

from tests.store.test_directory import opened
from tests.store.values import trajectory
from tpo.cli.main import app
from tpo.store import read_trajectories


def repair(run: Path) -> Result:
    return CliRunner().invoke(app, ["repair", str(run)])


async def test_a_damaged_run_is_repaired_and_what_was_found_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        for query in ("a", "b"):
            await directory.append(trajectory(query))
        await directory.append(trajectory("c", error="gone"))
    file = tmp_path / "trajectories.jsonl"
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"id":"b","digest"', b'"id":"x","digest"'))
    (tmp_path / "run.json").write_text("{")
    result = repair(tmp_path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "run.json is restored from its backup",
        "trajectories.jsonl: 1 damaged line moved to trajectories.jsonl.damaged",
        "1 query finished, 1 failed; the command of the run resumes it",
    ]
    assert [each.query.id for each in read_trajectories(tmp_path)] == ["a", "c"]


async def test_a_lost_run_json_of_a_merged_run_is_told_as_restored(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "shards" / "1-of-1"):
        async with opened(path) as directory:
            await directory.append(trajectory("a"))
    (tmp_path / "run.json").unlink()
    assert repair(tmp_path).stdout.splitlines() == [
        "run.json is restored from its backup",
        "1 query finished; the command of the run resumes it",
    ]


async def test_a_run_without_damage_is_said_to_have_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as directory:
        await directory.append(trajectory("a"))
    assert repair(tmp_path).stdout.splitlines() == [
        "nothing is damaged",
        "1 query finished; the command of the run resumes it",
    ]


def test_what_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    result = repair(tmp_path)
    assert result.exit_code == 2
    assert "no run is here" in result.stderr
