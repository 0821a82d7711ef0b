import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.memory import memory_folder
from tpo.errors import StoreError, StoreMismatch
from tpo.store.runfile import RunRecord, check_fingerprint, joined, read_run, versions, write_run


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = RunRecord({"concurrency": 3}, {"seed": 7}).begin(100.0)
    write_run(tmp_path, record)
    assert read_run(tmp_path) == record
    assert read_run(tmp_path).ended is None
    ended = record.end(160.0, {"finished": 3}, interrupted=True)
    write_run(tmp_path, ended)
    assert read_run(tmp_path / "run.json") == ended
    assert {path.name for path in tmp_path.iterdir()} == {"run.json", "run.json.bak"}
    assert read_run(tmp_path / "run.json.bak") == ended


def test_it_counts_the_time_of_every_invocation_that_ended() -> None:
    record = RunRecord({}, {}).begin(100.0).end(160.0, {}, interrupted=True)
    record = record.begin(500.0).begin(1000.0).end(1005.0, {}, interrupted=False)
    assert record.seconds == 65.0
    assert (record.started, record.ended) == (100.0, 1005.0)


def test_the_file_tells_schema_versions_start_and_end(tmp_path: Path) -> None:
    write_run(tmp_path, RunRecord({}, {}).begin(100.0).end(160.0, {"failed": 1}, interrupted=False))
    body = json.loads((tmp_path / "run.json").read_text())
    assert (body["schema"], body["started"], body["ended"]) == (2, 100.0, 160.0)
    assert body["totals"] == {"failed": 1}
    assert body["versions"] == versions()
    assert "python" in body["versions"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "not a run's record"),
        ("[" * 100_000, "is damaged"),
        ("{}", "schema version none"),
        ('{"schema": 1}', "not a whole run's record"),
        ('{"schema": 1, "invocations": [{"x": 1}]}', "not a whole run's record"),
        ('{"schema": 9}', "schema version 9"),
    ],
)
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StoreError, match=message) as caught:
        read_run(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value)


def test_a_directory_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run is here"):
        read_run(tmp_path)
    with pytest.raises(StoreError, match="no run is here"):
        read_run(tmp_path / "missing")


def test_a_configuration_that_is_not_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be plain JSON"):
        write_run(tmp_path, RunRecord({"x": object()}, {}).begin(0.0))


def test_every_differing_key_is_named_with_both_values(tmp_path: Path) -> None:
    there: dict[str, Any] = {"seed": 7, "method.name": "tpo", "old": True, "same": [1, 2]}
    now: dict[str, Any] = {"seed": 8, "method.name": "bon", "new": "x" * 200, "same": (1, 2)}
    with pytest.raises(StoreMismatch) as caught:
        check_fingerprint(tmp_path, there, now)
    text = str(caught.value)
    assert "  seed: 7 there, 8 now\n" in text
    assert '  method.name: "tpo" there, "bon" now\n' in text
    assert "  old: true there, not set now\n" in text
    assert "  new: not set there, " in text
    assert "same" not in text
    assert "--out" in text
    assert "--fresh" in text
    assert max(map(len, text.splitlines())) < 200


def test_an_equal_fingerprint_passes(tmp_path: Path) -> None:
    check_fingerprint(tmp_path, {"a": [1], "b": 1.5}, {"b": 1.5, "a": (1,)})


def test_retries_are_those_of_all_invocations_that_ended(tmp_path: Path) -> None:
    record = RunRecord({}, {}).begin(100.0).end(160.0, {}, interrupted=True, retries={"loss": 2, "reward": 1})
    record = record.begin(200.0).end(210.0, {}, interrupted=False, retries={"reward": 4}).begin(300.0)
    write_run(tmp_path, record)
    assert read_run(tmp_path).retries == {"loss": 2, "reward": 5}


RECORD = RunRecord({"concurrency": 3}, {"seed": 7}).begin(100.0).end(160.0, {"mean": 1.5}, interrupted=False)


