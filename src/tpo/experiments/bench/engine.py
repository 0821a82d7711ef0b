"""A benchmark from its data to its results: generate, grade, sum up, write; each goes on where it stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.config import Settings, policy_name
from tpo.errors import ConfigError, MissingExtra, StoreError
from tpo.events import Listener
from tpo.experiments.bench.arms import AFTER, BEFORE, Answers, Arm, Generation
from tpo.experiments.bench.asked import Asked
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.grades import NAME as GRADES
from tpo.experiments.bench.grades import Grades
from tpo.experiments.bench.grading import Context, Graded
from tpo.experiments.bench.paper import closest_model, published
from tpo.experiments.bench.results import Reader
from tpo.experiments.bench.tables import bench_latex, bench_page, bench_report_tables
from tpo.export.writing import replacing_text
from tpo.report import ReportOptions, write_report
from tpo.runs import Summary
from tpo.runs.models import Models
from tpo.runs.plan import RunPlan
from tpo.store.jsonline import plain
from tpo.store.lock import Lock
from tpo.store.runfile import versions

SCHEMA = 1
RESULTS = "results.json"
PAGE = "report.html"
LIBRARIES = ("math-verify", "alpaca-eval", "datasets", "numpy", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that decides a benchmark's results, and where they go."""

    benchmark: Benchmark
    asked: Asked
    arms: tuple[Arm, ...]
    settings: Settings
    out: Path
    context: Context
    fresh: bool = False
    shows_paper: bool = False
    paper_model: str | None = None
    page: bool = True
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        unknown = [name for name in self.context.options if name not in self.benchmark.options]
        if unknown:
            there = ", ".join(self.benchmark.options) or "none"
            raise ConfigError(
                f"--grader-option {unknown[0]}: {self.benchmark.name} has no such option; there are: {there}"
            )

    @property
    def generation(self) -> Generation:
        """What the arms are run with."""
        return Generation(self.settings, self.asked, self.benchmark.name, self.out)


def check(plan: Plan) -> None:
    """Refuse, before any call is made, what grading would refuse.

    Raises:
        ConfigError: no judge, a wrong option, a model that is not the paper's.
        MissingExtra: a library is not installed.
    """
    try:
        import numpy as np  # noqa: F401 - intervals need it, in a module that names another extra
    except ImportError as error:
        raise MissingExtra("numpy", "bench", "tpo bench") from error
    closest_model(policy_name(plan.settings), plan.paper_model)
    if plan.benchmark.needs_judge:
        plan.context.need_judge(plan.benchmark.name, _advice(plan.benchmark))
    if plan.benchmark.check is not None:
        plan.benchmark.check(plan.context)


def _advice(benchmark: Benchmark) -> str:
    return f"the paper's is {benchmark.paper_judge}" if benchmark.paper_judge else ""


@contextmanager
def working_in(out: Path) -> Iterator[None]:
    """Hold the folder *out*, so that no two commands grade there at once.

    Raises:
        StoreBusy: another does.
        StoreError: it cannot be used.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        held = Lock(out)
    except OSError as error:
        raise StoreError(f"cannot use {out}: {error.strerror}") from error
    try:
        yield
    finally:
        held.release()


def run_plan(plan: Plan, arm: Arm) -> RunPlan:
    """Return the run of *arm*."""
    return plan.generation.run_plan(arm, fresh=plan.fresh)


def incomplete(plan: Plan) -> tuple[Arm, ...]:
    """Return the arms that models are needed for."""
    return tuple(arm for arm in plan.arms if not run_plan(plan, arm).is_complete())


async def generate(plan: Plan, arm: Arm, models: Models, listener: Listener | None = None) -> Summary:
    """Run *arm*, or resume its run; *models* stay open."""
    return await run_plan(plan, arm).execute(models, listener)


async def grade(plan: Plan) -> dict[str, Any]:
    """Grade what the arms have answered, and write the results beside their runs.

    Returns the content of ``results.json``.

    Raises:
        TpoError: grading failed; grades that were finished are kept.
    """
    answers = {arm: plan.generation.answers(arm) for arm in plan.arms}
    is_whole = _is_whole(plan.asked, answers)
    context = replace(plan.context, is_whole=is_whole, opponent=plan.asked.opponent)
    if plan.fresh:
        (plan.out / GRADES).unlink(missing_ok=True)
    places = [(arm, when) for arm in plan.arms for when in (BEFORE, AFTER)]
    flat = [answer for arm, when in places for answer in answers[arm].by_when[when]]
    grades = iter(await Grades(plan.benchmark, plan.out).over(flat, context))
    graded = {
        (arm, when): [Graded(answer, next(grades)) for answer in answers[arm].by_when[when]]
        for arm, when in places
    }
    if plan.benchmark.publish is not None:
        plan.benchmark.publish([each for rows in graded.values() for each in rows], context)
    record = _record(plan, context, graded, {arm: answers[arm].missing for arm in plan.arms})
    record["page"] = _page(plan, record) if plan.page else None
    write(plan, record, graded)
    return record


def _page(plan: Plan, record: Mapping[str, Any]) -> str:
    """The results and the report of the arms' runs on one page, beside the other files; its name."""
    runs = [plan.generation.path(arm) for arm in plan.arms]
    write_report(runs, plan.out / PAGE, ReportOptions(results=bench_report_tables(record)))
    return PAGE


