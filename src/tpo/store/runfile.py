"""``run.json``: what a run was asked to do, by which versions, when, and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tpo.errors import StoreError, StoreMismatch
from tpo.store.lines import sync_directory
from tpo.store.records import SCHEMA, check_schema

NAME = "run.json"
LIBRARIES = ("tpo", "torch", "transformers")
MEASURED = ("weights", "source", "scale")
"""What ``KIND of MODEL`` in a fingerprint begins with where it is measured; see :func:`is_measured`."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One start of the command: *ended* is None while it runs, and for good if it was killed."""

    started: float
    versions: Mapping[str, str]
    ended: float | None = None
    interrupted: bool = False
    retries: Mapping[str, int] = field(default_factory=dict)
    """Calls that were tried again, by phase; known once it has ended."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The content of ``run.json``.

    *configuration* is the latest invocation's; *fingerprint* is what none may change, since it decides what
    the trajectories are.
    """

    configuration: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    invocations: tuple[Invocation, ...] = ()
    totals: Mapping[str, Any] = field(default_factory=dict)

    @property
    def started(self) -> float | None:
        """When the run first began, in seconds since the epoch."""
        return self.invocations[0].started if self.invocations else None

    @property
    def ended(self) -> float | None:
        """When the run last ended; None while it runs or after it was killed."""
        return self.invocations[-1].ended if self.invocations else None

    @property
    def seconds(self) -> float:
        """Wall time of all invocations whose end is known."""
        return sum(i.ended - i.started for i in self.invocations if i.ended is not None)

    @property
    def retries(self) -> dict[str, int]:
        """Calls that were tried again in all invocations whose end is known, by phase."""
        return dict(sum((Counter(i.retries) for i in self.invocations), Counter()))

    def begin(self, now: float) -> RunRecord:
        """With another invocation, under way since *now*."""
        return replace(self, invocations=(*self.invocations, Invocation(now, versions())))

    def end(
        self,
        now: float,
        totals: Mapping[str, Any],
        *,
        interrupted: bool,
        retries: Mapping[str, int] | None = None,
    ) -> RunRecord:
        """With its last invocation ended."""
        last = replace(self.invocations[-1], ended=now, interrupted=interrupted, retries=retries or {})
        return replace(self, invocations=(*self.invocations[:-1], last), totals=totals)


def versions() -> dict[str, str]:
    """The versions that shape a run's results, of those libraries that are installed; none is imported."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_run(directory: Path, record: RunRecord) -> None:
    """Put *record* in *directory*, at once or not at all.

    Raises:
        StoreError: it could not be written; what stood there is intact.
    """
    body = {
        "schema": SCHEMA,
        "configuration": record.configuration,
        "fingerprint": record.fingerprint,
        "versions": record.invocations[-1].versions,
        "started": record.started,
        "ended": record.ended,
        "totals": record.totals,
        "invocations": [asdict(invocation) for invocation in record.invocations],
    }
    try:
        text = json.dumps(body, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{directory / NAME}: the configuration must be plain JSON: {error}") from error
    _replace(directory / NAME, text.encode() + b"\n")


def read_run(path: Path) -> RunRecord:
    """The record of the run in the directory *path* (or of the file itself).

    Raises:
        StoreError: there is none, it is damaged, or another version wrote it.
    """
    file = path / NAME if path.is_dir() else path
    try:
        body = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no run is here ({NAME} is missing)") from error
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{file} is damaged: {error}") from error
    if not isinstance(body, dict):
        raise StoreError(f"{file} is not a run's record")
    check_schema(body, file)
    return _record(body, file)


def is_measured(key: str) -> bool:
    """Whether *key* of a fingerprint is measured of a model, and so not known to every invocation.

    Such a key counts where both sides know it: runs of earlier versions do not hold it, and a model that is
    not on this machine yet has no weights to read.
    """
    return key.partition(" of ")[0] in MEASURED


def joined(there: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The fingerprint *there* with what is measured only *now*, so that it counts from now on."""
    return {**{key: value for key, value in now.items() if is_measured(key)}, **there}


def check_fingerprint(directory: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to mix two configurations in one directory.

    Raises:
        StoreMismatch: naming each key that differs, with both values.
    """
    now = json.loads(json.dumps(now))
    both = there.keys() & now.keys()
    differing = [
        key
        for key in {**there, **now}
        if there.get(key) != now.get(key) and (key in both or not is_measured(key))
    ]
    if differing:
        rows = "\n".join(_difference(key, there, now) for key in differing)
        raise StoreMismatch(
            f"{directory} holds a run of another configuration:\n{rows}\n"
            "Give another --out, or --fresh to throw that run away and start anew"
        )


def _difference(key: str, there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    values = f"{_short(there, key)} there, {_short(now, key)} now"
    kind, _, what = key.partition(" of ")
    if kind == "source":
        return f"  {what}: its source file was edited after the run began (digest {values})"
    return f"  {key}: {values}"


def _short(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not set"
    text = json.dumps(values[key])
    return text if len(text) <= 80 else f"{text[:77]}..."


def _record(body: Mapping[str, Any], file: Path) -> RunRecord:
    try:
        invocations = tuple(Invocation(**invocation) for invocation in body["invocations"])
        return RunRecord(body["configuration"], body["fingerprint"], invocations, body["totals"])
    except (KeyError, TypeError) as error:
        raise StoreError(f"{file} is not a whole run's record: {type(error).__name__}: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
