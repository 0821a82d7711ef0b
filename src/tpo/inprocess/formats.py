"""Tell files in other formats from models: GGUF, which transformers does not run, and LoRA adapters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tpo.errors import MissingExtra


def gguf_refusal(name: str) -> str | None:
    """Return what to do about *name* if it names a GGUF file or a folder of them; None if it does not."""
    path = Path(name)
    files = sorted(path.glob("*.gguf")) if path.is_dir() else [path]
    if (path / "config.json").exists() or not any(file.suffix.lower() == ".gguf" for file in files):
        return None
    return (
        f"{name}: this is a GGUF file, llama.cpp's format, which hf: does not load; serve it (llama-server "
        f"-m {files[0]}) and name that server's URL, or take the original model in Hugging Face format"
    )


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter: where it is, the model that it changes, and the parts of it that it replaces whole."""

    name: str
    base: str
    replaced: frozenset[str]

    def merged(self, model: Any, **options: Any) -> Any:
        """Return *model* with the adapter's weights merged into its own."""
        from peft import PeftModel

        return PeftModel.from_pretrained(model, self.name, **options).merge_and_unload()

    def replaces(self, weight: str) -> bool:
        """Return whether the adapter brings *weight*, such as a classifier's head."""
        return not self.replaced.isdisjoint(weight.split("."))


def read_adapter(name: str) -> Adapter | None:
    """Return the LoRA adapter in the folder *name*, or None if it holds a whole model or nothing of the kind.

    Raises:
        MissingExtra: it is one, and peft is not installed.
    """
    file = Path(name) / "adapter_config.json"
    if not file.is_file() or (Path(name) / "config.json").exists():
        return None
    if find_spec("peft") is None:
        raise MissingExtra("peft", "lora", f"{name}, a LoRA adapter,")
    stated = json.loads(file.read_text("utf-8"))
    return Adapter(
        name, str(stated["base_model_name_or_path"]), frozenset(stated.get("modules_to_save") or ())
    )
