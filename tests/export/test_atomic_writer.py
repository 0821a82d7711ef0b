"""Files appear whole or not at all."""

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.errors import StoreError
from tpo.export.atomic_writer import replacing_text, write_json_list

Values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(values=st.lists(Values, max_size=4))
def test_a_streamed_list_is_what_json_would_write(
    values: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "list.json"
    whole = io.StringIO()
    json.dump(values, whole, indent=4, ensure_ascii=False)
    assert write_json_list(path, values) == len(values)
    assert path.read_bytes().decode("utf-8") == whole.getvalue()


def test_a_failure_in_the_middle_leaves_what_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("before")

    def values() -> Iterator[object]:
        yield 1
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        write_json_list(path, values())
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("before")
    (tmp_path / "link.json").symlink_to("real.json")
    write_json_list(tmp_path / "link.json", [1])
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text()) == [1]
    (tmp_path / "null").symlink_to(os.devnull)
    write_json_list(tmp_path / "null", [1])
    assert (tmp_path / "null").is_symlink()
    assert Path(os.devnull).is_char_device()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found: list[str] = []
    reading = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reading.start()
    write_json_list(tmp_path / "pipe", [1])
    reading.join(60)
    assert json.loads(found[0]) == [1]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_json_list(tmp_path / "a" / "b" / "out.json", [1])
    assert json.loads((tmp_path / "a" / "b" / "out.json").read_text()) == [1]


def test_what_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"), replacing_text(tmp_path / "file" / "out.json"):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot write"), replacing_text(tmp_path / "folder") as file:
        file.write("a")


def test_the_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".json")
    write_json_list(path, [1])
    assert path.exists()
