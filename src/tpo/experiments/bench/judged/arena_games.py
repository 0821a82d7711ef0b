"""Arena-Hard's two games over a query, sides swapped, asked of the judge or read from the authors' files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tpo.errors import DataError, TpoError
from tpo.experiments.bench.grading import Answer, Context, Grade, Graded, one_by_one, ungraded
from tpo.experiments.bench.judge import Verdict
from tpo.experiments.bench.judged.arena_files import ArenaFolder, Judgment, model_name, read_judgments
from tpo.experiments.bench.judged.verdict import Games, read_label
from tpo.experiments.bench.judged.wording import SYSTEM, Wording, wording_from

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
        """Yield each grade: of the authors' judgments where the user names them, else of two games."""
        if JUDGMENTS_OPTION in context.options:
            for position, grade in enumerate(self._read(answers, context)):
                yield position, grade
            return
        async for position, grade in one_by_one(self._play)(answers, context):
            yield position, grade

    def write(self, graded: Sequence[Graded], context: Context) -> None:
        """All answers in the authors' format, and the games that were judged here in theirs too."""
        folder = ArenaFolder(context.folder, self.bench)
        folder.write_answers([each.answer for each in graded])
        if context.judge is not None and JUDGMENTS_OPTION not in context.options:
            played = [each for each in graded if each.grade.is_graded]
            opponent = context.opponent or self.opponent
            folder.write_judgments(self._row(each, context.judge.name, opponent) for each in played)

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

    def _read(self, answers: Sequence[Answer], context: Context) -> Sequence[Grade]:
        """Grades from the authors' files; what they lack is ungraded, and looked for again next time."""
        place = Path(context.options[JUDGMENTS_OPTION]).expanduser()
        models = set(map(model_name, answers))
        files = {model: place / f"{model}.jsonl" for model in models}
        judgments = {model: read_judgments(file) for model, file in files.items() if file.is_file()}
        return [
            _from_file(answer, judgments.get(model_name(answer), {}), files[model_name(answer)])
            for answer in answers
        ]

    def _row(self, graded: Graded, judge: str, opponent: str) -> dict[str, Any]:
        """Return both games as the authors' scripts write them, the prompts left out."""
        answer, said = graded.answer, graded.grade.details
        games = zip(said["games"], said["replies"], strict=True)
        return {
            "uid": answer.query.id,
            "category": answer.query.metadata.get("category", self.bench),
            "judge": judge,
            "model": model_name(answer),
            "baseline": opponent,
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


def _from_file(answer: Answer, judgments: Mapping[str, Judgment], file: Path) -> Grade:
    found = judgments.get(answer.query.id)
    if found is None or found.games is None:
        return ungraded(f"no two verdicts on it in {file}; judge the answers written here, then run again")
    if not found.is_of(answer.text):
        raise DataError(
            f"{file}: the judgment of {answer.query.id!r} is of another answer than this run's; judge the"
            " answers that this run wrote"
        )
    games = found.games
    details = {"games": [games.first, games.second], "judge": found.judge}
    return Grade(
        games.share, games.verdict, details | {"wording": f"judging prompt: the one behind {file.parent}"}
    )
