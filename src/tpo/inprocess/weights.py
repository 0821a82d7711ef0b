"""Telling a model's weights from others under the same name, without reading them all.

Names and shapes do not tell a model from its fine-tuned sister, and hashing 16 GB takes a minute: so of a
large file the header is read, and two pages of each tensor, of which training leaves none as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

WHOLE = 64 << 20
"""Bytes up to which a file is read from end to end."""
PAGE = 4096
PAGES = 256
"""Read of a large file that names no tensors."""
BESIDE = {
    "adapter_config.json",
    "added_tokens.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
}
"""Files beside the weights that affect answers: tokenizer, templates, stop tokens."""


def weights_digest(path_or_id: str | Path) -> str | None:
    """Return a digest of the model at *path_or_id*, as 32 hexadecimal digits.

    A folder, or an id of the Hugging Face hub that is in the cache of this machine; None where there are no
    files to read. Where they lie does not matter, only what they hold.
    """
    folder = _folder(str(path_or_id))
    files = [] if folder is None else _files(folder)
    if not files:
        return None
    digest = blake2b(digest_size=16)
    for file in files:
        with file.open("rb") as opened:
            size = file.stat().st_size
            digest.update(f"{file.name}\0{size}\0".encode())
            for start, length in _parts(opened, size, file.suffix):
                opened.seek(start)
                digest.update(opened.read(length))
    return digest.hexdigest()


def _folder(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        config = try_to_load_from_cache(name, "config.json")
    except HFValidationError:  # neither a folder nor an id: loading it will say so
        return None
    return Path(config).parent if isinstance(config, str) else None


def _files(folder: Path) -> list[Path]:
    """Return the files that loading reads: safetensors if there are any, else torch's own."""
    there = sorted(path for path in folder.iterdir() if path.is_file())
    tensors = [path for path in there if path.suffix == ".safetensors"]
    weights = tensors or [path for path in there if path.suffix == ".bin"]
    code = [path for path in there if path.suffix == ".py"] if _has_code(folder) else []
    return [*weights, *(path for path in there if path.name in BESIDE), *code]


def _has_code(folder: Path) -> bool:
    try:
        return "auto_map" in json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _parts(file: BinaryIO, size: int, suffix: str) -> Iterator[tuple[int, int]]:
    """Return the parts of *file* that are hashed: offset and number of bytes."""
    if size <= WHOLE:
        yield 0, size
        return
    starts = _tensor_pages(file, size) if suffix == ".safetensors" else None
    for start in starts or [size * page // PAGES for page in range(PAGES)]:
        yield start, PAGE


def _tensor_pages(file: BinaryIO, size: int) -> list[int] | None:
    """The header's pages, and the first and the middle one of each tensor; None of a damaged header.

    The format: eight bytes with the header's length, the header in JSON, then the tensors.
    """
    length = int.from_bytes(file.read(8), "little")
    if length > min(size, WHOLE):
        return None
    try:
        header = json.loads(file.read(length))
        spans = [row["data_offsets"] for name, row in header.items() if name != "__metadata__"]
        begins = [place for begin, end in spans for place in (begin, (begin + end) // 2)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return [*range(0, 8 + length, PAGE), *sorted(8 + length + begin for begin in begins)]
