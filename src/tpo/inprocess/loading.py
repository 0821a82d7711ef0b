"""A checkpoint in Hugging Face format, on the device at hand, or one sentence why not.

Everything that torch and transformers raise while loading is translated here. A folder that exists is never
looked up on the network.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tpo.errors import ConfigError, MissingExtra, PolicyRefused, RewardRefused, TpoError
from tpo.inprocess.devices import Device, Placement, best_dtype, placement, places, spilled
from tpo.inprocess.formats import gguf_refusal, read_adapter
from tpo.inprocess.limits import context_length

log = logging.getLogger(__name__)

EXACT_PARAMETERS = 30_000_000
"""Up to this size a model is small enough to be run twice, or in double precision, for exactness' sake."""

Head = Literal["causal", "classifier"]
Refused = type[PolicyRefused] | type[RewardRefused]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model in evaluation mode, with its tokenizer; *dtype* and *device* in torch's own words."""

    name: str
    model: Any
    tokenizer: Any
    device: Any
    dtype: Any

    @property
    def spread(self) -> bool:
        """Return whether the weights are split over devices: such a model cannot be copied or converted."""
        return len(places(self.model)) > 1

    @property
    def is_small(self) -> bool:
        """Return whether the model is on a CPU and so small that one core is fastest and float64 is cheap."""
        on_cpu = bool(self.device.type == "cpu")
        return on_cpu and self.parameters <= EXACT_PARAMETERS and not self.spread

    @property
    def own_code(self) -> bool:
        """Return whether the model runs code that came with it."""
        return type(self.model).__module__.startswith("transformers_modules")

    @property
    def config(self) -> Any:
        """The configuration of the part that reads text."""
        return self.model.config.get_text_config()

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.model.parameters())

    @property
    def context(self) -> int:
        """The most tokens that the model reads."""
        return context_length(self.model, self.tokenizer)


def require_torch(purpose: str) -> tuple[Any, Any]:
    """The modules torch and transformers.

    Raises:
        MissingExtra: they are not installed.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("torch and transformers", "local", purpose) from error
    return torch, transformers


def load_checkpoint(
    path_or_id: str | Path,
    head: Head,
    refused: Refused,
    *,
    device: Device | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> Checkpoint:
    """The model and tokenizer at *path_or_id*, a folder or an id of the Hugging Face hub.

    *device*: see :data:`tpo.inprocess.devices.Device`; by default ``cuda`` (over all cards where accelerate
    is installed), ``mps`` or ``cpu``, the first of them that there is.
    *dtype*: bfloat16 on CUDA, float16 on MPS (a classifier: float32), float32 on a CPU.
    *trust_remote_code*: run code that comes with the model; without it a model that needs such is refused.

    Raises:
        MissingExtra: torch or transformers is not installed, or accelerate where *device* needs it.
        ConfigError: no such *device* here, or no such *dtype*.
        PolicyRefused, RewardRefused: whichever *refused* is: no such model, or it has no such head.
    """
    torch, transformers = require_torch("an in-process model")
    name = str(Path(path_or_id).expanduser()) if str(path_or_id).startswith("~") else str(path_or_id)
    if (foreign := gguf_refusal(name)) is not None:
        raise refused(foreign)
    options = {"trust_remote_code": trust_remote_code, "local_files_only": _is_local(name, refused)}
    place = placement(torch, device)
    kind = _dtype(torch, dtype or best_dtype(torch, place.device, classifier=head == "classifier"))
    try:
        with _quiet(transformers):
            model, tokenizer, missing = _loaded(transformers, name, head, kind, place, options)
    except _Untrusted as error:
        raise refused(_untrusted(name)) from error
    except TpoError:
        raise
    except Exception as error:
        raise refused(_sentence(name, error)) from error
    if missing:
        raise refused(_untrained(name, head, missing))
    if (short := _short_vocabulary(model, tokenizer)) is not None:
        raise refused(f"{name}: {short}")
    if (slow := spilled(model)) is not None:
        log.warning("%s: %s", name, slow)
    return Checkpoint(name, model.eval(), tokenizer, model.device, kind)


class _Untrusted(Exception):
    """A model needs code of its own, which was not allowed."""


def _loaded(
    transformers: Any, name: str, head: Head, kind: Any, place: Placement, options: Mapping[str, Any]
) -> tuple[Any, Any, list[str]]:
    """The model, its tokenizer, and the weights that its files lack."""
    auto, adapter = _auto_class(transformers, head), read_adapter(name)
    if adapter is not None:
        options = {**options, "local_files_only": Path(adapter.base).is_dir()}
    base = adapter.base if adapter else name
    config = transformers.AutoConfig.from_pretrained(base, **options)
    if not options["trust_remote_code"] and _needs_own_code(transformers, config, auto):
        raise _Untrusted
    owner = name if (Path(name) / "tokenizer_config.json").is_file() else base
    tokenizer = transformers.AutoTokenizer.from_pretrained(owner, **options)
    if adapter is not None and head == "classifier":
        config.num_labels = 1
    model, report = auto.from_pretrained(
        base, config=config, dtype=kind, output_loading_info=True, **place.options, **options
    )
    missing = sorted(report["missing_keys"])
    if adapter is not None:
        model, missing = adapter.merged(model), [key for key in missing if not adapter.replaces(key)]
    return model if place.options else model.to(place.device), tokenizer, missing


def _short_vocabulary(model: Any, tokenizer: Any) -> str | None:
    """Return the fault if ordinary text may become tokens without embeddings, else None.

    Special tokens do not count: some tokenizers have more of them than the model, for pictures.
    """
    embeddings = int(model.get_input_embeddings().weight.shape[0])
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    highest = max((token for token in tokenizer.get_vocab().values() if token not in special), default=0)
    if highest < embeddings:
        return None
    return f"its vocabulary has {embeddings} tokens, and its tokenizer gives ids up to {highest}"


def load_tokenizer(path_or_id: str | Path, refused: Refused, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer at *path_or_id* without its model.

    Raises:
        MissingExtra: transformers is not installed.
        PolicyRefused, RewardRefused: whichever *refused* is: there is none.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra("transformers", "local", "a tokenizer of your own") from error
    name = str(path_or_id)
    local = _is_local(name, refused)
    try:
        with _quiet(transformers):
            return transformers.AutoTokenizer.from_pretrained(
                name, trust_remote_code=trust_remote_code, local_files_only=local
            )
    except Exception as error:
        raise refused(_sentence(name, error)) from error


def _is_local(name: str, refused: Refused) -> bool:
    """Return whether *name* is a folder here; refuse at once what is neither that nor an id of the hub."""
    if name and Path(name).is_dir():
        return True
    if not _HUB_ID.fullmatch(name):
        raise refused(f"{name}: no such folder, and not an id of the Hugging Face hub (OWNER/NAME)")
    return False


def _auto_class(transformers: Any, head: Head) -> Any:
    if head == "causal":
        return transformers.AutoModelForCausalLM
    return transformers.AutoModelForSequenceClassification


def _needs_own_code(transformers: Any, config: Any, auto: Any) -> bool:
    """Return whether the model's class comes with it; else a related class with a wrong head would load."""
    own = (getattr(config, "auto_map", None) or {}).get(auto.__name__)
    return own is not None and not hasattr(transformers, str(own).rpartition(".")[2])


