"""Callable class for the ``map_batches`` of a user's own Ray Data pipeline."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tpo.config import data_options, load_settings
from tpo.config.settings import OPTIONS
from tpo.data.arrow import to_table
from tpo.data.conversation import plain_value
from tpo.data.digest import query_digest
from tpo.data.row import Row
from tpo.data.to_query import to_query
from tpo.errors import ConfigError, DataError
from tpo.export import answers, preferences, results
from tpo.export.eligible import EVERYTHING
from tpo.export.pairing import BEST_WORST
from tpo.export.tables import writable
from tpo.export.training import Models, prompt_of
from tpo.rewards.calibration import scales_missing
from tpo.runs.inputs import QueryInput
from tpo.runs.plan import RunPlan
from tpo.scale.blocks import block_name
from tpo.scale.worker import Worker
from tpo.store import read_trajectories
from tpo.store.trajectory_line import encode_trajectory
from tpo.synchronous import run_blocking
from tpo.types import Query, Trajectory

log = logging.getLogger(__name__)

ShapedRow = dict[str, Any]
Shape = Callable[[Trajectory, Models], Iterable[ShapedRow]]

TRAJECTORY_COLUMNS: Mapping[str, str] = MappingProxyType(
    {"id": "string", "status": "string", "trajectory": "string"}
)
"""Columns of the shape ``trajectories``; ``trajectory`` is a line of ``trajectories.jsonl``."""

OF_THE_PIPELINE = (
    *("out", "limit", "delimiter", "shard", "ray"),
    *("workers", "worker_cpus", "worker_gpus", "block_size", "keep_parts"),
)
"""Options of ``tpo run`` that do nothing here, because the pipeline reads, divides and writes the data."""


class Optimize:
    """Optimizer of the prompts of each batch, for ``Dataset.map_batches``: a class, with its options apart.

        dataset.map_batches(
            Optimize,
            fn_constructor_kwargs={"policy": "http://policy:8000/v1", "reward": "hf:ORG/NAME", "rows": "dpo"},
            batch_size=512,
            num_gpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8),
        )

    A worker loads its models once and keeps one event loop, so connections and learned limits survive. A
    batch is a run of its own: several times ``concurrency`` of queries keep it busy. Ray may run a batch
    again; *journals* makes that cheap, and the seeds make it exact.

    Args:
        rows: what a batch becomes, as ``tpo export`` writes it: ``results``, a row for each query; ``dpo``, a
            row for each preference pair; ``sft``, a row for each best answer; or ``trajectories``, the whole
            record as JSON.
        journals: directory for finished calls and trajectories, which the user deletes in the end; on a file
            system that all nodes share, any worker resumes a batch. None: no resuming.
        overlap: batches that a worker runs at a time, each with its part of ``concurrency``: the
            ``max_concurrent_calls_per_actor`` of the pool.
        options: the options of ``tpo run`` by their names: ``policy``, ``reward``, ``sample_size``, ...;
            options that are not given come from the environment of the worker.

    A row has an ``id`` of its own, or one that derives from its content, metadata included; rows with the
    same id are answered once.

    Raises:
        ConfigError: an option is unknown or wrong.
        TpoError: a model cannot be loaded, or does not answer.
    """

    def __init__(
        self, *, rows: str = "results", journals: str | Path | None = None, overlap: int = 1, **options: Any
    ) -> None:
        _require_fitting(rows, overlap, options)
        self._columns, self._shape = SHAPES[rows]
        self._journals = None if journals is None else Path(journals)
        settings = load_settings(options, os.environ)
        self._read_options = data_options(settings)
        nothing = QueryInput("a batch", (), "", 0)
        plan = run_blocking(RunPlan.resolve(settings, nothing))
        self._worker = Worker(plan, overlap=overlap)
        if self._worker.needs_scales:
            self._worker.close()
            raise scales_missing("tpo.ray.Optimize")
        names = plan.fingerprint()
        self._models = Models(*(_text(names.get(key)) for key in ("policy", "reward")))

    def __call__(self, batch: Mapping[str, Any]) -> Any:
        """Return the rows of a batch of columns as a ``pyarrow.Table``.

        Raises:
            DataError: a row has no prompt (unless ``skip_invalid``), or two rows of one id differ.
            TpoError: a fatal one, such as a wrong key.
        """
        queries = self._queries(batch)
        if not queries:
            return to_table((), self._columns)
        if self._journals is not None:
            parts = (part for query in queries for part in (query.id, _content_digest(query)))
            return self._run(queries, self._journals / block_name(parts))
        folder = Path(tempfile.mkdtemp(prefix="tpo-"))
        try:
            return self._run(queries, folder / "batch")
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Close the models. Ray ends the process of a worker instead."""
        self._worker.close()

    def _run(self, queries: list[Query], path: Path) -> Any:
        self._worker.run(queries, path)
        found = {trajectory.query.id: trajectory for trajectory in read_trajectories(path)}
        rows = (row for query in queries for row in self._shape(found[query.id], self._models))
        return to_table(map(writable, rows), self._columns)

    def _queries(self, batch: Mapping[str, Any]) -> list[Query]:
        names = list(batch)
        found: dict[str, Query] = {}
        skipped: list[DataError] = []
        for values in zip(*(batch[name] for name in names), strict=True):
            row = {name: _plain(value) for name, value in zip(names, values, strict=True)}
            try:
                query = self._query(row)
            except DataError as error:
                if not self._read_options.skip_invalid:
                    raise
                skipped.append(error)
                continue
            if query != found.setdefault(query.id, query):
                raise DataError(f"two rows have the id {query.id!r} and differ")
        if skipped:
            log.warning("%d rows of a batch were skipped as invalid; the first: %s", len(skipped), skipped[0])
        return list(found.values())

    def _query(self, row: Mapping[str, Any]) -> Query:
        query = to_query(Row("a batch", row), "", self._read_options)
        name = query.id or _content_digest(query).removeprefix("sha256:")[:20]
        return Query(name, query.messages, query.reference, query.metadata)


