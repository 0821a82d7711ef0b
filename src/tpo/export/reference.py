"""The reference implementation's result file: the reward of every response of every query.

A list with an object for each query, whose keys are ``INDEX{step}<SEP>{query}<SEP>{response}`` and whose
values are rewards. The first samples have step -1, the first iteration 0. Two equal responses of one step
share a key, and the first one's reward stands, as there. A query or response that holds ``<SEP>`` makes its
key ambiguous for code that splits it; ``tpo export --format results`` keeps the parts apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tpo.export.atomic_writer import Exported, write_json_list
from tpo.types import Query, Trajectory

SEPARATOR = "<SEP>"


def export_reference(trajectories: Iterable[Trajectory], path: Path) -> Exported:
    """Write the finished *trajectories* to *path*, one at a time; failed ones are left out and counted.

    A failed query's rewards would be those of a part of its steps, which a reader cannot tell from the whole.
    Of a conversation, the last user turn stands for the query.

    Raises:
        StoreError: *path* cannot be written.
    """
    left_out = 0

    def objects() -> Iterator[dict[str, float]]:
        nonlocal left_out
        for trajectory in trajectories:
            if trajectory.status == "finished":
                yield reference_object(trajectory)
            else:
                left_out += 1

    written = write_json_list(path, objects())
    return Exported(written, left_out)


def reference_object(trajectory: Trajectory) -> dict[str, float]:
    """The rewards of a query's whole pool in the reference's terms."""
    rewards: dict[str, float] = {}
    for candidate in trajectory.pool:
        rewards.setdefault(reference_key(trajectory.query, candidate.step, candidate.text), candidate.reward)
    return rewards


def reference_key(query: Query, step: int, response: str) -> str:
    """The key of *response*, *step* counted as here: the first samples are 0."""
    return f"INDEX{step - 1}{SEPARATOR}{query.text}{SEPARATOR}{response}"
