"""Where a schedule loses time: places of the batch that stood empty, and prompts that were read again."""

from __future__ import annotations

from benchmarks.simulation.hardware import Hardware
from benchmarks.simulation.schedules import Outcome

FULL = 0.95
"""Of its sequences, from which on a batch counts as full."""


def breakdown(hardware: Hardware, outcome: Outcome, least: Outcome) -> dict[str, float]:
    """Seconds lost: empty places before the batch is first full, after it last is, and between; and reading.

    A batch that is half empty for two seconds counts as one lost. Prompts are read again when the cache has
    let go of them; those seconds are of arithmetic alone.
    """
    passes = outcome.engine.passes
    full = [end for end, _, running in passes if running >= FULL * hardware.sequences]
    first, last = (full[0], full[-1]) if full else (0.0, 0.0)
    empty = {"start": 0.0, "between": 0.0, "end": 0.0}
    for end, seconds, running in passes:
        part = "start" if end < first else "end" if end > last else "between"
        empty[part] += seconds * (1 - running / hardware.sequences)
    again = outcome.engine.computed_tokens - least.engine.computed_tokens
    lost = {f"empty_{part}_s": round(seconds, 1) for part, seconds in empty.items()}
    return lost | {"last_full_s": round(last, 1), "read_again_s": round(again * hardware.token, 1)}
