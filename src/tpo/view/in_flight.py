"""Queries in flight and their tokens, as recorded in the journal."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from tpo.report.partial_run import JOURNAL
from tpo.store.jsonline import unseal
from tpo.view.tail import Tail


class InFlightQueries:
    """Queries in the journals of the run directories *paths*."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._journals = [_Journal(path / JOURNAL) for path in paths]

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


class _Journal:
    """Queries in one journal."""

    def __init__(self, file: Path) -> None:
        self._tail = Tail(file)
        self._written: dict[str, int] = {}
        self.calls = 0

    def refresh(self) -> bool:
        """Read appended lines; return whether more can be read now."""
        growth = self._tail.read()
        if growth.replaced:  # compaction rewrites it without the calls of ended queries
            self._written.clear()
            self.calls = 0
        for line in growth.lines:
            self._take(line.content)
        return growth.more

    def queries(self, ended: Container[str]) -> tuple[int, int]:
        """Return the number of queries not in *ended*, and their completion tokens so far."""
        written = [tokens for query, tokens in self._written.items() if query not in ended]
        return len(written), sum(written)

    def _take(self, line: bytes) -> None:
        try:
            record = unseal(line)
            query = str(record["query"])
            tokens = int(record.get("completion", {}).get("usage", {}).get("completion_tokens", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a damaged line
        self.calls += "decision" not in record
        self._written[query] = self._written.get(query, 0) + tokens
