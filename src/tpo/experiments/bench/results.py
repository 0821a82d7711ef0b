"""Results of a benchmark: grade the answers of all cells, then write tables, records and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tpo.config import policy_name
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.grade_store import FILE as GRADES
from tpo.experiments.bench.grade_store import GradeStore
from tpo.experiments.bench.graders.base import GradedAnswer, GradingContext
from tpo.experiments.bench.method_results import ResultsBuilder
from tpo.experiments.bench.paper import published
from tpo.experiments.bench.plan import AFTER, BEFORE, BenchPlan
from tpo.experiments.bench.query_set import QuerySet
from tpo.experiments.bench.tables import bench_latex, bench_page, bench_report_tables
from tpo.experiments.cells import Cell
from tpo.experiments.effects import effect_notes
from tpo.experiments.plan import PAGE, write_result_files
from tpo.experiments.tables import with_adjusted_p
from tpo.export.atomic_writer import replacing_text
from tpo.report import ReportOptions, write_report
from tpo.store.jsonline import plain
from tpo.store.runfile import versions

SCHEMA = 1
NAME = "results"
RESULTS = f"{NAME}.json"
LIBRARIES = ("math-verify", "alpaca-eval", "datasets", "numpy", "scipy")


async def grade_answers(plan: BenchPlan) -> dict[str, Any]:
    """Grade the answers of all cells and write the results; return the content of ``results.json``.

    Raises:
        TpoError: grading failed; finished grades are kept.
    """
    answers = {cell: plan.answers(cell) for cell in plan.cells}
    missing = {cell: answers[cell].missing for cell in plan.cells}
    is_whole = plan.query_set.is_whole and not any(missing.values())
    context = replace(plan.context, is_whole=is_whole, opponent=plan.query_set.opponent)
    if plan.fresh:
        (plan.out / GRADES).unlink(missing_ok=True)
    keys = [(cell, when) for cell in plan.cells for when in (BEFORE, AFTER)]
    flat = [answer for cell, when in keys for answer in answers[cell].by_when[when]]
    grades = iter(await GradeStore(plan.benchmark, plan.out).grade_all(flat, context))
    graded = {
        (cell, when): [GradedAnswer(answer, next(grades)) for answer in answers[cell].by_when[when]]
        for cell, when in keys
    }
    if plan.benchmark.publish is not None:
        plan.benchmark.publish([each for rows in graded.values() for each in rows], context)
    record = _record(plan, context, graded, missing)
    record["page"] = PAGE if plan.page else None
    _write(plan, record, graded)
    if plan.page:
        options = ReportOptions(results=bench_report_tables(record))
        write_report([plan.path(cell) for cell in plan.cells], plan.out / PAGE, options)
    return record


def _record(
    plan: BenchPlan,
    context: GradingContext,
    graded: Mapping[tuple[Cell, str], Sequence[GradedAnswer]],
    missing: Mapping[Cell, int],
) -> dict[str, Any]:
    policy = policy_name(plan.settings)
    builder = ResultsBuilder(plan.benchmark, context, policy, plan.shows_paper, plan.paper_model)
    methods: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        methods.setdefault(cell.label, []).append(cell)
    results, against = builder.results(methods, graded, missing)
    return {
        "schema": SCHEMA,
        "benchmark": _benchmark(plan.benchmark),
        "data": _data(plan.query_set, context.is_whole),
        "policy": policy,
        "reward": context.reward,
        "held_out_reward": context.held_out_name or None,
        "judge": _judge(plan.benchmark, context),
        "grader_options": dict(context.options),
        "settings": plan.settings.to_json(),
        "arms": [_cell(plan, cell) for cell in plan.cells],
        "methods": with_adjusted_p([result.record() for result in results], ("change",)),
        "against": with_adjusted_p([asdict(each) for each in against], ("paired",)),
        "paper": published()["source"] if plan.shows_paper else None,
        "effect": effect_notes(plan),
        "versions": versions(*LIBRARIES),
        "written": plan.clock(),
    }


def _benchmark(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "hub": benchmark.hub.spec,
        "licence": benchmark.licence,
        "size": benchmark.size,
        "metric": benchmark.metric,
    }


def _data(query_set: QuerySet, is_whole: bool) -> dict[str, Any]:
    return {
        "source": query_set.source,
        "digest": query_set.digest,
        "rows": query_set.rows,
        "is_whole": is_whole,
        "notes": list(query_set.notes),
        "ids": [query.id for query in query_set.queries],
    }


def _judge(benchmark: Benchmark, context: GradingContext) -> dict[str, Any] | None:
    name = context.judge.name if context.judge is not None else None
    return {"name": name, "paper": benchmark.paper_judge} if name or benchmark.paper_judge else None


def _cell(plan: BenchPlan, cell: Cell) -> dict[str, Any]:
    path = plan.path(cell).relative_to(plan.out)
    return {"method": cell.label, "seed": cell.seed, "run": str(path), "recipe": cell.method.describe()}


def _write(
    plan: BenchPlan, record: Mapping[str, Any], graded: Mapping[tuple[Cell, str], Sequence[GradedAnswer]]
) -> None:
    """Write ``answers.jsonl``, ``results.md``, ``results.tex`` and ``results.json``, each atomically."""
    with replacing_text(plan.out / "answers.jsonl") as file:
        for (cell, when), rows in graded.items():
            for row in rows:
                file.write(json.dumps(_answer(cell, when, row), ensure_ascii=False) + "\n")
    write_result_files(plan.out, NAME, record, markdown=bench_page(record), latex=bench_latex(record))


def _answer(cell: Cell, when: str, graded: GradedAnswer) -> dict[str, Any]:
    answer, grade = graded.answer, graded.grade
    return {
        "id": answer.query.id,
        "method": cell.label,
        "seed": cell.seed,
        "when": when,
        "reward": answer.reward,
        "score": grade.score,
        "verdict": grade.verdict,
        "details": plain(grade.details),
        "text": answer.text,
    }
