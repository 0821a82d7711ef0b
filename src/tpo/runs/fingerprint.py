"""Fingerprint: the values that decide a run's trajectories, and so may not change between invocations."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tpo.methods.method import Method
from tpo.rewards.calibration import Scale, Scales
from tpo.user_objects import files_digest

KNOWN = {"tpo", "abc", "builtins", "typing"}
"""Packages whose classes are told by the versions in a run's record."""


def fingerprint(method: Method, *, seed: int, data: str | None, **models: Any) -> dict[str, Any]:
    """Return the values that must not change when a run is resumed, by names that a user knows.

    Concurrency, the addresses of servers whose models are named, limits and everything that is only shown are
    left out on purpose: they may change.

    Args:
        method: the method, with N, D, its sampling values and the digest of its wording.
        seed: the run's.
        data: the data set's digest; None where there is none, as with a stream.
        models: names of policy and reward, and what shapes their answers; plain JSON.
    """
    source = _method_source(method)
    return {f"method.{key}": value for key, value in method.describe().items()} | {
        "seed": seed,
        "data": data,
        **models,
        **({} if source is None else {"source of method": source}),
    }


def _method_source(method: Method) -> str | None:
    """Return a digest of the files that define *method*'s class, if it is not one of this package."""
    foreign = [cls for cls in type(method).__mro__ if cls.__module__.partition(".")[0] not in KNOWN]
    files = [getattr(sys.modules.get(cls.__module__), "__file__", None) for cls in foreign]
    return files_digest(sorted({Path(file) for file in files if file})) if any(files) else None


def measured(weights: Mapping[str, str | None], scales: Scales | None) -> dict[str, Any]:
    """Return measured values of models for :func:`fingerprint`; they count where both invocations know them.

    Args:
        weights: digests by model, those in this process, and of sources by ``source of MODEL``; None of
            one whose files are not here.
        scales: those of an ensemble's members, if there is one.
    """
    known = {
        name if name.startswith("source of ") else f"weights of {name}": digest
        for name, digest in weights.items()
        if digest is not None
    }
    return known | {f"scale of {name}": asdict(scale) for name, scale in (scales or {}).items()}


def scales_in(values: Mapping[str, Any]) -> dict[str, Scale]:
    """The scales that a fingerprint holds, by member."""
    prefix = "scale of "
    return {key.removeprefix(prefix): Scale(**row) for key, row in values.items() if key.startswith(prefix)}
