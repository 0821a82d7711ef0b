"""``run.json``: settings, fingerprint, versions, times and totals of a run.

It carries a checksum, and ``run.json.bak`` holds the same, so that a damaged one is noticed and can be
restored (:func:`tpo.store.repair`).
"""

from __future__ import annotations

import json
import math
import platform
import re
import zlib
from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.errors import StoreError, StoreMismatch
from tpo.store import schema1
from tpo.store.codec import SCHEMA, check_schema
from tpo.store.files import replace_file
from tpo.store.shards import shard_directories

NAME = "run.json"
BACKUP = "run.json.bak"
LIBRARIES = ("tpo", "torch", "transformers")
MEASURED = ("weights", "source", "scale")
"""Kinds of fingerprint keys ``KIND of MODEL`` that are measured; see :func:`is_measured`."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One start of the command; *ended* is None while it runs and after it was killed."""

    started: float
    versions: Mapping[str, str]
    ended: float | None = None
    interrupted: bool = False
    retries: Mapping[str, int] = field(default_factory=dict)
    """Number of retried calls by phase; known once it has ended."""
    data: str | None = None
    """Digest of the data; None in runs of earlier versions."""
    trajectory_bytes: int | None = None
    """Size of ``trajectories.jsonl`` at its end, which the totals cover; None if unknown."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of ``run.json``.

    Attributes:
        configuration: the latest invocation's settings.
        fingerprint: what decides the trajectories, and so may not change (see :func:`check_fingerprint`).
        invocations: starts of the command.
        totals: counts, means and costs after the last end.
        schema: version of the run's files.
    """

    configuration: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    invocations: tuple[Invocation, ...] = ()
    totals: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def started(self) -> float | None:
        """Start time of the run in seconds since the epoch."""
        return self.invocations[0].started if self.invocations else None

    @property
    def ended(self) -> float | None:
        """End time of the last invocation; None while it runs or after it was killed."""
        return self.invocations[-1].ended if self.invocations else None

    @property
    def seconds(self) -> float:
        """Wall time of all invocations whose end is known."""
        return sum(i.ended - i.started for i in self.invocations if i.ended is not None)

    @property
    def retries(self) -> dict[str, int]:
        """Number of retried calls by phase, in all invocations whose end is known."""
        return dict(sum((Counter(i.retries) for i in self.invocations), Counter()))

    def begin(self, now: float) -> RunRecord:
        """Return the record with another invocation, started at *now*."""
        return replace(
            self,
            invocations=(*self.invocations, Invocation(now, versions(), data=self.fingerprint.get("data"))),
        )

    def end(
        self,
        now: float,
        totals: Mapping[str, Any],
        *,
        interrupted: bool,
        retries: Mapping[str, int] | None = None,
        trajectory_bytes: int | None = None,
    ) -> RunRecord:
        """Return the record with its last invocation ended."""
        last = replace(
            self.invocations[-1],
            ended=now,
            interrupted=interrupted,
            retries=retries or {},
            trajectory_bytes=trajectory_bytes,
        )
        return replace(self, invocations=(*self.invocations[:-1], last), totals=totals)