def content_of_record() -> bytes:
    with memory_folder() as folder:
        write_run(folder, RECORD)
        return (folder / "run.json").read_bytes()


CONTENT = content_of_record()


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_a_flipped_byte_never_gives_another_record(place: int, mask: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= mask
    with memory_folder() as folder:
        (folder / "run.json").write_bytes(damaged)
        found = None
        with contextlib.suppress(StoreError):
            found = read_run(folder)
    assert found in (None, RECORD)


def test_keys_of_later_versions_are_ignored(tmp_path: Path) -> None:
    body = json.loads(CONTENT)
    del body["checksum"]
    body["invocations"][0]["later"] = body["later"] = 1
    (tmp_path / "run.json").write_text(json.dumps(body))
    assert read_run(tmp_path) == RECORD


def test_a_damaged_record_with_a_backup_tells_how_to_restore_it(tmp_path: Path) -> None:
    write_run(tmp_path, RECORD)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(StoreError, match=rf"is damaged: .*; `tpo repair {tmp_path}` restores it"):
        read_run(tmp_path)


def test_more_iterations_and_other_data_continue_a_run(tmp_path: Path) -> None:
    there = {"method.max_iterations": 2, "data": "sha256:ab", "seed": 7}
    now = {"method.max_iterations": 3, "data": "sha256:cd", "seed": 7}
    check_fingerprint(tmp_path, there, now)
    assert joined(there, now) == now
    with pytest.raises(StoreMismatch, match="max_iterations: 3 there, 2 now; iterations can be added, not"):
        check_fingerprint(tmp_path, now, there)


def test_a_digest_that_differs_is_told_in_words(tmp_path: Path) -> None:
    there = {
        "method.wording": "32c442e6b5a10f73",
        "weights of policy tiny": "ae5e64b0edc4a08e20bffe6c6614e575",
    }
    now = {key: value[::-1] for key, value in there.items()}
    with pytest.raises(StoreMismatch) as caught:
        check_fingerprint(tmp_path, there, now)
    assert "  method.wording: has changed since the run began\n" in str(caught.value)
    assert "  weights of policy tiny: has changed since the run began\n" in str(caught.value)
    assert "32c442" not in str(caught.value)


def test_a_record_of_an_earlier_version_has_no_retries(tmp_path: Path) -> None:
    write_run(tmp_path, RunRecord({}, {}).begin(100.0).end(160.0, {}, interrupted=False))
    body = json.loads((tmp_path / "run.json").read_text())
    del body["checksum"]
    for invocation in body["invocations"]:
        del invocation["retries"]
    (tmp_path / "run.json").write_text(json.dumps(body))
    assert read_run(tmp_path).retries == {}


WEIGHTS, SCALE = "weights of policy tiny", "scale of reward tiny"


def test_what_is_measured_of_models_is_refused_where_it_differs(tmp_path: Path) -> None:
    there = {"seed": 7, WEIGHTS: "ab", SCALE: {"mean": 0.1, "std": 1.0}}
    for key, other in ((WEIGHTS, "cd"), (SCALE, {"mean": 0.2, "std": 1.0})):
        with pytest.raises(StoreMismatch, match=f"{key}: .* there, .* now") as caught:
            check_fingerprint(tmp_path, there, there | {key: other})
        assert str(caught.value).count("there,") == 1
    check_fingerprint(tmp_path, there, dict(there))


def test_it_counts_only_where_both_know_it_and_counts_from_then_on(tmp_path: Path) -> None:
    old, now = {"seed": 7}, {"seed": 7, WEIGHTS: "ab"}
    check_fingerprint(tmp_path, old, now)
    check_fingerprint(tmp_path, now, old)
    assert joined(old, now) == now
    assert joined(now, old) == now
    assert joined({"seed": 7, WEIGHTS: "ab"}, {"seed": 7, "other": 1, WEIGHTS: "cd"}) == now
