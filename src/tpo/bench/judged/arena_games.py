"""Arena-Hard's two games over a query, sides swapped, asked of the judge or read from the authors' files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tpo.bench.grading import Answer, Context, Grade, one_by_one, ungraded
from tpo.bench.judge import Verdict
from tpo.bench.judged.arena_files import ArenaFolder, Judgment, model_name, read_judgments
from tpo.bench.judged.verdict import Games, read_label
from tpo.bench.judged.wording import SYSTEM, Wording, wording_from
from tpo.errors import DataError, TpoError

JUDGMENTS_OPTION = "judgments"
Played = Coroutine[Any, Any, Verdict[str]]


@dataclass(frozen=True, slots=True)
class Arena:
    """A version of Arena-Hard.

    Attributes:
        name: the benchmark's.
        bench: the authors' folder of it.
        opponent: who wrote the answers that the games are against.
        max_tokens: of a judge's reply, at least.
        judge: whose verdicts the published numbers are.
        own: our system text.
    """

    name: str
    bench: str
    opponent: str
    max_tokens: int
    judge: str
    own: str = SYSTEM

    def check(self, context: Context) -> None:
        """Refuse before any call what grading would refuse.

        Raises:
            ConfigError: there is neither a judge nor a folder of judgments, or a wording's file is no good.
        """
        self.wording(context)
        if JUDGMENTS_OPTION not in context.options:
            context.need_judge(self.name, f"the published numbers are by {self.judge}")

    def wording(self, context: Context) -> Wording:
        """What the judge is told."""
        return wording_from(context.options, self.own)

    async def grade(self, answers: Sequence[Answer], context: Context) -> AsyncIterator[tuple[int, Grade]]:
        """Write the answers in the authors' format, then yield each grade, its games written so too."""
        folder = ArenaFolder(context.folder, self.bench)
        folder.write_answers(answers)
        if JUDGMENTS_OPTION in context.options:
            for position, grade in enumerate(self._read(answers, context, folder)):
                yield position, grade
            return
        judge = context.need_judge(self.name)
        for model in {model_name(answer) for answer in answers}:
            uids = {answer.query.id for answer in answers if model_name(answer) == model}
            folder.open_judgments(judge.name, model, uids)
        async for position, grade in one_by_one(self._play)(answers, context):
            if grade.is_graded:
                folder.add_judgment(self._row(answers[position], grade, judge.name))
            yield position, grade

    async def _play(self, answer: Answer, context: Context) -> Grade:
        """Both games at once; the opponent is A in the first, as with the authors."""
        judge = context.need_judge(self.name)
        judge = replace(judge, max_tokens=max(judge.max_tokens, self.max_tokens))
        wording, question = self.wording(context), answer.query.text
        if answer.baseline is None:
            raise DataError(f"{self.name}: query {answer.query.id!r} has no answer of {self.opponent}")

        async def game(a: str, b: str) -> Verdict[str]:
            return await judge.ask(wording.messages(question, a, b), read_label, answer.query.id)

        first, second = await _both(game(answer.baseline, answer.text), game(answer.text, answer.baseline))
        return _grade(first, second, wording)

    def _read(self, answers: Sequence[Answer], context: Context, folder: ArenaFolder) -> Sequence[Grade]:
        """Grades from the authors' files; all or none, so that a missing file spoils nothing."""
        place = Path(context.options[JUDGMENTS_OPTION]).expanduser()
        files = {model: place / f"{model}.jsonl" for model in map(model_name, answers)}
        missing = [file for file in files.values() if not file.is_file()]
        if missing:
            raise DataError(
                f"{self.name}: no judgments at {missing[0]}; the answers are written to"
                f" {folder.answers(missing[0].stem)}: judge them with the authors' gen_judgment.py, then run"
                " again"
            )
        judgments = {model: read_judgments(file) for model, file in files.items()}
        return [_from_file(answer, judgments[model_name(answer)], place) for answer in answers]

    def _row(self, answer: Answer, grade: Grade, judge: str) -> dict[str, Any]:
        """Both games as the authors' scripts write them, the prompts left out."""
        games = zip(grade.details["games"], grade.details["replies"], strict=True)
        return {
            "uid": answer.query.id,
            "category": answer.query.metadata.get("category", self.bench),
            "judge": judge,
            "model": model_name(answer),
            "baseline": self.opponent,
            "games": [{"score": label, "judgment": {"answer": reply}} for label, reply in games],
        }


async def _both(first: Played, second: Played) -> tuple[Verdict[str], Verdict[str]]:
    """Both verdicts; where one call fails the other still ends, then the failure is raised."""
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    failures = [each for each in (one, two) if isinstance(each, BaseException)]
    if isinstance(one, BaseException) or isinstance(two, BaseException):
        raise next((f for f in failures if isinstance(f, TpoError) and f.fatal), failures[0])
    return one, two


def _grade(first: Verdict[str], second: Verdict[str], wording: Wording) -> Grade:
    said = {"replies": [first.text, second.text], "attempts": [first.attempts, second.attempts]}
    if first.read is None or second.read is None:
        which = " and ".join(n for n, v in (("first", first), ("second", second)) if v.read is None)
        return ungraded(f"no verdict such as [[A>B]] in the judge's reply to the {which} game", **said)
    games = Games(first.read, second.read)
    details = {"games": [first.read, second.read], **said, "wording": wording.source}
    return Grade(games.share, games.verdict, details)


def _from_file(answer: Answer, judgments: Mapping[str, Judgment], place: Path) -> Grade:
    found = judgments.get(answer.query.id)
    if found is None or found.games is None:
        return ungraded(f"no two verdicts on it in {place}")
    if not found.is_of(answer.text):
        raise DataError(
            f"{place}: the judgment of {answer.query.id!r} is of another answer than this run's; judge the"
            " answers that this run wrote"
        )
    games = found.games
    details = {"games": [games.first, games.second], "judge": found.judge}
    return Grade(games.share, games.verdict, details | {"wording": f"judging prompt: the one behind {place}"})
