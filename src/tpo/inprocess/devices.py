"""Placement of a model's weights: on one device, or split over several by accelerate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpo.errors import ConfigError, MissingExtra
from tpo.inprocess.memory import first_line

SPLIT_MODES = ("auto", "balanced", "balanced_low_0", "sequential")
"""Modes in which accelerate splits a model over GPUs, memory and disk, in that order."""
SLOW = {"cpu", "disk"}
"""Places for layers that do not fit on the GPUs; each batch loads them again."""

Device = str | Mapping[str, str | int]
"""``cuda``, ``cuda:1``, ``mps``, ``cpu``; one of SPLIT_MODES; ``cuda:0,cuda:1``, split over these only; or a
device for each part of the model by its name, as transformers' ``device_map`` takes it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """*device* decides the default type of the weights; *options* go to transformers' loading."""

    device: str
    options: Mapping[str, Any]


def placement(torch: Any, wanted: Device | None) -> Placement:
    """Return the devices that *wanted* names; by default all GPUs, else the best device.

    Raises:
        ConfigError: no such device here.
        MissingExtra: it takes accelerate, which is not installed.
    """
    if wanted is None:
        best = _best_device(torch)
        several = best == "cuda" and torch.cuda.device_count() > 1 and _has_accelerate()
        return Placement(best, {"device_map": "auto"} if several else {})
    if isinstance(wanted, Mapping):
        return Placement(_first_of(wanted), _split_over(dict(wanted)))
    if wanted in SPLIT_MODES:
        return Placement(_best_device(torch), _split_over(wanted))
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        _check_device(torch, name)
    if len(names) == 1:
        return Placement(names[0], {})
    return Placement(names[0], _split_over("auto") | {"max_memory": _free_memory(torch, names)})


def best_dtype(torch: Any, device: str, *, classifier: bool) -> str:
    """The type of weights that suits *device*."""
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    # A reward's range has no bound, and half precision ends at 65,504.
    return "float16" if device.startswith("mps") and not classifier else "float32"


def places(model: Any) -> dict[str, int]:
    """Return the number of modules per device of a split *model*; empty for one that is not split."""
    found: dict[str, int] = {}
    for place in getattr(model, "hf_device_map", {}).values():
        name = f"cuda:{place}" if isinstance(place, int) else str(place)
        found[name] = found.get(name, 0) + 1
    return found


def spilled(model: Any) -> str | None:
    """Return a warning if some weights did not fit on the GPUs, else None."""
    found = places(model)
    cards = found.keys() - SLOW
    slow = {name: count for name, count in found.items() if name == "disk" or (name == "cpu" and cards)}
    if not slow:
        return None
    where = " and ".join(f"{count} on {name}" for name, count in slow.items())
    return f"of its {sum(found.values())} parts {where}: they are fetched for every batch, which is slow"


def _best_device(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _first_of(wanted: Mapping[str, str | int]) -> str:
    cards = [f"cuda:{place}" if isinstance(place, int) else place for place in wanted.values()]
    return next((card for card in cards if card not in SLOW), "cpu")


def _split_over(device_map: Any) -> dict[str, Any]:
    if not _has_accelerate():
        raise MissingExtra("accelerate", "local", "a model split over several devices")
    return {"device_map": device_map}


def _has_accelerate() -> bool:
    from importlib.util import find_spec

    return find_spec("accelerate") is not None


def _free_memory(torch: Any, names: list[str]) -> dict[int, int]:
    """Return the free memory of each GPU in *names*, less a tenth for activations.

    Raises:
        ConfigError: one of several is no card, or is named twice.
    """
    cards = [torch.device(name) for name in names]
    if any(card.type != "cuda" or card.index is None for card in cards) or len(set(cards)) < len(cards):
        raise ConfigError(
            f"device {','.join(names)}: several devices must be different cards, as in cuda:0,cuda:1"
        )
    return {card.index: int(0.9 * torch.cuda.mem_get_info(card)[0]) for card in cards}


def _check_device(torch: Any, name: str) -> None:
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"device {name}: not there ({first_line(error)}); take cpu, cuda, mps, or auto for all cards"
        ) from error
