"""Digests are of a query's content; ids stay with it."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

from tests.store.values import trajectory
from tpo.data import ids_by_digest, load_queries, query_digest
from tpo.store.trajectory_line import decode_trajectory, encode_trajectory
from tpo.types import Query, user


def write(folder: Path, name: str, texts: list[str]) -> str:
    path = folder / name
    content = "".join(json.dumps({"prompt": text}) + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def test_place_id_and_metadata_are_no_part_of_a_digest() -> None:
    query = Query("a", (user("Why?"),), "b", {"x": 1}, position=3)
    assert query_digest(query) == query_digest(Query("c", (user("Why?"),), "b"))


def test_messages_and_reference_change_a_digest() -> None:
    queries = [
        Query("a", (user("Why?"),)),
        Query("a", (user("Why"),)),
        Query("a", (user("Why?"),), "because"),
        Query("a", (user("\ud83d"),)),
    ]
    assert len(set(map(query_digest, queries))) == len(queries)


def test_a_query_read_back_from_a_run_has_the_same_digest() -> None:
    query = Query("a", (user("Why?"),), "b", {"x": [1.5, None, "é"], "y": {"z": True}})
    back = decode_trajectory(encode_trajectory(replace(trajectory("a"), query=query))).query
    assert query_digest(back) == query_digest(query)


def test_format_and_compression_do_not_change_digests(tmp_path: Path) -> None:
    plain, packed = write(tmp_path, "a.jsonl", ["a", "b"]), write(tmp_path, "a.jsonl.gz", ["a", "b"])
    (tmp_path / "a.csv").write_text("prompt\na\nb\n")
    digests = [list(map(query_digest, load_queries(s))) for s in (plain, packed, str(tmp_path / "a.csv"))]
    assert digests[0] == digests[1] == digests[2]


def test_known_queries_keep_their_ids_among_new_and_reordered_ones(tmp_path: Path) -> None:
    before = load_queries(write(tmp_path, "a.jsonl", ["a", "b", "c", "a"]))
    after = write(tmp_path, "b.jsonl", ["new", "c", "a", "newer", "a", "a", "b"])
    queries = list(load_queries(after, known_ids=ids_by_digest(before)))
    named = [(q.text, q.id) for q in queries]
    assert named == [
        ("new", "q4"),
        ("c", "q2"),
        ("a", "q0"),
        ("newer", "q5"),
        ("a", "q3"),
        ("a", "q6"),
        ("b", "q1"),
    ]
    assert [q.position for q in queries] == list(range(7))


def test_appended_rows_are_numbered_on(tmp_path: Path) -> None:
    before = load_queries(write(tmp_path, "a.jsonl", ["a", "b"]))
    after = write(tmp_path, "b.jsonl", ["a", "b", "c"])
    assert [q.id for q in load_queries(after, known_ids=ids_by_digest(before))] == ["q0", "q1", "q2"]


def test_a_changed_row_takes_the_id_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    before = load_queries(write(tmp_path, "a.jsonl", ["a", "b", "c"]))
    after = write(tmp_path, "b.jsonl", ["a", "other", "c", "b2"])
    known = ids_by_digest(before)
    assert [q.id for q in load_queries(after, known_ids=known)] == ["q0", "q1", "q2", "q3"]
    moved = write(tmp_path, "c.jsonl", ["c", "other", "b"])
    assert [q.id for q in load_queries(moved, known_ids=known, limit=2)] == ["q2", "q3"]


def test_rows_of_equal_content_stay_where_they_were(tmp_path: Path) -> None:
    before = load_queries(write(tmp_path, "a.jsonl", ["a", "b", "a"]))
    known = {digest: tuple(reversed(ids)) for digest, ids in ids_by_digest(before).items()}
    after = write(tmp_path, "b.jsonl", ["a", "b", "a", "c"])
    assert [q.id for q in load_queries(after, known_ids=known)] == ["q0", "q1", "q2", "q3"]
