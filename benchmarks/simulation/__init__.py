"""A continuous-batching engine under a virtual clock, and a policy and a reward on it: speed without a card.

Nothing here sleeps or asks the time of day, so a result repeats to the last digit on any machine.
"""

from benchmarks.simulation.clock import VirtualLoop, run_virtual
from benchmarks.simulation.engine import Engine, Served
from benchmarks.simulation.hardware import LARGE, SMALL, Hardware
from benchmarks.simulation.models import Lengths, SimulatedPolicy, SimulatedReward, queries

__all__ = [
    "LARGE",
    "SMALL",
    "Engine",
    "Hardware",
    "Lengths",
    "Served",
    "SimulatedPolicy",
    "SimulatedReward",
    "VirtualLoop",
    "queries",
    "run_virtual",
]
