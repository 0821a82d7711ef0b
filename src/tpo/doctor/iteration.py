"""Check of the method: optimize one query with one iteration; report updates, samples and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tpo.doctor.data import EXAMPLE
from tpo.doctor.finding import failure, good, unknown, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.events import Event, StepStarted
from tpo.methods.optimize import Optimizer
from tpo.types import FinishReason, Step, Trajectory

CHECK = "iteration"

UNENDING = (
    "most replies end before the limit, so it is long enough: a reply that does not end often repeats itself;"
    " raise --max-tokens only if these are long answers"
)
"""Advice where a few replies were cut off."""


@dataclass
class _StepTimer:
    """Listener that records the time at which each step starts."""

    now: Callable[[], float]
    started: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self.started.append(self.now())


async def check_iteration(setup: Setup, state: CheckState) -> None:
    """Optimize one query of the data with one iteration, or with none if the method has none."""
    if state.policy is None or state.reward is None:
        missing = "policy" if state.policy is None else "reward"
        state.report(unknown(CHECK, f"skipped: there is no {missing}"))
        return
    method = replace(setup.method, max_iterations=min(1, setup.method.max_iterations))
    timer = _StepTimer(setup.now)
    optimizer = Optimizer(
        state.policy, state.reward, method, seed=setup.settings.seed, listener=timer, clock=setup.now
    )
    trajectory = await optimizer.optimize(state.query or EXAMPLE)
    _record_time(trajectory, timer, state)
    if trajectory.error is not None:
        state.report(failure(CHECK, trajectory.error, "fix this first: other queries would fail as well"))
        return
    state.trajectory = trajectory
    _report_updates(trajectory, state)
    _report_samples(trajectory, setup.method.temperature, state)
    _report_cut_replies(trajectory, setup.method.max_tokens, state)


def _record_time(trajectory: Trajectory, timer: _StepTimer, state: CheckState) -> None:
    started, ended = trajectory.timing.started, trajectory.timing.ended
    first_step = timer.started[0] if timer.started else ended
    state.first_seconds, state.step_seconds = first_step - started, ended - first_step


def _report_updates(trajectory: Trajectory, state: CheckState) -> None:
    seconds = trajectory.timing.ended - trajectory.timing.started
    before = max(candidate.reward for candidate in trajectory.initial)
    after = max(candidate.reward for candidate in trajectory.pool)
    values = {"seconds": seconds, "best_before": before, "best_after": after}
    if not trajectory.steps:
        count = len(trajectory.initial)
        sentence = f"{count} samples were scored in {seconds:.1f} s, the best at {after:.3g}"
        state.report(good(CHECK, sentence, **values))
        return
    step = trajectory.steps[0]
    parsed, total = len(step.candidates), len(step.candidates) + len(step.unreadable)
    values |= {"updates": total, "parsable": parsed}
    sentence = (
        f"one iteration took {seconds:.1f} s; {parsed} of {total} updates could be parsed;"
        f" the best reward went from {before:.3g} to {after:.3g}"
    )
    if parsed == total:
        state.report(good(CHECK, sentence, **values))
    else:
        report = warning if parsed else failure
        state.report(report(CHECK, sentence, _advice(step), **values))


def _advice(step: Step) -> str:
    """Return the advice for unreadable updates, by what most of them lack."""
    lost = step.unreadable
    cut = sum(update.finish_reason == "length" for update in lost)
    if 2 * cut > len(lost):
        return f"{cut} of {len(lost)} unreadable updates were cut off: raise --max-tokens"
    return (
        f"{len(lost) - cut} of {len(lost)} unreadable updates ended without the tags: the model does not"
        " follow the format; use a larger one, your own prompts (--prompts), --method bon, or"
        " --fallback best-of-n"
    )


def _report_samples(trajectory: Trajectory, temperature: float, state: CheckState) -> None:
    samples = trajectory.initial
    texts, rewards = {c.text for c in samples}, {c.reward for c in samples}
    values = {"samples": len(samples), "different": len(texts), "empty": sum(not c.text for c in samples)}
    if values["empty"]:
        sentence = f"{values['empty']} of {len(samples)} first samples are empty"
        advice = "a reasoning model may have spent its tokens on reasoning: raise --max-tokens"
        state.report(warning("first samples", sentence, advice, **values))
    elif len(samples) > 1 and len(texts) == 1:
        if temperature == 0:
            advice = "temperature 0 always gives the same text: raise --temperature"
        else:
            advice = "check whether the server ignores temperature or seed"
        sentence = f"all {len(samples)} first samples have the same text"
        state.report(warning("first samples", sentence, advice, **values))
    elif len(samples) > 1 and len(rewards) == 1:
        sentence = f"{len(texts)} different first samples have the same reward"
        advice = "the reward does not distinguish them: check whether it is saturated or too coarse"
        state.report(warning("first samples", sentence, advice, **values))
    else:
        state.report(good("first samples", f"{len(texts)} of {len(samples)} texts are different", **values))


def _report_cut_replies(trajectory: Trajectory, max_tokens: int, state: CheckState) -> None:
    reasons = _finish_reasons(trajectory)
    cut = reasons.count("length")
    short = sum(bool(c.score and c.score.truncated_tokens) for c in trajectory.pool)
    if cut:
        sentence = f"{cut} of {len(reasons)} replies were cut off at {max_tokens:,} tokens"
        advice = "raise --max-tokens" if 2 * cut > len(reasons) else UNENDING
        state.report(warning("length", sentence, advice, cut=cut, replies=len(reasons)))
    if short:
        sentence = f"the reward model truncated {short} of {len(trajectory.pool)} conversations"
        advice = "it did not see the beginning of the prompt: use a reward model with a longer context"
        state.report(warning("reward's context", sentence, advice, shortened=short))


def _finish_reasons(trajectory: Trajectory) -> list[FinishReason]:
    """Return the finish reason of each reply of the query."""
    steps = (trajectory.first, *trajectory.steps)
    replies = [reply for step in steps for call in step.calls for reply in call.replies]
    return [c.finish_reason for c in trajectory.pool] + [reply.finish_reason for reply in replies]
