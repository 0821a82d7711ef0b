"""What decides a run's trajectories, and so may not change between its invocations."""

from typing import Any

from tpo.method.recipe import Recipe


def fingerprint(recipe: Recipe, *, seed: int, data: str | None, **models: Any) -> dict[str, Any]:
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
