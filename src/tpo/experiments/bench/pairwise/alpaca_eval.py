"""AlpacaEval 2: 805 instructions, compared with GPT-4 Turbo's answers (Dubois et al. 2024, arXiv 2404.04475).

The judge compares each pair once, in an order drawn by instruction; its log-probabilities give the weight of
the win. The length-controlled rate, the first in the paper's table, is only valid on the whole set in its
order.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.errors import ConfigError, DataError, PolicyError
from tpo.experiments.bench.benchmark import Baseline, Benchmark
from tpo.experiments.bench.columns import as_record, column
from tpo.experiments.bench.graders.base import (
    Answer,
    Grade,
    GradedAnswer,
    GradingContext,
    Metric,
    async_grader,
    ungraded,
)
from tpo.experiments.bench.graders.judge import ATTEMPTS, Judge
from tpo.experiments.bench.graders.metrics import mean_metric
from tpo.experiments.bench.pairwise import length_control
from tpo.experiments.bench.pairwise.alpaca_package import (
    DEFAULT_ANNOTATOR,
    Annotator,
    JudgedPair,
    package_version,
)
from tpo.experiments.bench.pairwise.arena_files import model_name
from tpo.export.atomic_writer import write_json_list
from tpo.policies.wrapper import closing
from tpo.types import Completion, Query, Sampling, Scope, WeighedSampling, user

ANNOTATOR_OPTION = "annotator"
PAPER_JUDGE = "gpt-4-1106-preview"
BASELINE = "gpt4_1106_preview"
TIE = 1.5
HUB = HubSource("tatsu-lab/alpaca_eval", file="alpaca_eval_gpt4_baseline.json")


def _read_row(row: Row, position: int) -> Query:
    """Return ``instruction`` as the query; its position is kept for length control."""
    instruction = column(row, "instruction")
    dataset = as_record(row).get("dataset")
    metadata = {"position": position} | ({"dataset": dataset} if isinstance(dataset, str) else {})
    return Query(query_id(instruction), (user(instruction),), metadata=metadata)


def _read_baseline(row: Row, position: int) -> tuple[str, str]:
    """Return the opponent's ``output``, matched by instruction, so that the file may be in any order."""
    del position
    return query_id(column(row, "instruction")), column(row, "output", blank=True)


def query_id(instruction: str) -> str:
    """Return an id from the instruction's digest, because the rows have no ids."""
    return f"alpaca-{hashlib.sha256(instruction.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _check(context: GradingContext) -> None:
    """Check that judge, package and annotator exist."""
    context.need_judge("alpaca-eval-2", f"the paper's is {PAPER_JUDGE}")
    _annotator(context)


async def _grade(answers: Sequence[Answer], context: GradingContext) -> AsyncIterator[tuple[int, Grade]]:
    """Yield the weight of each answer's win over the baseline, from 0 to 1."""
    pairs = _PairGrader(_annotator(context), context.need_judge("alpaca-eval-2"))
    async for found in async_grader(pairs.grade)(answers, context):
        yield found


