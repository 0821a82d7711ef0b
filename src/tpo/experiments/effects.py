"""Warnings of an experiment's runs: cells whose method had no effect, or did harm."""

from __future__ import annotations

from tpo.experiments.plan import ExperimentPlan
from tpo.runs.effect import EffectTally


def effect_notes(plan: ExperimentPlan) -> list[str]:
    """Return the warnings of all runs of *plan*; the seeds of a method with one reward count together."""
    tallies: dict[tuple[str, str], EffectTally] = {}
    for cell in plan.cells:
        if (plan.path(cell) / "trajectories.jsonl").exists():
            tally = tallies.setdefault((cell.label, cell.reward), EffectTally())
            for trajectory in plan.finished_trajectories(cell):
                tally.add(trajectory)
    several = len({reward for _, reward in tallies}) > 1
    return [
        f"{label}{f', reward {reward}' if several else ''}: {text}"
        for (label, reward), tally in tallies.items()
        for text in tally.effect().warnings().values()
    ]
