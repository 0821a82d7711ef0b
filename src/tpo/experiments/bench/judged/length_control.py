"""AlpacaEval's length control: the package's regression, refused where it would give a wrong number.

The package joins each instruction's difficulty by the row's position among the 805, without a look at what
the row asks. A subset, or the set in another order, gives a number that looks right and is not. So the
instructions are held against digests of the published set before the package is asked.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tpo.errors import MissingExtra
from tpo.experiments.bench.grading import Graded, Metric
from tpo.experiments.bench.judged import alpaca_package
from tpo.experiments.bench.judged.alpaca_package import REPOSITORY, TABLE

NAME = "length_controlled_win_rate"
ROWS = 805
NORMAL = 1.96
"""Standard errors on either side of a 95% interval."""


@dataclass(frozen=True, slots=True)
class Published:
    """The published set: its *rows*, and the digests of its instructions *in_order* and *by_text*."""

    rows: int
    in_order: str
    by_text: str

    def refusal(self, instructions: Sequence[str]) -> str | None:
        """Why *instructions* are not the published ones in their order; None where they are."""
        if len(instructions) != self.rows:
            return f"it needs all {self.rows} rows; {len(instructions)} were answered"
        if digest(instructions) == self.in_order:
            return None
        if digest(sorted(map(_plain, instructions))) == self.by_text:
            return (
                "the instructions are the published ones in another order; give the published file as it is"
            )
        return "the instructions are not the published ones"


def digest(instructions: Sequence[str]) -> str:
    """SHA-256 of *instructions* in order, runs of white space being one space."""
    return hashlib.sha256("\0".join(map(_plain, instructions)).encode("utf-8", "surrogatepass")).hexdigest()


def _plain(text: str) -> str:
    return " ".join(text.split())


ALPACA_EVAL = Published(
    ROWS,
    "9327bdca40e751ff6d9117bf83b3af96774d9d7a5ac3bd1ab11732d00eed39fb",
    "64b8c09d7298baeb74a39a574794db6cf42f01c370e3f2f1ca89e427dd86f7a2",
)
"""Of ``results/gpt4_1106_preview/model_outputs.json`` in its repository; most files there keep this order."""


def metric(
    graded: Sequence[Graded],
    *,
    is_whole: bool,
    by: str = "",
    note: str = "",
    published: Published = ALPACA_EVAL,
    refused_for: str = "",
) -> Metric:
    """Return the length-controlled win rate, the mean over seeds; where refused, no value and the reason.

    *refused_for* is a reason that the caller knows of.

    The interval is the package's standard error over instructions, 1.96 of it on either side.
    """
    counted = sum(each.grade.is_graded for each in graded)
    missing = len(graded) - counted

    def refused(why: str) -> Metric:
        said = "; ".join(filter(None, (f"refused: {why}", note)))
        return Metric(NAME, None, unit="%", ungraded=missing, by=by, note=said)

    seeds = by_seed(graded)
    reasons = [refused_for] if refused_for else []
    reasons += [] if is_whole else ["it needs the whole set in its order"]
    reasons += [why for rows in seeds if (why := published.refusal(_instructions(rows)))]
    if reasons or not counted:
        return refused(reasons[0] if reasons else "nothing could be graded")
    try:
        found = [alpaca_package.length_controlled(annotated(rows)) for rows in seeds]
    except OSError as error:
        return refused(
            f"the package's table {TABLE} is not in the hub's cache and cannot be had ({_brief(error)}): on a"
            f" machine with internet run 'hf download {REPOSITORY} {TABLE} --repo-type dataset', and"
            " copy the cache"
        )
    except (ValueError, MissingExtra) as error:
        return refused(_brief(error))
    value, spread = fmean(rate for rate, _ in found), NORMAL * fmean(error for _, error in found)
    interval = "interval from the package's standard error"
    said = "; ".join(filter(None, (interval, note)))
    return Metric(NAME, value, value - spread, value + spread, "%", counted, missing, by, said)


def by_seed(graded: Sequence[Graded]) -> list[list[Graded]]:
    """The answers of each seed, in the order of the data's rows."""
    seeds: dict[int, list[Graded]] = defaultdict(list)
    for each in graded:
        seeds[each.answer.seed].append(each)
    return [
        sorted(rows, key=lambda each: int(each.answer.query.metadata["position"])) for rows in seeds.values()
    ]


def annotated(graded: Sequence[Graded]) -> list[Mapping[str, Any]]:
    """Rows as the package reads them; what could not be graded has no preference and keeps its place."""
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


def _instructions(graded: Sequence[Graded]) -> list[str]:
    return [each.answer.query.text for each in graded]


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
