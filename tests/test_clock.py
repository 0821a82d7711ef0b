"""No correction of the system's clock changes what a run measures."""

import pickle
import time
from dataclasses import fields

from tpo.clock import SteadyClock
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.runs.plan import RunPlan


def test_the_clock_does_not_follow_a_correction_of_the_systems() -> None:
    wall, ticks = iter([1000.0, 5.0]), iter([50.0, 53.0, 54.5])
    now = SteadyClock(lambda: next(wall), lambda: next(ticks))
    assert (now(), now()) == (1003.0, 1004.5)


def test_an_optimizer_and_a_run_do_not_read_the_systems_clock() -> None:
    assert Optimizer(ScriptedPolicy(), ScriptedReward()).now is not time.time
    assert {each.name: each.default for each in fields(RunPlan)}["clock"] is None


def test_a_clock_begins_anew_in_another_process() -> None:
    again = pickle.loads(pickle.dumps(SteadyClock(lambda: 5.0, lambda: 1.0)))  # noqa: S301 - our own
    assert abs(again() - time.time()) < 60
