"""Cell of an experiment: one method with one seed and one reward, which is one run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from tpo.config import Settings
from tpo.methods.method import Method


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One run of an experiment; cells are compared by identity, so that they can be dictionary keys.

    Attributes:
        settings: all settings of the run.
        method: the method with its sample size and iterations.
        seed: seed of the run.
        reward: the reward as named on the command line.
        folder: name of the run directory; the same cell has the same name in every experiment of its kind.
    """

    settings: Settings
    method: Method
    seed: int
    reward: str
    folder: str

    @property
    def label(self) -> str:
        """Method with its shape, equal for all seeds: ``tpo D2-N5``."""
        return method_label(self.method)


def method_label(method: Method) -> str:
    """Return the name of *method* with its shape: ``tpo D2-N5``."""
    return f"{method.name} D{method.max_iterations}-N{method.sample_size}"


def slug(name: str) -> str:
    """Return *name* as part of a file name; with digits of its hash if characters are lost."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[-48:].strip("-.")
    lost = plain != name and not re.fullmatch(r"\S+ D\d+-N\d+", name, re.IGNORECASE)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{plain}-{digest}".strip("-") if lost else plain
