"""Text files: a query per line."""

from pathlib import Path

from tpo.data.sources import open_source


def test_each_line_that_is_not_blank_is_a_row_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("first\r\n\n  \n second\u2028half".encode())
    rows = list(open_source(str(file)).rows())
    assert [row.value for row in rows] == ["first", " second\u2028half"]
    assert [row.place for row in rows] == [f"{file}:1", f"{file}:4"]
    assert open_source(str(file)).known_size() is None
