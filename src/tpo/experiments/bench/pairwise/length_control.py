"""AlpacaEval's length control: the package's regression, not computed where it would give a wrong number.

The package looks up the difficulty of an instruction by the row's position among the 805, without comparing
the instruction. A subset, or the set in another order, gives a wrong number without an error. Therefore the
instructions are compared with digests of the published set first.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tpo.errors import MissingExtra
from tpo.experiments.bench.graders.base import GradedAnswer, Metric
from tpo.experiments.bench.pairwise import alpaca_package
from tpo.experiments.bench.pairwise.alpaca_package import REPOSITORY, TABLE

NAME = "length_controlled_win_rate"
ROWS = 805
NORMAL = 1.96
"""Half width of a 95% interval in standard errors."""


@dataclass(frozen=True, slots=True)
class PublishedSet:
    """The published set: number of *rows*, digests of the instructions *in_order* and sorted *by_text*."""

    rows: int
    in_order: str
    by_text: str

    def refusal(self, instructions: Sequence[str]) -> str | None:
        """Return why *instructions* are not the published ones in order; None if they are."""
        if len(instructions) != self.rows:
            return f"it needs all {self.rows} rows; {len(instructions)} were answered"
        if instructions_digest(instructions) == self.in_order:
            return None
        if instructions_digest(sorted(map(_plain, instructions))) == self.by_text:
            return "the instructions are in another order than the published ones; use the published file"
        return "the instructions are not the published ones"


def instructions_digest(instructions: Sequence[str]) -> str:
    """Return the SHA-256 of *instructions* in order, with white space normalized."""
    return hashlib.sha256("\0".join(map(_plain, instructions)).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(text: str) -> str:
    return " ".join(text.split())


ALPACA_EVAL = PublishedSet(
    ROWS,
    "9327bdca40e751ff6d9117bf83b3af96774d9d7a5ac3bd1ab11732d00eed39fb",
    "64b8c09d7298baeb74a39a574794db6cf42f01c370e3f2f1ca89e427dd86f7a2",
)
"""Digests of ``results/gpt4_1106_preview/model_outputs.json``; most files there have this order."""


def length_controlled_metric(
    graded: Sequence[GradedAnswer],
    *,
    is_whole: bool,
    by: str = "",
    note: str = "",
    published: PublishedSet = ALPACA_EVAL,
    refused_for: str = "",
) -> Metric:
    """Return the length-controlled win rate, the mean over seeds, or no value and the reason in the note.

    *refused_for* is a reason of the caller not to compute it. The interval is 1.96 times the package's
    standard error over instructions on either side.
    """
    counted = sum(each.grade.is_graded for each in graded)
    missing = len(graded) - counted

    def refused(why: str) -> Metric:
        full_note = "; ".join(filter(None, (f"refused: {why}", note)))
        return Metric(NAME, None, unit="%", ungraded=missing, by=by, note=full_note)

    seeds = _by_seed(graded)
    reasons = [refused_for] if refused_for else []
    reasons += [] if is_whole else ["it needs the whole set in its order"]
    reasons += [why for rows in seeds if (why := published.refusal(_instructions(rows)))]
    if reasons or not counted:
        return refused(reasons[0] if reasons else "nothing could be graded")
    try:
        found = [alpaca_package.length_controlled(annotated(rows)) for rows in seeds]
    except OSError as error:
        return refused(
            f"the package's table {TABLE} is not in the hub's cache and cannot be downloaded"
            f" ({_brief(error)}): run 'hf download {REPOSITORY} {TABLE} --repo-type dataset' on a machine"
            " with internet access and copy the cache"
        )
    except (ValueError, MissingExtra) as error:
        return refused(_brief(error))
    value, spread = fmean(rate for rate, _ in found), NORMAL * fmean(error for _, error in found)
    interval = "interval from the package's standard error"
    full_note = "; ".join(filter(None, (interval, note)))
    return Metric(NAME, value, value - spread, value + spread, "%", counted, missing, by, full_note)


def _by_seed(graded: Sequence[GradedAnswer]) -> list[list[GradedAnswer]]:
    """Return the answers of each seed, in the order of the data's rows."""
    seeds: dict[int, list[GradedAnswer]] = defaultdict(list)
    for each in graded:
        seeds[each.answer.seed].append(each)
    return [
        sorted(rows, key=lambda each: int(each.answer.query.metadata["position"])) for rows in seeds.values()
    ]


def annotated(graded: Sequence[GradedAnswer]) -> list[Mapping[str, Any]]:
    """Return rows in the package's format; an ungraded answer keeps its row, without a preference."""
    return [
        {
            "instruction": each.answer.query.text,
            "output_1": each.answer.baseline or "",
            "output_2": each.answer.text,
            "generator_1": "baseline",
            "generator_2": "model",
            "preference": float("nan") if each.grade.score is None else 1 + each.grade.score,
        }
        for each in graded
    ]


def _instructions(graded: Sequence[GradedAnswer]) -> list[str]:
    return [each.answer.query.text for each in graded]


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
