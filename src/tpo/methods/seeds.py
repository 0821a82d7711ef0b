"""Seeds derived from the run's seed and a call's place, so that order and resuming change nothing."""

import hashlib

from tpo.types import Scope

SEED_RANGE = 2**31
"""Seeds fit a signed 32-bit integer, the narrowest that servers take."""

MIN_STRIDE = 1024
"""Least distance between two calls' base seeds: servers draw sample *i* with ``seed + i``."""


def stride_of(n: int) -> int:
    """Return the distance between the base seeds of calls of *n* samples: the most samples of one of them."""
    return max(MIN_STRIDE, 1 << (n - 1).bit_length())


def base_seed(run_seed: int, scope: Scope, n: int) -> int:
    """Return the seed of the first of *n* samples at *scope*, a multiple of a stride of at least *n*.

    The place is query, step and phase; branch and ordinal count where they are not the first ones.
    """
    stride = stride_of(n)
    place = f"{run_seed}\0{scope.query}\0{scope.step}\0{scope.phase}"
    if scope.branch or scope.ordinal:
        place += f"\0{scope.branch}\0{scope.ordinal}"
    digest = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (SEED_RANGE // stride) * stride
