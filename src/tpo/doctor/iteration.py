"""One query through the whole method, with one iteration: what comes out, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tpo.doctor.data import EXAMPLE
from tpo.doctor.finding import failure, good, unknown, warning
from tpo.doctor.patient import Notes, Patient
from tpo.events import Event, StepStarted
from tpo.methods.optimize import Optimizer
from tpo.types import FinishReason, Trajectory

CHECK = "iteration"


@dataclass
class _Stopwatch:
    """When the first samples were all scored."""

    now: Callable[[], float]
    stepped: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepStarted):
            self.stepped.append(self.now())


async def check_iteration(patient: Patient, notes: Notes) -> None:
    """Optimize one query of the data, with one iteration, or none where the method has none."""
    if notes.policy is None or notes.reward is None:
        missing = "policy" if notes.policy is None else "reward"
        notes.tell(unknown(CHECK, f"not tried, for want of a {missing}"))
        return
    recipe = replace(patient.recipe, max_iterations=min(1, patient.recipe.max_iterations))
    watch = _Stopwatch(patient.now)
    optimizer = Optimizer(
        notes.policy, notes.reward, recipe, seed=patient.settings.seed, listener=watch, clock=patient.now
    )
    trajectory = await optimizer.optimize(notes.query or EXAMPLE)
    _time(trajectory, watch, notes)
    if trajectory.error is not None:
        notes.tell(failure(CHECK, trajectory.error, "mend this first: other queries would meet it too"))
        return
    notes.trajectory = trajectory
    _tell_of_updates(trajectory, notes)
    _tell_of_samples(trajectory, patient.recipe.temperature, notes)
    _tell_of_cuts(trajectory, patient.recipe.max_tokens, notes)


def _time(trajectory: Trajectory, watch: _Stopwatch, notes: Notes) -> None:
    started, ended = trajectory.timing.started, trajectory.timing.ended
    turn = watch.stepped[0] if watch.stepped else ended
    notes.first_seconds, notes.step_seconds = turn - started, ended - turn


def _tell_of_updates(trajectory: Trajectory, notes: Notes) -> None:
    seconds = trajectory.timing.ended - trajectory.timing.started
    before = max(candidate.reward for candidate in trajectory.initial)
    after = max(candidate.reward for candidate in trajectory.pool)
    values = {"seconds": seconds, "best_before": before, "best_after": after}
    if not trajectory.steps:
        count = len(trajectory.initial)
        sentence = f"{count} samples were scored in {seconds:.1f} s, the best at {after:.3g}"
        notes.tell(good(CHECK, sentence, **values))
        return
    step = trajectory.steps[0]
    read, all_of = len(step.candidates), len(step.candidates) + len(step.unreadable)
    values |= {"updates": all_of, "parsable": read}
    sentence = (
        f"one iteration took {seconds:.1f} s; {read} of {all_of} updates could be read;"
        f" the best reward went from {before:.3g} to {after:.3g}"
    )
    if read == all_of:
        notes.tell(good(CHECK, sentence, **values))
    elif read:
        advice = "updates without their tags are lost: more --max-tokens, or a model that follows the form"
        notes.tell(warning(CHECK, sentence, advice, **values))
    else:
        cut = any(update.finish_reason == "length" for update in step.unreadable)
        advice = (
            "they were cut: raise --max-tokens"
            if cut
            else "the model does not keep to the form: use a larger one, or texts of your own (--prompts)"
        )
        notes.tell(failure(CHECK, sentence, advice, **values))


def _tell_of_samples(trajectory: Trajectory, temperature: float, notes: Notes) -> None:
    samples = trajectory.initial
    texts, rewards = {c.text for c in samples}, {c.reward for c in samples}
    values = {"samples": len(samples), "different": len(texts), "empty": sum(not c.text for c in samples)}
    if values["empty"]:
        sentence = f"{values['empty']} of {len(samples)} first samples are empty"
        advice = "a model that reasons may have spent its tokens on that: raise --max-tokens"
        notes.tell(warning("first samples", sentence, advice, **values))
    elif len(samples) > 1 and len(texts) == 1:
        if temperature == 0:
            advice = "at temperature 0 they always are: raise --temperature"
        else:
            advice = "see whether the server ignores temperature or seed"
        sentence = f"all {len(samples)} first samples are the same text"
        notes.tell(warning("first samples", sentence, advice, **values))
    elif len(samples) > 1 and len(rewards) == 1:
        sentence = f"{len(texts)} different first samples get the same reward"
        advice = "the reward does not tell them apart: see whether it is squashed or too coarse"
        notes.tell(warning("first samples", sentence, advice, **values))
    else:
        notes.tell(good("first samples", f"{len(texts)} of {len(samples)} texts are different", **values))


def _tell_of_cuts(trajectory: Trajectory, max_tokens: int, notes: Notes) -> None:
    reasons = _reasons(trajectory)
    cut = reasons.count("length")
    short = sum(bool(c.score and c.score.truncated_tokens) for c in trajectory.pool)
    if cut:
        sentence = f"{cut} of {len(reasons)} replies were cut at {max_tokens:,} tokens"
        notes.tell(warning("length", sentence, "raise --max-tokens", cut=cut, replies=len(reasons)))
    if short:
        sentence = f"the reward model could not read {short} of {len(trajectory.pool)} conversations whole"
        advice = "the beginning of the prompt was left out: a reward model with a longer context reads it all"
        notes.tell(warning("reward's context", sentence, advice, shortened=short))


def _reasons(trajectory: Trajectory) -> list[FinishReason]:
    """Why each reply of the query ended."""
    steps = (trajectory.first, *trajectory.steps)
    replies = [reply for step in steps for call in step.calls for reply in call.replies]
    return [c.finish_reason for c in trajectory.pool] + [reply.finish_reason for reply in replies]
