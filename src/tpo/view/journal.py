"""What is under way, as the journal tells: queries begun and not ended, and their tokens."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

from tpo.report.salvage import JOURNAL
from tpo.store.jsonline import unseal
from tpo.view.tail import Tail


class UnderWay:
    """The queries of the journal in the run's directory *path*."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path / JOURNAL)
        self._written: dict[str, int] = {}
        self.calls = 0
        """Finished calls that it holds."""

    def look(self) -> bool:
        """Read what was appended; whether there is more to read at once."""
        growth = self._tail.read()
        if growth.anew:  # it is written anew without the calls of queries that have ended
            self._written.clear()
            self.calls = 0
        for line in growth.lines:
            self._take(line.content)
        return growth.more

    def queries(self, ended: Container[str]) -> tuple[int, int]:
        """How many of its queries are not among the *ended*, and the tokens written for them so far."""
        written = [tokens for query, tokens in self._written.items() if query not in ended]
        return len(written), sum(written)

    def _take(self, line: bytes) -> None:
        try:
            record = unseal(line)
            query = str(record["query"])
            tokens = int(record.get("completion", {}).get("usage", {}).get("completion_tokens", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # a damaged line costs a call, and says nothing here
        self.calls += "decision" not in record
        self._written[query] = self._written.get(query, 0) + tokens
