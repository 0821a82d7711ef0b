"""A digest of weights: the same wherever they lie, another for other ones, however large the file is."""

import json
import struct
from pathlib import Path

import pytest

from tpo.inprocess.weights import PAGE, PAGES, WHOLE, weights_digest

TENSOR = WHOLE // 4 + 1


def model(folder: Path, weights: bytes = b"weights", **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    for name, text in ({"config": '{"model_type": "llama"}'} | files).items():
        (folder / f"{name}.json").write_text(text, "utf-8")
    return folder


def large(folder: Path, tensors: int = 5, header: str | None = None) -> Path:
    """A file too large to be read whole, sparse on the disk: *tensors* of zeros."""
    spans = {f"layer.{n}": {"data_offsets": [n * TENSOR, (n + 1) * TENSOR]} for n in range(tensors)}
    text = (header or json.dumps(spans)).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + tensors * TENSOR)
    return folder


def poke(folder: Path, tensor: int, at: int, header: int) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(8 + header + tensor * TENSOR + at)
        file.write(b"\1")


def header_length(folder: Path) -> int:
    with (folder / "model.safetensors").open("rb") as file:
        return int(struct.unpack("<Q", file.read(8))[0])


def test_the_same_files_elsewhere_are_the_same_model(tmp_path: Path) -> None:
    first, second = model(tmp_path / "a"), model(tmp_path / "b" / "c")
    assert weights_digest(first) == weights_digest(str(second))
    (second / "README.md").write_text("told")
    (second / "optimizer.pt").write_text("left over")
    assert weights_digest(first) == weights_digest(second)


def test_other_weights_tokenizers_settings_and_code_are_another_model(tmp_path: Path) -> None:
    coded = '{"auto_map": {}}'
    folders = [
        model(tmp_path / "a"),
        model(tmp_path / "b", b"Weights"),
        model(tmp_path / "c", tokenizer="{}"),
        model(tmp_path / "d", config='{"model_type": "qwen"}'),
        model(tmp_path / "e", config=coded),
        model(tmp_path / "f", config=coded),
    ]
    (folders[-1] / "own.py").write_text("pass")
    assert len({weights_digest(folder) for folder in folders}) == len(folders)


@pytest.mark.parametrize("tensor", range(5))
@pytest.mark.parametrize("at", [0, PAGE - 1, TENSOR // 2 + 5])
def test_of_a_large_file_each_tensor_counts(tmp_path: Path, tensor: int, at: int) -> None:
    folder = large(tmp_path)
    before = weights_digest(folder)
    poke(folder, tensor, at, header_length(folder))
    assert weights_digest(folder) != before


def test_a_large_file_with_a_damaged_header_is_read_in_places(tmp_path: Path) -> None:
    folder = large(tmp_path, header='{"layer": 7}')
    before = weights_digest(folder)
    poke(folder, 0, (5 * TENSOR) * 9 // PAGES + 50, header_length(folder))
    assert weights_digest(folder) != before


@pytest.mark.parametrize("name", ["", "/no/such/folder", "no one/has such", "nobody/has-such-a-model-here"])
def test_what_is_not_on_this_machine_has_none(name: str) -> None:
    assert weights_digest(name) is None


def test_a_folder_without_files_has_none(tmp_path: Path) -> None:
    assert weights_digest(tmp_path) is None