@dataclass(frozen=True, slots=True)
class _PairGrader:
    """Grader of pairs by *judge* with the prompt and parser of *annotator*."""

    annotator: Annotator
    judge: Judge

    async def grade(self, answer: Answer, _: GradingContext) -> Grade:
        """Return the weight of the answer's win; equal texts are a tie without a call, as in the package."""
        if answer.baseline is None:
            raise DataError(f"alpaca-eval-2: query {answer.query.id!r} has no answer of {BASELINE}")
        if answer.text == answer.baseline:
            return self._graded(TIE, "both answers are the same text", 0)
        pair = self.annotator.prepare(answer.query.text, answer.baseline, answer.text)
        for attempt in range(ATTEMPTS):
            reply = await self._ask(pair, answer.query.id, attempt)
            if reply.served is not None and reply.served.cut_turn is not None:
                return ungraded("the judge's context could not hold both answers", attempts=attempt + 1)
            found = self.annotator.preference(pair, reply.text, reply.alternatives)
            if found is not None:
                return self._graded(found, reply.text, attempt + 1, reply.alternatives[:1])
        return ungraded("the judge's reply names neither answer", reply=reply.text, attempts=ATTEMPTS)

    def _graded(
        self, preference: float, reply: str, attempts: int, alternatives: Sequence[object] = ()
    ) -> Grade:
        verdict = "tie" if preference == TIE else "win" if preference > TIE else "loss"
        details = {"preference": preference, "reply": reply, "attempts": attempts}
        details |= {"annotator": self.annotator.name, "alternatives": list(alternatives)}
        return Grade(preference - 1, verdict, details)

    async def _ask(self, pair: JudgedPair, query: str, attempt: int) -> Completion:
        annotator = self.annotator
        values = (1, annotator.temperature, annotator.top_p, annotator.max_tokens, attempt)
        weighed = annotator.alternatives > 0
        sampling = WeighedSampling(*values, annotator.alternatives) if weighed else Sampling(*values)
        calls = self.judge.policy.sample(pair.messages, sampling, Scope(query, attempt, "sample"))
        async with closing(calls) as replies:
            async for reply in replies:
                if weighed and not reply.alternatives:
                    raise ConfigError(
                        f"the judge {self.judge.name} returns no log-probabilities, which {annotator.name}"
                        " needs; use a judge that returns them, or an annotator that reads text:"
                        f" --grader-option {ANNOTATOR_OPTION}=NAME"
                    )
                return reply
        raise PolicyError(f"query {query!r}: the judge {self.judge.name} returned no reply")


def _summarize(graded: Sequence[GradedAnswer], context: GradingContext) -> tuple[Metric, ...]:
    """Return the plain win rate, which changes are computed from, and the length-controlled one."""
    judge = context.judge.name if context.judge is not None else ""
    name = context.options.get(ANNOTATOR_OPTION, DEFAULT_ANNOTATOR)
    opponent = context.opponent or BASELINE
    note = f"against {opponent}, {package_version()}, annotator {name}"
    plain = mean_metric("win_rate", graded, scale=100.0, unit="%", by=judge, note=note)
    why = "" if opponent == BASELINE else f"its difficulties are for answers against {BASELINE}"
    controlled = length_control.length_controlled_metric(
        graded, is_whole=context.is_whole, by=judge, note=note, refused_for=why
    )
    return plain, controlled


def _write_outputs(graded: Sequence[GradedAnswer], context: GradingContext) -> None:
    """Write ``results/MODEL/model_outputs.json`` for each model, as the official tool reads it.

    Raises:
        StoreError: a file cannot be written.
    """
    models: dict[str, list[Answer]] = defaultdict(list)
    for each in graded:
        models[model_name(each.answer)].append(each.answer)
    for model, answers in models.items():
        ordered = sorted(answers, key=lambda answer: int(answer.query.metadata["position"]))
        rows = (_output(answer, model) for answer in ordered)
        write_json_list(context.folder / "results" / model / "model_outputs.json", rows)


def _output(answer: Answer, model: str) -> dict[str, str]:
    dataset = answer.query.metadata.get("dataset")
    row = {"instruction": answer.query.text, "output": answer.text, "generator": model}
    return {"dataset": str(dataset), **row} if dataset is not None else row


def _annotator(context: GradingContext) -> Annotator:
    return Annotator(context.options.get(ANNOTATOR_OPTION, DEFAULT_ANNOTATOR))


ALPACA_EVAL_2 = Benchmark(
    name="alpaca-eval-2",
    title="AlpacaEval 2",
    hub=HUB,
    licence="CC BY-NC 4.0",
    size=length_control.ROWS,
    metric=f"win rate, and length-controlled win rate, against {BASELINE} (the paper: by {PAPER_JUDGE})",
    read=_read_row,
    grade=_grade,
    summarize=_summarize,
    publish=_write_outputs,
    stratum="dataset",
    baseline=Baseline(hub=HUB, read=_read_baseline, writer=BASELINE, writer_column="generator"),
    paper=(("length_controlled_win_rate", "alpaca_eval2_lc"), ("win_rate", "alpaca_eval2_wr")),
    paper_judge=PAPER_JUDGE,
    needs_judge=True,
    check=_check,
    options=(ANNOTATOR_OPTION,),
)
