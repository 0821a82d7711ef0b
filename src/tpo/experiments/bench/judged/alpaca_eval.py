"""AlpacaEval 2: 805 instructions, answers held against GPT-4 Turbo's (Dubois et al. 2024, arXiv 2404.04475).

The judge compares a pair once, in an order drawn by instruction, and its log-probabilities weigh the win.
The length-controlled rate, the first of the paper's table, is only right on the whole set in its order.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpo.data.row import Row
from tpo.errors import ConfigError, DataError, PolicyError
from tpo.experiments.bench.benchmark import Baseline, Benchmark
from tpo.experiments.bench.grading import Answer, Context, Grade, Graded, Metric, one_by_one, ungraded
from tpo.experiments.bench.hub import Hub, as_record, column
from tpo.experiments.bench.judge import ATTEMPTS, Judge
from tpo.experiments.bench.judged import length_control
from tpo.experiments.bench.judged.alpaca_package import DEFAULT_ANNOTATOR, Annotator, Shown, package_version
from tpo.experiments.bench.judged.arena_files import model_name
from tpo.experiments.bench.summarize import mean_metric
from tpo.export.writing import write_json_list
from tpo.policies.wrapper import closing
from tpo.types import Completion, Query, Sampling, Scope, WeighedSampling, user

ANNOTATOR_OPTION = "annotator"
PAPER_JUDGE = "gpt-4-1106-preview"
BASELINE = "gpt4_1106_preview"
TIE = 1.5
HUB = Hub("tatsu-lab/alpaca_eval", file="alpaca_eval_gpt4_baseline.json")


def read(row: Row, position: int) -> Query:
    """``instruction`` asked as it is; the id follows from it, the position is kept for length control."""
    instruction = column(row, "instruction")
    dataset = as_record(row).get("dataset")
    metadata = {"position": position} | ({"dataset": dataset} if isinstance(dataset, str) else {})
    return Query(query_id(instruction), (user(instruction),), metadata=metadata)


def read_baseline(row: Row, position: int) -> tuple[str, str]:
    """The opponent's ``output``, matched by its instruction, so that its file may be in any order."""
    del position
    return query_id(column(row, "instruction")), column(row, "output", blank=True)


def query_id(instruction: str) -> str:
    """The rows have no ids: theirs is the beginning of the instruction's digest."""
    return f"alpaca-{hashlib.sha256(instruction.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def check(context: Context) -> None:
    """Refuse before any call a missing judge, package or annotator."""
    context.need_judge("alpaca-eval-2", f"the paper's is {PAPER_JUDGE}")
    _annotator(context)


async def grade(answers: Sequence[Answer], context: Context) -> AsyncIterator[tuple[int, Grade]]:
    """Yield each answer's win over the baseline's, from 0 to 1."""
    pairs = Pairs(_annotator(context), context.need_judge("alpaca-eval-2"))
    async for found in one_by_one(pairs.grade)(answers, context):
        yield found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Asks *judge* as *annotator* does."""

    annotator: Annotator
    judge: Judge

    async def grade(self, answer: Answer, _: Context) -> Grade:
        """The weight of the answer's win; equal texts are a tie and ask nobody, as in the package."""
        if answer.baseline is None:
            raise DataError(f"alpaca-eval-2: query {answer.query.id!r} has no answer of {BASELINE}")
        if answer.text == answer.baseline:
            return self._graded(TIE, "both answers are the same text", 0)
        shown = self.annotator.show(answer.query.text, answer.baseline, answer.text)
        for attempt in range(ATTEMPTS):
            reply = await self._ask(shown, answer.query.id, attempt)
            if reply.served is not None and reply.served.cut_turn is not None:
                return ungraded("the judge's context could not hold both answers", attempts=attempt + 1)
            found = self.annotator.preference(shown, reply.text, reply.alternatives)
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

    async def _ask(self, shown: Shown, query: str, attempt: int) -> Completion:
        asked = self.annotator
        draw = (1, asked.temperature, asked.top_p, asked.max_tokens, attempt)
        sampling = WeighedSampling(*draw, asked.alternatives) if asked.alternatives else Sampling(*draw)
        calls = self.judge.policy.sample(shown.messages, sampling, Scope(query, attempt, "sample"))
        async with closing(calls) as replies:
            async for reply in replies:
                if asked.alternatives and not reply.alternatives:
                    raise ConfigError(
                        f"the judge {self.judge.name} gives no log-probabilities, which {asked.name} weighs;"
                        " take a judge that does, or an annotator that reads text:"
                        f" --grader-option {ANNOTATOR_OPTION}=NAME"
                    )
                return reply
        raise PolicyError(f"query {query!r}: the judge {self.judge.name} gave no reply")


def summarize(graded: Sequence[Graded], context: Context) -> tuple[Metric, ...]:
    """Return the plain win rate, of which changes are told, and the length-controlled one."""
    judge = context.judge.name if context.judge is not None else ""
    name = context.options.get(ANNOTATOR_OPTION, DEFAULT_ANNOTATOR)
    opponent = context.opponent or BASELINE
    note = f"against {opponent}, {package_version()}, annotator {name}"
    plain = mean_metric("win_rate", graded, scale=100.0, unit="%", by=judge, note=note)
    why = "" if opponent == BASELINE else f"its difficulties are of answers against {BASELINE}"
    controlled = length_control.metric(
        graded, is_whole=context.is_whole, by=judge, note=note, refused_for=why
    )
    write_outputs(graded, context.folder)
    return plain, controlled


def write_outputs(graded: Sequence[Graded], folder: Path) -> None:
    """Write ``results/MODEL/model_outputs.json`` in *folder* for each model, as the official tool reads it.

    Raises:
        StoreError: a file cannot be written.
    """
    models: dict[str, list[Answer]] = defaultdict(list)
    for each in graded:
        models[model_name(each.answer)].append(each.answer)
    for model, answers in models.items():
        ordered = sorted(answers, key=lambda answer: int(answer.query.metadata["position"]))
        rows = (_output(answer, model) for answer in ordered)
        write_json_list(folder / "results" / model / "model_outputs.json", rows)


def _output(answer: Answer, model: str) -> dict[str, str]:
    dataset = answer.query.metadata.get("dataset")
    row = {"instruction": answer.query.text, "output": answer.text, "generator": model}
    return {"dataset": str(dataset), **row} if dataset is not None else row


def _annotator(context: Context) -> Annotator:
    return Annotator(context.options.get(ANNOTATOR_OPTION, DEFAULT_ANNOTATOR))


ALPACA_EVAL_2 = Benchmark(
    name="alpaca-eval-2",
    title="AlpacaEval 2",
    hub=HUB,
    licence="CC BY-NC 4.0",
    size=length_control.ROWS,
    metric=f"win rate, and length-controlled win rate, against {BASELINE} (the paper: by {PAPER_JUDGE})",
    read=read,
    grade=grade,
    summarize=summarize,
    stratum="dataset",
    baseline=Baseline(hub=HUB, read=read_baseline, writer=BASELINE, writer_column="generator"),
    paper=(("length_controlled_win_rate", "alpaca_eval2_lc"), ("win_rate", "alpaca_eval2_wr")),
    paper_judge=PAPER_JUDGE,
    needs_judge=True,
    check=check,
    options=(ANNOTATOR_OPTION,),
)
