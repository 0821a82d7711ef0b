import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.view.tail import Tail

CONTENT = st.binary(max_size=40).map(lambda body: body.replace(b"\n", b" ") + b"\n")


def everything(tail: Tail) -> list[tuple[int, int, bytes]]:
    """What a look finds, and those that must follow it at once."""
    found = []
    while True:
        growth = tail.read()
        found += [(line.number, line.offset, line.content) for line in growth.lines]
        if not growth.more:
            return found


@given(lines=st.lists(CONTENT, max_size=12), cuts=st.lists(st.integers(0, 500)), read_size=st.integers(1, 64))
def test_each_line_is_read_once_and_whole_however_it_is_written(
    lines: list[bytes], cuts: list[int], read_size: int
) -> None:
    whole = b"".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        tail, seen = Tail(path, read_size), []
        ends = [*sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
        for start, end in zip([0, *ends], ends, strict=False):
            with path.open("ab") as file:
                file.write(whole[start:end])
            seen += everything(tail)
            assert [content for *_, content in seen] == lines[: whole[:end].count(b"\n")]
        assert [content for *_, content in seen] == lines
        assert all(whole[offset : offset + len(content)] == content for _, offset, content in seen)
        assert [number for number, *_ in seen] == list(range(1, len(lines) + 1))


@given(before=st.lists(CONTENT, min_size=1, max_size=6), after=st.lists(CONTENT, max_size=6))
def test_a_file_begun_anew_is_read_from_its_start(before: list[bytes], after: list[bytes]) -> None:
    old, new = b"".join(before), b"".join(after)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines"
        path.write_bytes(old)
        tail = Tail(path)
        everything(tail)
        path.unlink()
        path.write_bytes(new)
        os.utime(path, ns=(0, 1))
        growth = tail.read()
        # What begins with all that was read is the same file, grown.
        assert growth.replaced == (not new.startswith(old))
        assert [line.content for line in growth.lines] == (after if growth.replaced else after[len(before) :])


def test_a_half_written_line_waits_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    tail = Tail(path)
    growth = tail.read()
    assert ([line.content for line in growth.lines], growth.torn) == ([b"one\n"], True)
    assert tail.read().torn
    with path.open("ab") as file:
        file.write(b"o\n")
    growth = tail.read()
    assert ([line.content for line in growth.lines], growth.torn) == ([b"two\n"], False)


def test_a_torn_end_that_was_cut_off_is_no_new_file(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    tail = Tail(path)
    tail.read()
    path.write_bytes(b"one\nthree\n")
    growth = tail.read()
    assert ([line.content for line in growth.lines], growth.replaced) == ([b"three\n"], False)


def test_a_file_that_is_removed_and_comes_again_is_another(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    tail = Tail(path)
    assert tail.read().lines == ()
    path.write_bytes(b"one\n")
    assert not tail.read().replaced
    path.unlink()
    assert tail.read().replaced
    assert not tail.read().replaced
    path.write_bytes(b"one\n")
    growth = tail.read()
    assert ([line.number for line in growth.lines], growth.replaced) == ([1], False)


def test_what_is_no_file_is_an_error_and_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert Tail(tmp_path / "pipe").read().error == "it is not a regular file"
    (tmp_path / "folder").mkdir()
    assert Tail(tmp_path / "folder").read().error


def test_nothing_is_read_of_a_file_that_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    tail = Tail(path)
    tail.read()
    seen = path.stat().st_atime_ns
    assert tail.read().lines == ()
    assert path.stat().st_atime_ns == seen


@pytest.mark.parametrize("read_size", [1, 3, 1000])
def test_a_line_longer_than_a_block_is_read_whole(tmp_path: Path, read_size: int) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"x" * 100 + b"\n" + b"y\n")
    assert [content for *_, content in everything(Tail(path, read_size))] == [b"x" * 100 + b"\n", b"y\n"]