def _require_fitting(rows: str, overlap: int, options: Mapping[str, Any]) -> None:
    """Refuse unknown options and those that a pipeline has no use for.

    Raises:
        ConfigError: naming the option.
    """
    if rows not in SHAPES:
        raise ConfigError(f"rows is {rows!r}; there are {', '.join(SHAPES)}")
    if overlap < 1:
        raise ConfigError(f"overlap is {overlap}; it must be at least 1")
    if unknown := options.keys() - OPTIONS.keys():
        raise ConfigError(f"tpo.ray.Optimize: no such option: {', '.join(sorted(unknown))}")
    ignored = [name for name in OF_THE_PIPELINE if options.get(name) is not None]
    if ignored:
        raise ConfigError(
            f"tpo.ray.Optimize: {', '.join(ignored)}: Ray Data reads, divides and writes the data; set this"
            " in the pipeline"
        )


def _content_digest(query: Query) -> str:
    """Return a hash of the messages, the reference and the metadata of *query*.

    Without metadata it is the query's digest, which has no metadata in it.
    """
    digest = query_digest(query)
    if not query.metadata:
        return digest
    text = json.dumps([digest, plain_value(query.metadata)], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def _result_rows(trajectory: Trajectory, _: Models) -> Iterator[ShapedRow]:
    row = results.result_row(trajectory)
    yield row | {"metadata": json.dumps(row["metadata"], ensure_ascii=False, default=str)}


def _preference_rows(trajectory: Trajectory, models: Models) -> Iterator[ShapedRow]:
    prompt = prompt_of(trajectory)
    if trajectory.status == "finished" and prompt is not None:
        for pair in BEST_WORST.pairs(trajectory):
            yield preferences.preference_row(trajectory, prompt, pair, models)


def _answer_rows(trajectory: Trajectory, models: Models) -> Iterator[ShapedRow]:
    prompt = prompt_of(trajectory)
    answer = answers.answer_of(trajectory, EVERYTHING)
    if trajectory.status == "finished" and prompt is not None and answer is not None:
        yield answers.answer_row(trajectory, prompt, answer, models)


def _record_rows(trajectory: Trajectory, _: Models) -> Iterator[ShapedRow]:
    line = encode_trajectory(trajectory).decode().rstrip("\n")
    yield {"id": trajectory.query.id, "status": trajectory.status, "trajectory": line}


SHAPES: Mapping[str, tuple[Mapping[str, str], Shape]] = {
    "results": (results.COLUMNS, _result_rows),
    "dpo": (preferences.COLUMNS, _preference_rows),
    "sft": (answers.COLUMNS, _answer_rows),
    "trajectories": (TRAJECTORY_COLUMNS, _record_rows),
}


def _plain(value: Any) -> Any:
    """Return a value of a NumPy column in Python's own types."""
    listed = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(listed, dict):
        return {name: _plain(part) for name, part in listed.items()}
    return [_plain(part) for part in listed] if isinstance(listed, list) else listed


def _text(name: Any) -> str | None:
    return None if name is None else str(name)