def _is_whole(asked: Asked, answers: Mapping[Arm, Answers]) -> bool:
    return asked.is_whole and not any(of.missing for of in answers.values())


def _record(
    plan: Plan,
    context: Context,
    graded: Mapping[tuple[Arm, str], Sequence[Graded]],
    missing: Mapping[Arm, int],
) -> dict[str, Any]:
    reader = Reader(plan.benchmark, context, policy_name(plan.settings), plan.shows_paper, plan.paper_model)
    methods: dict[str, list[Arm]] = {}
    for arm in plan.arms:
        methods.setdefault(arm.method, []).append(arm)
    results, against = reader.results(methods, graded, missing)
    return {
        "schema": SCHEMA,
        "benchmark": _described(plan.benchmark),
        "data": _data(plan.asked, context.is_whole),
        "policy": policy_name(plan.settings),
        "reward": context.reward,
        "held_out_reward": context.held_out_name or None,
        "judge": _judged(plan.benchmark, context),
        "grader_options": dict(context.options),
        "settings": plan.settings.to_json(),
        "arms": [_arm(plan, arm) for arm in plan.arms],
        "methods": [result.record() for result in results],
        "against": [asdict(each) for each in against],
        "paper": published()["source"] if plan.shows_paper else None,
        "versions": versions() | _libraries(),
        "written": plan.clock(),
    }


def _described(benchmark: Benchmark) -> dict[str, Any]:
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "hub": benchmark.hub.spec,
        "licence": benchmark.licence,
        "size": benchmark.size,
        "metric": benchmark.metric,
    }


def _data(asked: Asked, is_whole: bool) -> dict[str, Any]:
    return {
        "source": asked.source,
        "digest": asked.digest,
        "rows": asked.rows,
        "is_whole": is_whole,
        "notes": list(asked.notes),
        "ids": [query.id for query in asked.queries],
    }


def _judged(benchmark: Benchmark, context: Context) -> dict[str, Any] | None:
    name = context.judge.name if context.judge is not None else None
    return {"name": name, "paper": benchmark.paper_judge} if name or benchmark.paper_judge else None


def _arm(plan: Plan, arm: Arm) -> dict[str, Any]:
    path = plan.generation.path(arm).relative_to(plan.out)
    return {"method": arm.method, "seed": arm.seed, "run": str(path), "recipe": arm.recipe.describe()}


def _libraries() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def write(plan: Plan, record: Mapping[str, Any], graded: Mapping[tuple[Arm, str], Sequence[Graded]]) -> None:
    """``results.json``, ``results.md``, ``results.tex`` and ``answers.jsonl``, each whole or not at all."""
    with replacing_text(plan.out / "answers.jsonl") as file:
        for (arm, when), rows in graded.items():
            for row in rows:
                file.write(json.dumps(_answer(arm, when, row), ensure_ascii=False) + "\n")
    with replacing_text(plan.out / "results.md") as file:
        file.write(bench_page(record))
    with replacing_text(plan.out / "results.tex") as file:
        file.write(bench_latex(record))
    with replacing_text(plan.out / RESULTS) as file:
        file.write(json.dumps(plain(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _answer(arm: Arm, when: str, graded: Graded) -> dict[str, Any]:
    answer, grade = graded.answer, graded.grade
    return {
        "id": answer.query.id,
        "method": arm.method,
        "seed": arm.seed,
        "when": when,
        "reward": answer.reward,
        "score": grade.score,
        "verdict": grade.verdict,
        "details": plain(grade.details),
        "text": answer.text,
    }
