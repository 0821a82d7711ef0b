"""One invocation of ``tpo bench``: from flags to a plan, carried out and shown."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tpo.cli.common import axes_of, bench_directory_name, interruptible
from tpo.cli.escape import echo, visible
from tpo.cli.event_counts import EventCounts, completions_per_query
from tpo.cli.run_progress import run_view
from tpo.config import Settings, check_of, name_model, policy_name
from tpo.config.specs import require_held_out
from tpo.errors import ConfigError, PolicyError, StoreError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.graders.base import GradingContext
from tpo.experiments.bench.graders.judge import Judge
from tpo.experiments.bench.graders.load_judge import close_model, load_judge
from tpo.experiments.bench.paper import published
from tpo.experiments.bench.plan import BenchPlan, bench_cells
from tpo.experiments.bench.query_set import load_query_set
from tpo.experiments.bench.registry import benchmark_names, load_benchmark
from tpo.experiments.bench.results import grade_answers
from tpo.experiments.bench.results_table import results_table
from tpo.experiments.bench.tables import bench_page
from tpo.experiments.cells import Cell
from tpo.experiments.latex import latex_table
from tpo.experiments.plan import RUNS, held_out_digest, locked_directory
from tpo.experiments.tables import markdown_table
from tpo.http.failures import HttpFailure
from tpo.plurals import queries
from tpo.runs.models import Models
from tpo.store.runfile import NAME as RUN_FILE
from tpo.store.runfile import read_run

PAPER_SHAPES = ((2, 5), (5, 20))
"""D and N of the paper's rows."""
PAPER_METHODS = ("paper", "paper-revision", "paper-bon", "textgrad", "textgrad-revision")

Flags = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BenchSession:
    """A plan, and what it is carried out with. *talk* goes to stderr, the *result* to stdout."""

    plan: BenchPlan
    grades: bool
    held_out: str | None
    talk: Console
    result: Console

    @classmethod
    def of(cls, name: str, flags: Flags, config: Path | None) -> Self:
        """Return the benchmark run that the command line *flags* describe.

        Raises:
            TpoError: a name is unknown, the data is wrong, or a judge does not answer.
        """
        benchmark = load_benchmark(name)
        flags = _with_paper(flags) if flags["paper"] else flags
        settings, lists = axes_of(flags, config, ("method", "seed"))
        require_held_out(settings.check_reward, (*settings.reward, *settings.gate))
        held_out, settings = settings.check_reward, replace(settings, check_reward=None)
        seeds = seeds_of(lists["seed"], flags["repeats"])
        settings = _with_models(settings, benchmark)
        query_set = load_query_set(benchmark, flags["data"], limit=flags["limit"], baseline=flags["baseline"])
        model = policy_name(settings).rstrip("/").rpartition("/")[2]
        out = settings.out or Path("runs") / bench_directory_name(benchmark.name, model)
        plan = BenchPlan(
            benchmark=benchmark,
            query_set=query_set,
            cells=bench_cells(settings, lists["method"], seeds),
            settings=settings,
            out=out,
            context=_context(flags, settings, out),
            fresh=flags["fresh"],
            shows_paper=flags["paper"] or flags["paper_model"] is not None,
            paper_model=flags["paper_model"],
            page=not flags["no_page"],
        )
        grades = not flags["no_grade"]
        if grades:
            plan.check()
        console = Console(stderr=True, quiet=settings.quiet, highlight=False, emoji=False)
        return cls(plan, grades, held_out, console, Console(file=sys.stdout, highlight=False, emoji=False))

    def execute(self) -> int:
        """Answer, grade and show; how many answers are missing."""
        again = f"interrupted; the same command resumes {self.plan.out}"
        with interruptible(self.talk, again), locked_directory(self.plan.out):
            self._introduce()
            missing = self._generate()
            if not self.grades:
                self._say(f"answered: {self.plan.out}; the same command without --no-grade grades")
                return missing
            record = self._graded()
        self.result.print(self._shown(record), markup=False, soft_wrap=True)
        return missing

    def _generate(self) -> int:
        cells = self.plan.incomplete_cells()
        if not cells:
            return 0
        # Outside of the event loop, where Ctrl-C would have to wait until the models are loaded.
        with self.talk.status("loading the models"):
            models = self.plan.run_plan(cells[0]).load_models(complete=False)
        return asyncio.run(self._run(cells, models))

    async def _run(self, cells: Sequence[Cell], models: Models) -> int:
        failed = 0
        async with models.ready():
            for cell in cells:
                self._say(f"{cell.label}, seed {cell.seed}")
                tally = EventCounts(completions_per_query(cell.method))
                with run_view(self.talk, tally, quiet=self.plan.settings.quiet) as view:
                    failed += (await self.plan.run_plan(cell).execute(models, view)).failed
        return failed

    def _graded(self) -> Mapping[str, Any]:
        plan, context = self.plan, self.plan.context
        if self.held_out is not None:
            context = replace(
                context,
                held_out=check_of(replace(plan.settings, check_reward=self.held_out), os.environ),
                held_out_name=self.held_out,
                held_out_weights=held_out_digest(plan.settings, self.held_out),
            )
            plan = replace(plan, context=context)
        with self.talk.status("grading"):
            return asyncio.run(_grade(plan))

    def _introduce(self) -> None:
        plan = self.plan
        query_set = plan.query_set
        self._say(f"{plan.benchmark.title}: {queries(len(query_set.queries))} of {query_set.source}")
        for note in query_set.notes:
            self._say(f"  {note}")
        judge = plan.context.judge
        by = f", judge {judge.name}" if judge is not None else ""
        self._say(f"policy {policy_name(plan.settings)}, reward {plan.context.reward}{by}")

    def _shown(self, record: Mapping[str, Any]) -> str:
        return f"{visible(bench_page(record))}\n{self.plan.out}/results.json, results.md, results.tex"

    def _say(self, sentence: str) -> None:
        self.talk.print(visible(sentence), markup=False, soft_wrap=True)


