"""Arena-Hard: hard prompts of real users, two games per prompt against a fixed opponent (Li et al. 2024).

The paper uses version 0.1. The two kinds of prompts of version 2.0 have different opponents and separate
tables, so each kind is a benchmark. Style control is left to the authors' scripts, which read the files
written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.benchmark import Baseline, Benchmark, RowReader
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.graders.base import GradedAnswer, GradingContext, Metric, Summarize
from tpo.experiments.bench.pairwise.arena_files import parse_answer
from tpo.experiments.bench.pairwise.arena_games import JUDGMENTS_OPTION, Arena
from tpo.experiments.bench.pairwise.judge_prompt import CREATIVE_SYSTEM, SYSTEM_OPTION, TEMPLATE_OPTION
from tpo.experiments.bench.pairwise.winrate import battles, win_rate
from tpo.experiments.bench.paper import is_model
from tpo.types import Query, user

HUB = "lmarena-ai/arena-hard-auto"
V01, V20 = "arena-hard-v0.1", "arena-hard-v2.0"
HARD, CREATIVE = "hard_prompt", "creative_writing"
PAPER_JUDGE = "gpt-4-1106-preview"
V20_ROWS, V20_HARD = 750, 500
"""Number of rows of version 2.0, and of hard prompts at their beginning; the others are creative writing."""


def _category_reader(category: str) -> RowReader:
    """Return a reader of rows ``uid, category, prompt`` of *category* only."""

    def read(row: Row, position: int) -> Query:
        del position
        found = column(row, "category")
        if found != category:
            raise DataError(f"{row.place}: the category is {found!r}; this benchmark has only {category!r}")
        names = ("category", "subcategory", "cluster")
        metadata = {name: value for name in names if (value := as_record(row).get(name)) is not None}
        return Query(column(row, "uid"), (user(column(row, "prompt")),), metadata=metadata)

    return read


def _position_range(start: int, stop: int) -> Callable[[int], tuple[int, ...]]:
    """Return a function that picks positions *start* to *stop* of the published rows, else all rows."""
    return lambda rows: tuple(range(start, stop) if rows == V20_ROWS else range(rows))


PLAIN = "without style control, which the authors' table of version 2.0 has"


def _summary(arena: Arena, tail: float, remark: str = "") -> Summarize:
    """Return a function that computes the win rate, by the judge of this run or of the authors' files."""

    def summarize(graded: Sequence[GradedAnswer], context: GradingContext) -> tuple[Metric, ...]:
        judges = _detail_values(graded, "judge")
        judge = ", ".join(judges) or (context.judge.name if context.judge is not None else "")
        published = () if is_model(judge, arena.judge) else (f"its authors' numbers are by {arena.judge}",)
        opponent = f"against {context.opponent or arena.opponent}"
        notes = (opponent, remark, *_detail_values(graded, "wording"), *published)
        note = "; ".join(filter(None, notes))
        return (win_rate("win_rate", graded, tail=tail, by=judge, note=note),)

    return summarize


def _detail_values(graded: Sequence[GradedAnswer], key: str) -> list[str]:
    return sorted({str(each.grade.details[key]) for each in graded if key in each.grade.details})


def _baseline(arena: Arena) -> Baseline:
    """Return the opponent's answers from the authors' file."""
    file = f"data/{arena.bench}/model_answer/{arena.opponent}.jsonl"
    return Baseline(
        hub=HubSource(HUB, file=file),
        read=lambda row, _: parse_answer(row),
        writer=arena.opponent,
        writer_column="model",
    )


OPTIONS = (JUDGMENTS_OPTION, SYSTEM_OPTION, TEMPLATE_OPTION)
LICENCE = "Apache 2.0 (repository); no licence is stated for the prompts"

_V01 = Arena(V01, V01, "gpt-4-0314", 4096, PAPER_JUDGE)
ARENA_HARD_V01 = Benchmark(
    name=V01,
    title="Arena-Hard v0.1",
    hub=HubSource(HUB, file=f"data/{V01}/question.jsonl"),
    licence=LICENCE,
    size=500,
    metric="win rate against gpt-4-0314, two games a prompt (the paper: by gpt-4-1106-preview)",
    read=_category_reader(V01),
    grade=_V01.grade,
    weigh=battles,
    publish=_V01.write,
    summarize=_summary(_V01, 2.5),
    baseline=_baseline(_V01),
    paper=(("win_rate", "arena_hard"),),
    paper_judge=PAPER_JUDGE,
    check=_V01.check,
    options=OPTIONS,
)

_HARD = Arena(V20, V20, "o3-mini-2025-01-31", 16_000, "gpt-4.1")
ARENA_HARD_V20 = Benchmark(
    name=V20,
    title="Arena-Hard v2.0, hard prompts",
    hub=HubSource(HUB, file=f"data/{V20}/question.jsonl"),
    licence=LICENCE,
    size=V20_HARD,
    metric="win rate against o3-mini-2025-01-31, two games a prompt (its authors: by gpt-4.1)",
    read=_category_reader(HARD),
    grade=_HARD.grade,
    weigh=battles,
    publish=_HARD.write,
    summarize=_summary(_HARD, 5, PLAIN),
    stratum="subcategory",
    pick=_position_range(0, V20_HARD),
    published_rows=V20_ROWS,
    baseline=_baseline(_HARD),
    check=_HARD.check,
    options=OPTIONS,
)

_CREATIVE = Arena(f"{V20}-creative", V20, "gemini-2.0-flash-001", 16_000, "gpt-4.1", CREATIVE_SYSTEM)
ARENA_HARD_V20_CREATIVE = Benchmark(
    name=f"{V20}-creative",
    title="Arena-Hard v2.0, creative writing",
    hub=HubSource(HUB, file=f"data/{V20}/question.jsonl"),
    licence=LICENCE,
    size=V20_ROWS - V20_HARD,
    metric="win rate against gemini-2.0-flash-001, two games a prompt (its authors: by gpt-4.1)",
    read=_category_reader(CREATIVE),
    grade=_CREATIVE.grade,
    weigh=battles,
    publish=_CREATIVE.write,
    summarize=_summary(_CREATIVE, 5, PLAIN),
    pick=_position_range(V20_HARD, V20_ROWS),
    published_rows=V20_ROWS,
    baseline=_baseline(_CREATIVE),
    check=_CREATIVE.check,
    options=OPTIONS,
)
