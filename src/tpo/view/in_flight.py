"""Queries in flight: their progress and tokens, as recorded in the journal."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tpo.report.partial_run import JOURNAL
from tpo.store.journaled_models import STOPPED
from tpo.store.jsonline import unseal
from tpo.view.tail import Tail

MAX_SHOWN = 20
"""Maximum queries in flight that are listed."""


@dataclass(slots=True)
class _Progress:
    """Progress of one query: its last call, and what it has so far."""

    step: int = 0
    phase: str = "sample"
    calls: int = 0
    tokens: int = 0
    best: float | None = None

    def add(self, line: dict[str, Any]) -> None:
        """Add a finished call."""
        completion, score = line.get("completion") or {}, line.get("score") or {}
        self.calls += 1
        self.tokens += int(completion.get("usage", {}).get("completion_tokens", 0))
        self.step, self.phase = int(line.get("step", 0)), str(line.get("phase", ""))
        if "value" in score:
            reward = float(score["value"])
            self.best = reward if self.best is None else max(self.best, reward)


class InFlightQueries:
    """Queries in the journals of the run directories *paths*."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._journals: list[_Journal] = []
        self.follow(paths)

    def follow(self, paths: Sequence[Path]) -> None:
        """Follow the journals of *paths*, too."""
        self._journals += [_Journal(path / JOURNAL) for path in paths]

    @property
    def calls(self) -> int:
        """Number of finished calls in the journals."""
        return sum(journal.calls for journal in self._journals)

    def refresh(self) -> bool:
        """Read appended lines; return whether more can be read now."""
        more = [journal.refresh() for journal in self._journals]
        return any(more)

    def queries(self, ended: Container[str]) -> tuple[int, int]:
        """Return the number of queries not in *ended*, and their completion tokens so far."""
        counts = [journal.queries(ended) for journal in self._journals]
        return sum(count for count, _ in counts), sum(tokens for _, tokens in counts)

    def listed(self, ended: Container[str]) -> list[dict[str, Any]]:
        """Return the progress of the queries not in *ended* that began last, the last one first."""
        found = chain.from_iterable(journal.listed(ended) for journal in self._journals)
        return list(islice(found, MAX_SHOWN))


class _Journal:
    """Queries in one journal."""

    def __init__(self, file: Path) -> None:
        self._tail = Tail(file)
        self._progress: dict[str, _Progress] = {}
        self.calls = 0

    def refresh(self) -> bool:
        """Read appended lines; return whether more can be read now."""
        growth = self._tail.read()
        if growth.replaced:  # compaction rewrites it without the calls of ended queries
            self._progress.clear()
            self.calls = 0
        for line in growth.lines:
            self._take(line.content)
        return growth.more

    def queries(self, ended: Container[str]) -> tuple[int, int]:
        """Return the number of queries not in *ended*, and their completion tokens so far."""
        tokens = [progress.tokens for query, progress in self._progress.items() if query not in ended]
        return len(tokens), sum(tokens)

    def listed(self, ended: Container[str]) -> list[dict[str, Any]]:
        """Return the progress of the queries not in *ended*, the one that began last first."""
        found = [query for query in reversed(self._progress) if query not in ended][:MAX_SHOWN]
        return [{"id": query, **asdict(self._progress[query])} for query in found]

    def _take(self, line: bytes) -> None:
        try:
            record = unseal(line)
            query = str(record["query"])
            if "decision" not in record:
                self._progress.setdefault(query, _Progress()).add(record)
                self.calls += 1
            elif record.get("rule") == STOPPED:  # it makes no further call
                self._progress.pop(query, None)
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a damaged line
