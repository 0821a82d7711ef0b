"""Rule ``when_needed``: optimize a query only if its first samples promise a gain.

The promise comes from a file that ``tpo tune`` writes for one policy and one reward: a linear model of the
gain of an optimized query, by the best reward and the spread of its first samples. The rule reads only the
query's own samples, never other queries of the run, so timing changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import pstdev
from typing import TYPE_CHECKING, Any, ClassVar

from tpo.errors import ConfigError

if TYPE_CHECKING:  # attempts ask rules, so the import at run time goes the other way
    from tpo.methods.attempt import Attempt

NEED_SCHEMA = 1
"""Version of the file."""


@dataclass(frozen=True, slots=True)
class NeedModel:
    """Expected gain of an optimized query: ``intercept + best * (best reward) + spread * (deviation)``.

    The file holds these fields as one JSON object.

    Attributes:
        policy, reward: names of the models that it was measured with, as in a run's fingerprint.
        intercept, best, spread: the linear model; spread is the population standard deviation.
        threshold: gain from which optimizing pays; a query with a smaller expected gain is not optimized.
        queries: number of queries that it was fitted to.
        method: the optimized method with its shape, such as ``tpo D2-N5``.
        sample_size: N of the first samples; the best of other numbers of samples is another quantity.
    """

    policy: Any
    reward: Any
    intercept: float
    best: float
    spread: float
    threshold: float
    queries: int
    method: str
    sample_size: int
    schema: int = NEED_SCHEMA

    def expected_gain(self, rewards: Sequence[float]) -> float:
        """Return the expected gain of a query whose first samples have *rewards*."""
        return self.intercept + self.best * max(rewards) + self.spread * pstdev(rewards)

    @property
    def digest(self) -> str:
        """A short hash of all values, for a run's fingerprint."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class WhenNeeded:
    """Stop before the first step if the expected gain is below the threshold of *model*."""

    model: NeedModel
    name: ClassVar[str] = "when_needed"

    def should_stop(self, attempt: Attempt) -> bool:
        """Return whether optimizing is not expected to pay."""
        if attempt.at != 1:
            return False
        rewards = [candidate.reward for candidate in attempt.first.scored]
        return self.model.expected_gain(rewards) < self.model.threshold


def when_needed(file: str | Path) -> WhenNeeded:
    """Return the rule of *file*; whether its models, method, N and D are those in use is not checked here.

    Raises:
        ConfigError: it cannot be read.
    """
    return WhenNeeded(read_need(Path(file)))


def read_need(path: Path) -> NeedModel:
    """Return the model in the file at *path*.

    Raises:
        ConfigError: it cannot be read, or is not such a file.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["schema"] != NEED_SCHEMA:
            raise ConfigError(f"{path}: schema version {found['schema']}; this version reads {NEED_SCHEMA}")
        model = NeedModel(**{name: found[name] for name in NeedModel.__slots__})
        numbers = (model.intercept, model.best, model.spread, model.threshold)
        if not all(math.isfinite(float(number)) for number in numbers):
            raise ValueError("a coefficient is not finite")
    except OSError as error:
        raise ConfigError(f"--when-needed {path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"--when-needed {path}: not a file of tpo tune: {error}") from error
    return model


def write_need(path: Path, model: NeedModel) -> None:
    """Write *model* to the file at *path*."""
    path.write_text(json.dumps(asdict(model), indent=2, ensure_ascii=False) + "\n", "utf-8")


def fit_gain(firsts: Sequence[Sequence[float]], gains: Sequence[float]) -> tuple[float, float, float]:
    """Return intercept, best and spread by least squares.

    Args:
        firsts: the rewards of the first samples of each query.
        gains: the increase of each query's best reward (or held-out reward) by optimizing.

    Raises:
        ConfigError: there are fewer than 10 queries.
    """
    if len(firsts) != len(gains) or len(gains) < 10:
        raise ConfigError("fitting the gain needs the first samples and the gains of at least 10 queries")
    rows = [(1.0, max(rewards), pstdev(rewards)) for rewards in firsts]
    ridge = 1e-9 * len(rows)  # equal spreads make the equations singular
    matrix = [
        [sum(row[i] * row[j] for row in rows) + (ridge if i == j else 0.0) for j in range(3)]
        + [sum(row[i] * gain for row, gain in zip(rows, gains, strict=True))]
        for i in range(3)
    ]
    return _solve(matrix)


def _solve(matrix: list[list[float]]) -> tuple[float, float, float]:
    """Solve three linear equations by Gauss-Jordan elimination with pivoting."""
    for column in range(3):
        pivot = max(range(column, 3), key=lambda row: abs(matrix[row][column]))
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        for row in range(3):
            if row != column:
                factor = matrix[row][column] / matrix[column][column]
                matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[column], strict=True)]
    first, second, third = (matrix[row][3] / matrix[row][row] for row in range(3))
    return first, second, third
