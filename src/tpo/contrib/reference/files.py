"""The files of a run of the reference's command, each rewritten whole from the run's directory.

NAME.json            the reference's result file
NAME.answers.jsonl   a row for each query with its best response
NAME.run/            the run's directory: everything, from which a run resumes
logs/TIME_….json     what went into each iteration's calls and came out
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from tpo.contrib.reference.arguments import Arguments
from tpo.contrib.reference.existing_results import earlier_results
from tpo.contrib.reference.log import write_log
from tpo.export.atomic_writer import replacing, write_json_list
from tpo.export.reference import reference_object
from tpo.export.results import export_results
from tpo.store import reader, runfile
from tpo.types import Trajectory

CARRIED = "carried.json"
"""In the run's directory: the result file that stood there before the first start."""


@dataclass(frozen=True, slots=True)
class Files:
    """Paths of a run's files; logs go to the folder *logs*."""

    output: Path
    name: str
    logs: Path

    @classmethod
    def of(cls, arguments: Arguments, logs: Path = Path("logs")) -> Files:
        """The files that *arguments* name."""
        return cls(arguments.output_path, arguments.result_name, logs)

    @property
    def result(self) -> Path:
        """The reference's result file."""
        return self.output / f"{self.name}.json"

    @property
    def answers(self) -> Path:
        """The final answers, which the reference never writes."""
        return self.output / f"{self.name}.answers.jsonl"

    @property
    def run(self) -> Path:
        """The run's directory."""
        return self.output / f"{self.name}.run"

    @property
    def carried(self) -> Path:
        """Results that were there before."""
        return self.run / CARRIED

    def log(self, started: float) -> Path:
        """The log of the run that first *started* then, in seconds since the epoch."""
        time = datetime.fromtimestamp(started, tz=UTC).astimezone()
        return self.logs / f"{time:%Y-%m-%d_%H-%M-%S}_{self.name}.json"

    def carry(self) -> None:
        """Before the first run, back up an existing result file, since it will be overwritten.

        Raises:
            StoreError: it cannot be kept.
        """
        if self.result.exists() and not (self.run / runfile.NAME).exists():
            with replacing(self.carried) as fresh:
                shutil.copyfile(self.result, fresh)

    def write(self, order: Mapping[str, int], started: float) -> None:
        """Write results, answers and logs, queries in the *order* of the data, earlier results first.

        Raises:
            StoreError: one of them cannot be written.
        """
        results = map(reference_object, self._trajectories(order, finished_only=True))
        write_json_list(self.result, chain(earlier_results(self.carried), results))
        export_results(self._trajectories(order), self.answers)
        write_log(self._trajectories(order), self.log(started))

    def _trajectories(self, order: Mapping[str, int], *, finished_only: bool = False) -> Iterator[Trajectory]:
        file = self.run / reader.NAME
        places = {query: place for query, place in reader.find_places(file).items() if query in order}
        wanted = [query for query in places if places[query].finished or not finished_only]
        yield from reader.read_places(
            file, [places[query] for query in sorted(wanted, key=order.__getitem__)]
        )