async def _grade(plan: BenchPlan) -> Mapping[str, Any]:
    judge, held_out = plan.context.judge, plan.context.held_out
    try:
        return await grade_answers(plan)
    finally:
        await close_model(held_out)
        await close_model(judge.policy if judge is not None else None)


def _with_models(settings: Settings, benchmark: Benchmark) -> Settings:
    """Return *settings* with the models' names: finished answers are graded without their server.

    Raises:
        PolicyError: a server does not answer, and the answers are of several models or there are none.
    """
    try:
        return asyncio.run(name_model(settings, os.environ))
    except PolicyError as error:
        cause = error.__cause__
        is_down = isinstance(cause, HttpFailure) and (cause.unreachable or cause.passes)
        recorded = _recorded_models(settings, benchmark) if is_down else []
        if not recorded:
            raise
        if len(recorded) > 1:
            raise type(error)(f"{error} Or name the model of the answers: --model NAME") from error
        if not settings.quiet:
            echo(f"note: {error} The model is that of the answers, {recorded[0]['model']}", err=True)
        return replace(settings, **recorded[0])


def _recorded_models(settings: Settings, benchmark: Benchmark) -> list[dict[str, Any]]:
    """Return the models' names in the runs of *benchmark* with the same policy, critic and editor."""
    folders = [settings.out] if settings.out else Path("runs").glob(_any_model(benchmark))
    found: list[dict[str, Any]] = []
    for file in (file for folder in folders for file in folder.glob(f"{RUNS}/*/{RUN_FILE}")):
        with suppress(StoreError):
            there = read_run(file).configuration
            names = {name: there.get(name) for name in ("model", "critic_model", "editor_model")}
            same = all(
                list(getattr(settings, name)) == there.get(name) for name in ("policy", "critic", "editor")
            )
            given = all(getattr(settings, name) in (None, value) for name, value in names.items())
            if same and given and there.get("benchmark") == benchmark.name and names not in found:
                found.append(names)
    return found


