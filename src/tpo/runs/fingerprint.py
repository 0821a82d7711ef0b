"""What decides a run's trajectories, and so may not change between its invocations."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tpo.methods.method import Method
from tpo.rewards.calibration import Scale, Scales


def fingerprint(recipe: Method, *, seed: int, data: str | None, **models: Any) -> dict[str, Any]:
    """The values that must be the same when a run is gone on with, by names that a user knows.

    Concurrency, the servers' addresses, limits and everything that is only shown are left out on purpose:
    they may change.

    Args:
        recipe: the method, with N, D, its sampling values and the digest of its wording.
        seed: the run's.
        data: the data set's digest; None where there is none, as with a stream.
        models: names of policy and reward, and what shapes their answers; plain JSON.
    """
    return {f"method.{key}": value for key, value in recipe.describe().items()} | {
        "seed": seed,
        "data": data,
        **models,
    }


def measured(weights: Mapping[str, str | None], scales: Scales | None) -> dict[str, Any]:
    """What is measured of models, for :func:`fingerprint`: it counts wherever both invocations know it.

    Args:
        weights: digests by model, those in this process; None of one whose files are not here.
        scales: those of an ensemble's members, if there is one.
    """
    known = {f"weights of {name}": digest for name, digest in weights.items() if digest is not None}
    return known | {f"scale of {name}": asdict(scale) for name, scale in (scales or {}).items()}


def scales_in(values: Mapping[str, Any]) -> dict[str, Scale]:
    """The scales that a fingerprint holds, by member."""
    prefix = "scale of "
    return {key.removeprefix(prefix): Scale(**row) for key, row in values.items() if key.startswith(prefix)}
