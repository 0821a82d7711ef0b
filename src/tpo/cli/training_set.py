"""The options of ``tpo export`` that say what goes into a training set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tpo.export import Eligible, Pairing

PANEL = "Training sets (dpo, sft)"


class Choice(StrEnum):
    """Ways to choose the two responses of a pair."""

    best_worst = "best-worst"
    best_first = "best-first"
    all = "all"


Pairs = Annotated[
    Choice | None,
    typer.Option(
        help="dpo: pair the best response with the worst or the first sample, or pair every two responses."
        " [dim]\\[default: best-worst][/dim]",
        rich_help_panel=PANEL,
    ),
]
MinMargin = Annotated[
    float | None,
    typer.Option(
        metavar="MARGIN",
        help="dpo: minimum difference of a pair's rewards. [dim]\\[default: any above 0][/dim]",
        rich_help_panel=PANEL,
    ),
]
MaxLengthRatio = Annotated[
    float | None,
    typer.Option(
        metavar="RATIO",
        help="dpo: maximum length of a pair's longer text relative to the shorter one.",
        rich_help_panel=PANEL,
    ),
]
StepNumbers = Annotated[
    str | None,
    typer.Option(
        metavar="STEPS",
        help="Only responses drawn in these steps: 0 (first samples), 1,3 or 1-2 or 1- (1 and all after it).",
        rich_help_panel=PANEL,
    ),
]
MaxChars = Annotated[
    int | None,
    typer.Option(metavar="K", help="Only responses of at most K characters.", rich_help_panel=PANEL),
]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The options as they were given; None is "not given"."""

    pairs: str | None = None
    min_margin: float | None = None
    max_length_ratio: float | None = None
    steps: str | None = None
    max_chars: int | None = None

    def given(self) -> list[str]:
        """The flags of those that were given."""
        names = ("pairs", "min_margin", "max_length_ratio", "steps", "max_chars")
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) is not None]

    def pairing(self) -> Pairing:
        """Options of forming pairs.

        Raises:
            ConfigError: a value is out of its range.
        """
        from tpo.export import Pairing

        return Pairing(
            self.pairs or "best-worst", self.min_margin or 0.0, self.max_length_ratio, self.eligible()
        )

    def eligible(self) -> Eligible:
        """Options of choosing responses.

        Raises:
            ConfigError: a value is out of its range.
        """
        from tpo.export import Eligible, Steps

        return Eligible(None if self.steps is None else Steps.parse(self.steps), self.max_chars)
