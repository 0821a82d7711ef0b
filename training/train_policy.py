"""Train the policy: copying first, then every role on queries with few details, then on those with many."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from training.batches import Batch, Batches, repeats, stack
from training.cases import Draft
from training.checkpoints import fingerprint, load_checkpoint, save_checkpoint
from training.init import new_policy
from training.model import Policy, Shape, sharpened
from training.optimizers import Optimizers, course
from training.own import own_drafts
from training.protocol import Dialogue, Mix, Protocol
from training.tokenizer import Encoder
from training.world import Task

CURRICULUM = (
    (0.08, Mix(
        sample=0.2, judge=0.35, short=0.3, independent=0.03, fused=0.02, fusion=0.02, base=0.6,
        details=(2, 5),
    )),
    (0.2, Mix(
        sample=0.15, judge=0.35, short=0.25, independent=0.05, fused=0.03, fusion=0.03, base=0.6,
        details=(4, 10),
    )),
    (1.0, Mix()),
)  # fmt: skip
"""The share of the training up to which each mix is drawn."""


@dataclass(frozen=True)
class Plan:
    """How long, how much at a time, and from which seed."""

    steps: int = 2600
    minutes: float = 74.0
    """Longest time; the schedule follows the clock where the steps are too slow for it."""
    budget: int = 6144
    seed: int = 7
    verdicts: float = 0.4
    """Weight of the verdicts that are read from inside."""
    own_at: tuple[float, ...] = (0.55, 0.75)
    """Shares of the training at which the policy writes drafts of its own; they are mixed in from then on."""
    own_queries: int = 80
    own: float = 0.25
    disputed: float = 1.0
    """Factor on the weight of values of an update on which query and draft do not agree."""
    rate: float = 1.0
    """Factor on the full learning rate."""
    decay: float = 0.4
    """Share of the training over which the rate falls."""
    sharpness: float = 1.6
    """Factor on the logits of the product: what is likely becomes certain, as in copying and judging."""
    curriculum: tuple[tuple[float, Mix], ...] = CURRICULUM
    repeats: int = 25
    """Steps that teach to repeat what stands there."""
    check: int = 50
    """Steps between checkpoints."""


CONVERSATIONS = Mix(
    sample=0.06, judge=0.08, short=0.12, independent=0.05, fused=0.08, fusion=0.05, losses=0.03,
    textgrad=0.05, base=0.15, counterfactual=0.7, wrong=0.5, drafts=(2, 12),
)  # fmt: skip
FINISH = Plan(
    steps=1100, verdicts=0.0, own_at=(0.0,), own_queries=400, own=0.7, disputed=4.0, rate=0.4, decay=0.8,
    repeats=0, curriculum=((1.0, CONVERSATIONS),),
)  # fmt: skip
"""The last stage: mostly whole conversations, on the policy's own drafts.

