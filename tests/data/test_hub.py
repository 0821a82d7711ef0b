"""Hugging Face data sets, from folders, so that nothing is downloaded."""

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tpo.data import count_queries, data_digest, load_queries
from tpo.data.hub import HubSource
from tpo.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.jsonl").write_text('{"prompt": "a", "id": 5}\n{"prompt": "b", "id": 6}\n')
    (tmp_path / "test.jsonl").write_text('{"prompt": "c", "id": 7}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("hf:squad", HubSource("squad")),
        ("hf:org/set:test", HubSource("org/set", None, "test")),
        ("hf:org/set:main:test", HubSource("org/set", "main", "test")),
        ("hf:org/set:main:", HubSource("org/set", "main", None)),
    ],
)
def test_a_spec_is_read_and_written_again(spec: str, source: HubSource) -> None:
    assert HubSource.parse(spec) == source
    assert source.spec == spec


@pytest.mark.parametrize("spec", ["hf:", "hf::test", "hf:a:b:c:d"])
def test_another_shape_is_refused(spec: str) -> None:
    with pytest.raises(DataError, match="write hf:NAME"):
        load_queries(spec)


def test_a_split_of_a_folder_is_streamed(folder: Path) -> None:
    assert [(q.id, q.text) for q in load_queries(f"hf:{folder}:train")] == [("5", "a"), ("6", "b")]
    assert [q.text for q in load_queries(f"hf:{folder}:default:test")] == ["c"]


def test_several_splits_are_listed_when_none_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"has several splits; write .* with one of train, test"):
        count_queries(f"hf:{folder}")


def test_an_unknown_split_is_refused_with_those_there_are(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'val'; .* train, test"):
        count_queries(f"hf:{folder}:val")


def test_the_first_row_is_checked_by_counting(folder: Path) -> None:
    with pytest.raises(DataError, match="row 1: no 'question' here"):
        count_queries(f"hf:{folder}:train", column="question")


def test_a_set_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be loaded: .* Check the name"):
        count_queries(f"hf:{tmp_path}/none:train")


def test_the_digest_follows_content_and_split(folder: Path) -> None:
    before = data_digest(f"hf:{folder}:train")
    assert before == data_digest(f"hf:{folder}:train")
    assert before != data_digest(f"hf:{folder}:test")
    (folder / "train.jsonl").write_text('{"prompt": "other", "id": 5}\n')
    assert before != data_digest(f"hf:{folder}:train")


def test_a_saved_set_is_read_and_its_size_known(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"prompt": "a"}, {"prompt": "b"}]).save_to_disk(tmp_path / "saved")
    spec = f"hf:{tmp_path}/saved"
    assert [q.text for q in load_queries(spec)] == ["a", "b"]
    assert (count_queries(spec), count_queries(spec, limit=1)) == (2, 1)
    assert data_digest(spec).startswith(f"{spec}@")


def test_a_data_set_built_by_a_script_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "old.py").write_text("import datasets\n")
    with pytest.raises(DataError, match=r"built by a Python script.*@refs/convert/parquet:SPLIT") as caught:
        count_queries(f"hf:{tmp_path}/old")
    assert "HF_TOKEN" not in str(caught.value)


def test_an_empty_folder_does_not_ask_for_a_token(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A folder must hold data files") as caught:
        count_queries(f"hf:{tmp_path}")
    assert "HF_TOKEN" not in str(caught.value)


def test_a_configuration_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    configs = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in "ab")
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text('{"prompt": "x"}\n')
    with pytest.raises(DataError, match=r"'a', 'b'.*Name one of its configurations"):
        count_queries(f"hf:{tmp_path}")


def test_a_revision_is_part_of_the_name() -> None:
    source = HubSource.parse("hf:org/set@refs/convert/parquet:main:test")
    assert source == HubSource("org/set", "main", "test", "refs/convert/parquet")
    assert source.spec == "hf:org/set@refs/convert/parquet:main:test"


def test_a_whole_download_is_read_in_order(folder: Path, tmp_path: Path) -> None:
    source = HubSource(str(folder), split="train")
    rows = list(source.whole_rows(tmp_path / "cache"))
    assert [row.value for row in rows] == [{"prompt": "a", "id": 5}, {"prompt": "b", "id": 6}]
    assert rows[1].place == f"{source.spec}: row 2"


def test_a_text_of_a_download_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    _, offsets, data = pa.array([b"\xff"], pa.binary()).buffers()
    (tmp_path / "data").mkdir()
    table = pa.table({"prompt": pa.StringArray.from_buffers(1, offsets, data)})
    pq.write_table(table, tmp_path / "data" / "train.parquet")
    with pytest.raises(DataError, match="UnicodeDecodeError"):
        list(HubSource(str(tmp_path / "data"), split="train").whole_rows(tmp_path / "cache"))


def test_one_file_of_a_repository_is_a_path(folder: Path) -> None:
    source = HubSource(str(folder), file="test.jsonl")
    assert source.download() == folder / "test.jsonl"
    assert source.spec == f"hf:{folder}:test.jsonl"