def _dtype(torch: Any, name: str) -> Any:
    kind = getattr(torch, name, None)
    if not (isinstance(kind, torch.dtype) and kind.is_floating_point):
        raise ConfigError(f"dtype {name}: not one of float64, float32, bfloat16, float16")
    return kind


class _quiet:  # noqa: N801 - reads as the statement it is
    """No progress bars of transformers' own meanwhile: they would break the live display."""

    def __init__(self, transformers: Any) -> None:
        self._logging = transformers.utils.logging

    def __enter__(self) -> None:
        self._shown = self._logging.is_progress_bar_enabled()
        self._verbosity = self._logging.get_verbosity()
        self._logging.disable_progress_bar()
        self._logging.set_verbosity_error()

    def __exit__(self, *_: object) -> None:
        self._logging.set_verbosity(self._verbosity)
        if self._shown:
            self._logging.enable_progress_bar()


def _sentence(name: str, error: Exception) -> str:
    """Return the first line of the library's error and what to do."""
    words = str(error).strip().splitlines()
    reason = words[0].rstrip(" .:") if words else type(error).__name__
    if "trust_remote_code" in str(error):
        return _untrusted(name)
    if "gguf" in name.lower():
        reason += "; if it holds GGUF files, serve one with llama-server and name the server's URL"
    return f"{name}: cannot be loaded ({reason}); give a folder in Hugging Face format or an id of the hub"


def _untrusted(name: str) -> str:
    return (
        f"{name}: the model brings Python code of its own, which would run here with your rights; if you "
        "trust its author, allow it with --trust-remote-code (in Python trust_remote_code=True)"
    )


def _untrained(name: str, head: Head, missing: list[str]) -> str:
    kind = "causal language model" if head == "causal" else "reward model (sequence classifier)"
    weights = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
    return f"{name}: not a trained {kind}, since its files lack the weights {weights}"