There the update reads in the loss what is wrong, and must leave it all the same unless it is told to.
"""


def train(
    policy: Policy, optimizers: Optimizers, batch: Batch, rate: float, weight: float
) -> tuple[float, float]:
    """Take one step at *rate*; return the loss and that of the verdicts, which has *weight*."""
    loss, verdicts = policy.losses(batch.tokens, batch.taught, batch.marks)
    torch.autograd.backward(loss + weight * verdicts)
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizers.step(rate)
    return float(loss.detach()), float(verdicts.detach())


def held_out_gradients(encoder: Encoder, count: int = 40) -> Batch:
    """Critiques, the same in every training, of which the gradient alone is taught."""
    mix = Mix(sample=0, judge=1, short=0, independent=0, fused=0, fusion=0, losses=0, textgrad=0, outside=0)
    rng, rows = random.Random(99), []
    for _ in range(count):
        messages = Protocol(mix).draw(rng).messages
        ids, weights = encoder.dialogue(Dialogue(messages, {len(messages) - 1: 1.0}))
        rows.append((ids, weights, encoder.marks(ids)))
    return stack(rows, encoder.pad)


@torch.no_grad()
def gradients_right(policy: Policy, batch: Batch) -> float:
    """The share of gradients of which each token is the likeliest after the true text before it."""
    taught = batch.taught[:, 1:] > 0
    right = torch.ones_like(taught)
    hidden = policy.model(batch.tokens)[:, :-1][taught]
    right[taught] = policy.logits(hidden).argmax(-1) == batch.tokens[:, 1:][taught]
    return float(right.all(1).float().mean())


class PolicyTraining:
    """One training run; its checkpoint in *path*, from which it goes on, is its product in the end."""

    def __init__(self, plan: Plan, encoder: Encoder, path: Path, start: Policy | None = None) -> None:
        self.plan, self.encoder, self.path = plan, encoder, path
        self.made_by = fingerprint(replace(plan, minutes=0.0), start)
        shape = Shape(vocabulary=len(encoder.tokenizer))
        self.policy = start or new_policy(shape, plan.seed, encoder.label_pairs())
        self.optimizers = Optimizers(self.policy, plan.rate)
        self.own: list[Draft] = []
        self.step, self.seconds, self.share = 0, 0.0, 0.0
        if saved := load_checkpoint(path, self.made_by):
            self.policy.load_state_dict(saved["weights"])
            self.optimizers.load_state_dict(saved["optimizers"])
            self.step, self.seconds, self.share = saved["step"], saved["seconds"], saved["share"]
            self.own = [Draft(Task(**task), texts) for task, texts in saved["own"]]
        self.rng = random.Random(plan.seed + self.step)
        self.repeat_rng = torch.Generator().manual_seed(plan.seed + self.step)
        self.batches = Batches(encoder, plan.budget, self.rng, plan.disputed)
        self.held_out = held_out_gradients(encoder)

    def run(self) -> Policy:
        """Train to the end of the plan."""
        began, tokens, shown = time.monotonic() - self.seconds, 0, []
        while self.share < 1:
            batch = self._batch()
            rate = course(self.share, self.step, self.plan.decay)
            shown.append(train(self.policy, self.optimizers, batch, rate, self.plan.verdicts))
            self.step += 1
            tokens += batch.tokens.numel()
            self.seconds = time.monotonic() - began
            self.share = max(self.step / self.plan.steps, self.seconds / (60 * self.plan.minutes))
            if self.step % 20 == 0:
                loss, verdicts = (sum(values) / len(values) for values in zip(*shown, strict=True))
                print(
                    f"{self.path.stem}: step {self.step} share {self.share:.3f} loss {loss:.4f} "
                    f"verdicts {verdicts:.4f} tokens {tokens} seconds {self.seconds:.0f}",
                    flush=True,
                )
                shown = []
            if self.step % self.plan.check == 0 or self.share >= 1:
                right = gradients_right(self.policy, self.held_out)
                print(f"{self.path.stem}: step {self.step} gradients right {right:.3f}", flush=True)
                self._save()
        return self.policy

    def _batch(self) -> Batch:
        plan = self.plan
        if self.step < plan.repeats or (self.step < 4 * plan.repeats and self.step % 10 == 0):
            return repeats(plan.budget, len(self.encoder.tokenizer), self.repeat_rng)
        rounds = sum(self.share >= share for share in plan.own_at)
        if rounds * plan.own_queries > len(self.own):
            policy = sharpened(self.policy, plan.sharpness)
            self.own += own_drafts(policy, self.encoder, plan.own_queries, plan.seed + self.step)
        mix = next(mix for share, mix in plan.curriculum if self.share < share)
        return self.batches.draw(Protocol(replace(mix, own=plan.own), self.own))

    def _save(self) -> None:
        save_checkpoint(
            self.path, self.made_by, weights=self.policy.state_dict(),
            optimizers=self.optimizers.state_dict(), step=self.step, seconds=self.seconds, share=self.share,
            own=[(asdict(draft.task), draft.texts) for draft in self.own],
        )  # fmt: skip