def _any_model(benchmark: Benchmark) -> str:
    """Return the pattern of the default directories of *benchmark*."""
    return bench_directory_name(benchmark.name, "x").removesuffix("x") + "*"


def _context(flags: Flags, settings: Settings, out: Path) -> GradingContext:
    judge: Judge | None = None
    if flags["judge"] is not None and not flags["no_grade"]:
        more = {"timeout": settings.timeout, "retry_timeout": settings.retry_timeout}
        judge = asyncio.run(load_judge(flags["judge"], os.environ, settings.concurrency, **more))
    return GradingContext(
        judge=judge,
        folder=out,
        reward=", ".join(settings.reward),
        options=dict(_option(text) for text in flags["grader_option"] or ()),
    )


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name.strip() or not equals:
        raise ConfigError(f"--grader-option {text!r} must be NAME=VALUE")
    return name.strip(), value


def seeds_of(seeds: Sequence[int], repeats: int) -> list[int]:
    """Return *seeds*, or as many as *repeats* from the only one on.

    Raises:
        ConfigError: both are several.
    """
    if len(seeds) > 1 and repeats > 1:
        raise ConfigError("--repeats counts up from one --seed: give one seed, or leave out --repeats")
    return [seed + repeat for seed in seeds for repeat in range(repeats)]


def _with_paper(flags: Flags) -> Flags:
    """*flags* with the paper's settings where nothing is given.

    Raises:
        ConfigError: something else is given; then it would not be the paper's setting.
    """
    wanted = dict(published()["settings"])
    names = ("max_iterations", "sample_size")
    shape = tuple(wanted[name] if flags[name] is None else flags[name] for name in names)
    if shape not in PAPER_SHAPES:
        raise ConfigError(f"--paper: the paper's shapes are D2-N5 and D5-N20, not D{shape[0]}-N{shape[1]}")
    methods = flags["method"] or wanted["method"]
    for name in filter(None, map(str.strip, methods.split(","))):
        if name not in PAPER_METHODS:
            raise ConfigError(
                f"--paper: --method {name} is not the paper's; there are {', '.join(PAPER_METHODS)}"
            )
    wanted |= {"max_iterations": shape[0], "sample_size": shape[1], "method": methods}
    for key, value in wanted.items():
        given = flags[key]
        if key not in ("method", "max_iterations", "sample_size") and str(given) not in ("None", str(value)):
            option = "--" + key.replace("_", "-")
            raise ConfigError(f"--paper: {option} is {value} there; leave out {option} {given}, or --paper")
    return flags | wanted


LIST_WIDTH = 100


def show_list() -> None:
    """Print every benchmark, then where its data is published, in at most :data:`LIST_WIDTH` columns."""
    benchmarks = [load_benchmark(name) for name in benchmark_names()]
    table = Table(box=box.MARKDOWN)
    for head in ("name", "queries", "metric", "licence"):
        table.add_column(head, no_wrap=head == "name", ratio={"metric": 4, "licence": 3}.get(head))
    for known in benchmarks:
        table.add_row(known.name, f"{known.size:,}", Text(known.metric), Text(known.licence))
    console = Console(file=sys.stdout, width=LIST_WIDTH, highlight=False, emoji=False)
    console.print(table)
    for known in benchmarks:
        console.print(f"{known.name:<25} {known.hub.spec}", markup=False, soft_wrap=True)


def show_ids(name: str, data: str | None) -> None:
    """The ids that *name* asks."""
    for query in load_query_set(load_benchmark(name), data).queries:
        echo(query.id)


def show_table(folders: Sequence[Path], form: str) -> None:
    """Results of *folders* in one table."""
    if form not in ("md", "latex"):
        raise ConfigError(f"--format {form}: there are md and latex")
    head, rows = results_table(folders)
    text = markdown_table(head, rows) if form == "md" else latex_table(head, rows, "Results of tpo bench.")
    echo(text)
