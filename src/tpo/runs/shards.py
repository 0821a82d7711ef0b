"""Shards: a run divided among processes that need not know of each other, by a hash of the query id."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from tpo.data.sources import Spec
from tpo.errors import ConfigError, StoreError
from tpo.runs.inputs import KnownIds, RunInput
from tpo.store.shards import shard_directories
from tpo.types import Query

MAX_SHARDS = 100_000

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)
_NAME = re.compile(r"(\d{1,6})-of-(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Shard *number*, counted from 1, of *count*."""

    count: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that ``NUMBER/COUNT`` names.

        Raises:
            ConfigError: it names none.
        """
        found = _SHARD.fullmatch(text.strip())
        shard = None if found is None else cls(int(found[2]), int(found[1]))
        if shard is None or not 1 <= shard.number <= shard.count <= MAX_SHARDS:
            raise ConfigError(f"--shard is {text!r}; it must be NUMBER/COUNT, such as 1/16 to 16/16")
        return shard

    @classmethod
    def of_directory(cls, name: str) -> Self | None:
        """Return the shard whose directory is called *name*; None if it is another directory."""
        found = _NAME.fullmatch(name)
        return None if found is None else cls(int(found[2]), int(found[1]))

    @property
    def directory(self) -> str:
        """The name of its directory; names sort by number."""
        return f"{self.number:0{len(str(self.count))}d}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, query: str) -> bool:
        """Return whether the query with the id *query* belongs to this shard."""
        digest = hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1


def shards_at(path: Path) -> dict[Shard, Path]:
    """Return the directories of the shards of the run at *path*."""
    found = ((Shard.of_directory(each.name), each) for each in shard_directories(path))
    return {shard: each for shard, each in found if shard is not None}


def require_same_count(path: Path, shard: Shard) -> None:
    """Refuse to run *shard* at *path* beside shards of another number: they would be read as one run.

    Raises:
        StoreError: there are some.
    """
    counts = {each.count for each in shards_at(path.parents[1])} - {shard.count}
    if counts:
        raise StoreError(
            f"{path.parent} holds shards of {min(counts)}, this is one of {shard.count}: "
            "delete those, or give another --out"
        )


@dataclass(frozen=True, slots=True)
class _Held:
    """Those of *queries* that *shard* holds, from the start each time."""

    queries: Iterable[Query]
    shard: Shard

    def __iter__(self) -> Iterator[Query]:
        return (query for query in self.queries if self.shard.holds(query.id))


@dataclass(frozen=True)
class ShardInput:
    """The queries of *shard* among those of *whole*."""

    whole: RunInput
    shard: Shard

    @property
    def source(self) -> Spec:
        """Name of the whole data."""
        return self.whole.source

    @property
    def queries(self) -> Iterable[Query]:
        """The queries of the shard, from the start each time."""
        return _Held(self.whole.queries, self.shard)

    @cached_property
    def total(self) -> int | None:
        """Number of queries of the shard; None if the number of all is unknown."""
        return None if self.whole.total is None else sum(1 for _ in self.queries)

    @property
    def digest(self) -> str:
        """Digest of the whole data, so that the shards' settings agree."""
        return self.whole.digest

    def identified(self, known: KnownIds) -> Iterable[Query]:
        """Return the queries of the shard; *known* lacks the ids of other shards and is not used."""
        del known
        return self.queries