def versions(*more: str) -> dict[str, str]:
    """Return the versions of Python and of the installed libraries that shape results, and of *more*."""
    found = {"python": platform.python_version()}
    for library in (*LIBRARIES, *more):
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_run(directory: Path, record: RunRecord) -> None:
    """Put *record* into *directory*, with its backup; each file at once or not at all.

    Raises:
        StoreError: it could not be written; what stood there is intact.
    """
    body = {
        "schema": record.schema,
        "configuration": record.configuration,
        "fingerprint": record.fingerprint,
        "versions": record.invocations[-1].versions,
        "started": record.started,
        "ended": record.ended,
        "totals": record.totals,
        "invocations": [asdict(invocation) for invocation in record.invocations],
    }
    try:
        body["checksum"] = _checksum(body)
        content = json.dumps(body, indent=2, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise StoreError(f"{directory / NAME}: the configuration must be plain JSON: {error}") from error
    for name in (NAME, BACKUP):
        replace_file(directory / name, content)


def read_run(path: Path) -> RunRecord:
    """Return the record of the run in the directory *path* (or of the file itself); of shards, a joint one.

    Raises:
        StoreError: there is none, it is damaged, or a later version wrote it.
    """
    if path.is_dir() and not (path / NAME).exists() and (shards := shard_directories(path)):
        return join_records(path, [read_run(shard) for shard in shards])
    file = path / NAME if path.is_dir() else path
    try:
        body = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no run is here ({NAME} is missing)") from error
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(body, dict):
        raise _damaged(file, "it is not a run's record")
    if body.get("checksum", _checksum(body)) != _checksum(body):
        raise _damaged(file, "its checksum does not match")
    if body.get("schema") != schema1.SCHEMA:
        check_schema(body.get("schema", "none"), file)
    return _record(body, file)


def join_records(path: Path, records: Sequence[RunRecord]) -> RunRecord:
    """Return the record of the run at *path* that the shards of *records* are together; it has no totals.

    The invocations are those of all shards. The last one has not ended if any shard's last one has not.
    """
    first, last = records[0], [record.invocations[-1] for record in records if record.invocations]
    counts = [record.configuration.get("queries") for record in records]
    known = [count for count in counts if isinstance(count, int)]
    total = sum(known) if len(known) == len(counts) else None
    configuration = {**first.configuration, "shard": None, "queries": total, "out": str(path)}
    latest = max(last, key=lambda each: each.ended if each.ended is not None else math.inf, default=None)
    others = sorted((i for record in records for i in record.invocations if i is not latest), key=_started)
    invocations = (*others, *(() if latest is None else (latest,)))
    fingerprint = dict(ChainMap({}, *(dict(record.fingerprint) for record in records)))
    return RunRecord(configuration, fingerprint, invocations, schema=first.schema)


def _started(invocation: Invocation) -> float:
    return invocation.started


def is_measured(key: str) -> bool:
    """Return whether *key* of a fingerprint is measured on a model, and so not known to every invocation.

    Such a key counts where both sides know it: a model that is not on this machine yet has no weights to
    read.
    """
    return key.partition(" of ")[0] in MEASURED


MAX_ITERATIONS = "method.max_iterations"
"""The fingerprint's key of D."""

EXTENDABLE = ("data", MAX_ITERATIONS)
"""Keys of a fingerprint that may change in some ways: rows are compared one by one, see
:meth:`tpo.store.RunDirectory.is_finished`, and iterations may be added."""

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{16,}")


def joined(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fingerprint *there* with what is measured only *now*, and with what *now* extends."""
    measured = {key: value for key, value in now.items() if is_measured(key)}
    return {**measured, **there, **{key: now[key] for key in EXTENDABLE if key in now}}


def check_fingerprint(directory: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to continue a run with settings that would have given other trajectories.

    Raises:
        StoreMismatch: naming each setting that differs, and why the run cannot continue with it.
    """
    now = json.loads(json.dumps(now))
    found = ((key, _difference(key, there, now)) for key in {**there, **now})
    rows = [f"  {key.removeprefix('source of ')}: {reason}" for key, reason in found if reason]
    if rows:
        raise StoreMismatch(
            f"{directory} holds a run of another configuration:\n" + "\n".join(rows) + "\n"
            "Give another --out, or --fresh to delete that run and start again"
        )


def _difference(key: str, there: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return why a run cannot continue with its *key* as it is *now*; None if it can."""
    old: Any = there.get(key)
    new: Any = now.get(key)
    known = key in there and key in now
    if old == new or key == "data" or (is_measured(key) and not known):
        return None
    if key == MAX_ITERATIONS and known:
        fewer = new < old
        return f"{old} there, {new} now; iterations can be added, not taken away" if fewer else None
    if key.startswith("source of "):
        values = f"{_short(there, key)} there, {_short(now, key)} now"
        return f"its source file was edited after the run began (digest {values})"
    if all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in (old, new)):
        return "has changed since the run began"
    return f"{_short(there, key)} there, {_short(now, key)} now"


def _short(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not set"
    text = json.dumps(values[key])
    return text if len(text) <= 80 else f"{text[:77]}..."


def _record(body: Mapping[str, Any], file: Path) -> RunRecord:
    known = {each.name for each in fields(Invocation)}
    try:
        invocations = tuple(
            Invocation(**{key: value for key, value in row.items() if key in known})
            for row in body["invocations"]
        )
        return RunRecord(
            body["configuration"], body["fingerprint"], invocations, body["totals"], body["schema"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, f"not a whole run's record: {type(error).__name__}: {error}") from error


def _checksum(body: Mapping[str, Any]) -> int:
    """CRC-32 of *body* without its checksum, as compact JSON."""
    whole = {key: value for key, value in body.items() if key != "checksum"}
    return zlib.crc32(json.dumps(whole, separators=(",", ":")).encode())


def _damaged(file: Path, reason: str) -> StoreError:
    restore = f"; `tpo repair {file.parent}` restores it" if (file.parent / BACKUP).exists() else ""
    return StoreError(f"{file} is damaged: {reason}{restore}")
