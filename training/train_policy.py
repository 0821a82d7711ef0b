"""Train the policy: copying first, then every role on queries with few details, then on those with many."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from training.batches import Batch, Batches, repeats
from training.cases import Draft
from training.init import new_policy
from training.model import Policy, Shape, sharpened
from training.optimizers import Optimizers, course
from training.own import own_drafts
from training.protocol import Mix, Protocol
from training.tokenizer import Encoder

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
CONVERSATIONS = Mix(
    sample=0.06, judge=0.1, short=0.14, independent=0.05, textgrad=0.05, base=0.15, own=0.7,
    counterfactual=0.6,
)  # fmt: skip
"""The mix of the last stage."""


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
    rate: float = 1.0
    """Factor on the full learning rate."""
    decay: float = 0.4
    """Share of the training over which the rate falls."""
    sharpness: float = 1.6
    """Factor on the logits of the product: what is likely becomes certain, as in copying and judging."""


def train(
    policy: Policy, optimizers: Optimizers, batch: Batch, rate: float, weight: float = 0.0
) -> tuple[float, float]:
    """Take one step at *rate*; return the loss and that of the verdicts, which has *weight*."""
    loss, verdicts = policy.losses(batch.tokens, batch.taught, batch.marks)
    torch.autograd.backward(loss + weight * verdicts)
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimizers.step(rate)
    return float(loss.detach()), float(verdicts.detach())


@dataclass(frozen=True)
class Finish:
    """The last stage: mostly whole conversations, on the policy's own drafts.

    There the update reads in the loss what is wrong, and must leave it all the same unless it is told to.
    """

    steps: int = 600
    seed: int = 7
    rate: float = 0.3
    own_queries: int = 400
    mix: Mix = CONVERSATIONS

    def run(self, policy: Policy, encoder: Encoder) -> Policy:
        """Return *policy*, trained further."""
        drafts = own_drafts(sharpened(policy, Plan.sharpness), encoder, self.own_queries, self.seed)
        protocol = Protocol(self.mix, drafts)
        batches = Batches(encoder, Plan.budget, random.Random(self.seed))
        optimizers, shown, began = Optimizers(policy, self.rate), [], time.monotonic()
        for step in range(1, self.steps + 1):
            rate = course(step / self.steps, step, decay=0.8)
            shown.append(train(policy, optimizers, batches.draw(protocol), rate)[0])
            if step % 20 == 0:
                seconds = time.monotonic() - began
                print(f"finish {step} loss {sum(shown) / len(shown):.4f} seconds {seconds:.0f}", flush=True)
                shown = []
        return policy


class PolicyTraining:
    """One training run; keeps a checkpoint and goes on from it when it is there."""

    def __init__(self, plan: Plan, encoder: Encoder, folder: Path) -> None:
        self.plan, self.encoder, self.path = plan, encoder, folder / "policy.pt"
        shape = Shape(vocabulary=len(encoder.tokenizer))
        self.policy = new_policy(shape, plan.seed, encoder.label_pairs())
        self.optimizers = Optimizers(self.policy, plan.rate)
        self.own: list[Draft] = []
        self.step, self.seconds, self.share = 0, 0.0, 0.0
        if self.path.exists():
            saved = torch.load(self.path, weights_only=True)
            self.policy.load_state_dict(saved["weights"])
            self.optimizers.load_state_dict(saved["optimizers"])
            self.step, self.seconds = saved["step"], saved["seconds"]
        self.rng = random.Random(plan.seed + self.step)
        self.repeat_rng = torch.Generator().manual_seed(plan.seed + self.step)
        self.batches = Batches(encoder, plan.budget, self.rng)

    def run(self) -> Policy:
        """Train to the end of the plan."""
        began, tokens, shown = time.monotonic() - self.seconds, 0, []
        while True:
            self.seconds = time.monotonic() - began
            self.share = max(self.step / self.plan.steps, self.seconds / (60 * self.plan.minutes))
            if self.share >= 1:
                break
            batch = self._batch()
            rate = course(self.share, self.step, self.plan.decay)
            shown.append(train(self.policy, self.optimizers, batch, rate, self.plan.verdicts))
            self.step += 1
            tokens += batch.tokens.numel()
            if self.step % 20 == 0:
                loss, verdicts = (sum(values) / len(values) for values in zip(*shown, strict=True))
                print(
                    f"step {self.step} share {self.share:.3f} loss {loss:.4f} verdicts {verdicts:.4f} "
                    f"tokens {tokens} seconds {self.seconds:.0f}",
                    flush=True,
                )
                shown = []
            if self.step % 50 == 0:
                self._save()
        self._save()
        return self.policy

    def _batch(self) -> Batch:
        if self.step < 25 or (self.step < 100 and self.step % 10 == 0):
            return repeats(self.plan.budget, len(self.encoder.tokenizer), self.repeat_rng)
        rounds = sum(self.share >= share for share in self.plan.own_at)
        if rounds * self.plan.own_queries > len(self.own):
            policy, seed = sharpened(self.policy, self.plan.sharpness), self.plan.seed + self.step
            self.own += own_drafts(policy, self.encoder, self.plan.own_queries, seed)
        mix = next(mix for share, mix in CURRICULUM if self.share < share)
        if self.own:
            mix = Mix(own=self.plan.own)
        return self.batches.draw(Protocol(mix, self.own))

    def _save(self) -> None:
        extra = {"optimizers": self.optimizers.state_dict(), "step": self.step, "seconds": self.seconds}
        save_checkpoint(self.policy, self.path, extra)


def save_checkpoint(policy: Policy, path: Path, extra: dict[str, object] | None = None) -> None:
    """Weights, shape and *extra*, written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    saved = {"shape": asdict(policy.model.shape), "weights": policy.state_dict()}
    torch.save(saved | (extra or {}), part)
    part.replace(path)


def load_checkpoint(path: Path) -> Policy:
    """The policy of a checkpoint."""
    saved = torch.load(path, weights_only=True)
    policy = Policy(Shape(**saved["shape"]))
    policy.load_state_dict(saved["weights"])
    return policy
