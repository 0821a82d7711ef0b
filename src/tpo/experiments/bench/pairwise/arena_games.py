"""Arena-Hard's two games per query with swapped sides, judged here or read from the authors' files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tpo.errors import DataError, TpoError
from tpo.experiments.bench.graders.base import (
    Answer,
    Grade,
    GradedAnswer,
    GradingContext,
    async_grader,
    ungraded,
)
from tpo.experiments.bench.graders.judge import Verdict
from tpo.experiments.bench.pairwise.arena_files import ArenaFolder, Judgment, model_name, read_judgments
from tpo.experiments.bench.pairwise.judge_prompt import SYSTEM, JudgePrompt, judge_prompt_from
from tpo.experiments.bench.pairwise.verdict import Games, read_label

JUDGMENTS_OPTION = "judgments"
GameVerdict = Coroutine[Any, Any, Verdict[str]]


@dataclass(frozen=True, slots=True)
class Arena:
    """A version of Arena-Hard.

    Attributes:
        name: name of the benchmark.
        bench: the authors' folder for it.
        opponent: author of the answers to play against.
        max_tokens: minimum of the judge's ``max_tokens``.
        judge: judge of the published numbers.
        system: system text of the judge prompt.
    """

    name: str
    bench: str
    opponent: str
    max_tokens: int
    judge: str
    system: str = SYSTEM

    def check(self, context: GradingContext) -> None:
        """Check judge and prompt files.

        Raises:
            ConfigError: there is neither a judge nor a folder of judgments, or a prompt file is wrong.
        """
        self.prompt(context)
        if JUDGMENTS_OPTION not in context.options:
            context.need_judge(self.name, f"the published numbers are by {self.judge}")

    def prompt(self, context: GradingContext) -> JudgePrompt:
        """Return the judge prompt."""
        return judge_prompt_from(context.options, self.system)

    async def grade(
        self, answers: Sequence[Answer], context: GradingContext
    ) -> AsyncIterator[tuple[int, Grade]]:
        """Yield each grade, from the authors' judgments if the user names them, else from two games."""
        if JUDGMENTS_OPTION in context.options:
            for position, grade in enumerate(self._read(answers, context)):
                yield position, grade
            return
        async for position, grade in async_grader(self._play)(answers, context):
            yield position, grade

    def write(self, graded: Sequence[GradedAnswer], context: GradingContext) -> None:
        """Write all answers, and the games that were judged here, in the authors' formats."""
        folder = ArenaFolder(context.folder, self.bench)
        folder.write_answers([each.answer for each in graded])
        if context.judge is not None and JUDGMENTS_OPTION not in context.options:
            played = [each for each in graded if each.grade.is_graded]
            opponent = context.opponent or self.opponent
            folder.write_judgments(self._row(each, context.judge.name, opponent) for each in played)

    async def _play(self, answer: Answer, context: GradingContext) -> Grade:
        """Play both games concurrently; the opponent is A in the first game, as in the authors' scripts."""
        judge = context.need_judge(self.name)
        judge = replace(judge, max_tokens=max(judge.max_tokens, self.max_tokens))
        prompt, question = self.prompt(context), answer.query.text
        if answer.baseline is None:
            raise DataError(f"{self.name}: query {answer.query.id!r} has no answer of {self.opponent}")

        async def game(a: str, b: str) -> Verdict[str]:
            return await judge.ask(prompt.messages(question, a, b), read_label, answer.query.id)

        first, second = await _play_both(
            game(answer.baseline, answer.text), game(answer.text, answer.baseline)
        )
        return _grade(first, second, prompt)

    def _read(self, answers: Sequence[Answer], context: GradingContext) -> Sequence[Grade]:
        """Return grades from the authors' files; a missing judgment leaves the answer ungraded for now."""
        folder = Path(context.options[JUDGMENTS_OPTION]).expanduser()
        models = set(map(model_name, answers))
        files = {model: folder / f"{model}.jsonl" for model in models}
        judgments = {model: read_judgments(file) for model, file in files.items() if file.is_file()}
        return [
            _from_file(answer, judgments.get(model_name(answer), {}), files[model_name(answer)])
            for answer in answers
        ]

    def _row(self, graded: GradedAnswer, judge: str, opponent: str) -> dict[str, Any]:
        """Return both games in the format of the authors' scripts, without the prompts."""
        answer, details = graded.answer, graded.grade.details
        games = zip(details["games"], details["replies"], strict=True)
        return {
            "uid": answer.query.id,
            "category": answer.query.metadata.get("category", self.bench),
            "judge": judge,
            "model": model_name(answer),
            "baseline": opponent,
            "games": [{"score": label, "judgment": {"answer": reply}} for label, reply in games],
        }


async def _play_both(first: GameVerdict, second: GameVerdict) -> tuple[Verdict[str], Verdict[str]]:
    """Return both verdicts; if one call fails, the other one finishes before the failure is raised."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    failures = [each for each in (one, two) if isinstance(each, BaseException)]
    if isinstance(one, BaseException) or isinstance(two, BaseException):
        raise next((f for f in failures if isinstance(f, TpoError) and f.fatal), failures[0])
    return one, two


def _grade(first: Verdict[str], second: Verdict[str], prompt: JudgePrompt) -> Grade:
    replies = {"replies": [first.text, second.text], "attempts": [first.attempts, second.attempts]}
    if first.value is None or second.value is None:
        which = " and ".join(n for n, v in (("first", first), ("second", second)) if v.value is None)
        return ungraded(f"no verdict such as [[A>B]] in the judge's reply to the {which} game", **replies)
    games = Games(first.value, second.value)
    details = {"games": [first.value, second.value], **replies, "wording": prompt.source}
    return Grade(games.share, games.verdict, details)


def _from_file(answer: Answer, judgments: Mapping[str, Judgment], file: Path) -> Grade:
    found = judgments.get(answer.query.id)
    if found is None or found.games is None:
        return ungraded(f"{file} has no two verdicts on it; judge the answers written here, then run again")
    if not found.judges(answer.text):
        raise DataError(
            f"{file}: the judgment of {answer.query.id!r} belongs to another answer than this run's; judge"
            " the answers that this run wrote"
        )
    games = found.games
    details = {"games": [games.first, games.second], "judge": found.judge}
    return Grade(
        games.share, games.verdict, details | {"wording": f"judging prompt: the one behind {file.parent}"}
    )
