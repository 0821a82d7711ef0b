"""Train the policy: copying first, then every role of the protocol, then the same on its own drafts."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.batches import Batch, Batches, repeats
from training.cases import Draft
from training.init import new_policy
from training.model import Policy, Shape
from training.optimizers import Optimizers, course
from training.own import own_drafts
from training.protocol import Mix, Protocol
from training.tokenizer import Encoder

EARLY = Mix(sample=0.2, short=0.6, outside=0.05)
MAIN = Mix(sample=0.12, judge=0.3, short=0.1)
LATE = Mix(sample=0.12, judge=0.35, own=0.4)


@dataclass(frozen=True)
class Plan:
    """How long, how much at a time, and from which seed."""

    steps: int = 2000
    budget: int = 8192
    seed: int = 7
    early: float = 0.15
    """Share of the steps on mostly short contexts."""
    late: float = 0.55
    """Share of the steps after which the policy's own drafts are mixed in."""
    own_queries: int = 300
    own_every: int = 350
    """Steps after which new drafts are written."""
    rate: float = 1.0
    """Factor on the full learning rate; smaller to continue from a checkpoint."""
    decay: float = 0.45
    """Share of the steps over which the rate falls."""
    compile: bool = True


class PolicyTraining:
    """One training run; keeps a checkpoint, so that it can be continued."""

    def __init__(self, plan: Plan, encoder: Encoder, folder: Path, policy: Policy | None = None) -> None:
        self.plan, self.encoder, self.folder = plan, encoder, folder
        self.fresh = policy is None
        self.policy = policy or new_policy(Shape(vocabulary=len(encoder.tokenizer)), plan.seed)
        if plan.compile:
            torch._dynamo.config.recompile_limit = 64  # one compiled layer for each length
            for layer in self.policy.model.stack():
                layer.compile(dynamic=False)
        self.optimizers = Optimizers(self.policy, plan.rate)
        self.rng = random.Random(plan.seed)
        self.repeat_rng = torch.Generator().manual_seed(plan.seed)
        self.batches = Batches(encoder, plan.budget, self.rng)
        self.own: list[Draft] = []
        self.own_since = 0

    def run(self) -> Policy:
        """Train to the end of the plan."""
        started, tokens, shown = time.monotonic(), 0, []
        for step in range(self.plan.steps):
            batch = self._batch(step)
            loss = self._step(batch, course(step, self.plan.steps, decay=self.plan.decay))
            tokens += batch.tokens.numel()
            shown.append(float(loss))
            if step % 20 == 19:
                seconds = time.monotonic() - started
                mean = sum(shown) / len(shown)
                print(f"step {step + 1} loss {mean:.4f} tokens {tokens} seconds {seconds:.0f}", flush=True)
                shown = []
            if step % 50 == 49 or step + 1 == self.plan.steps:
                save_checkpoint(self.policy, self.folder / "policy.pt")
        return self.policy

    def _batch(self, step: int) -> Batch:
        share = step / self.plan.steps
        if self.fresh and share < self.plan.early:
            if step < 20 or (step < 100 and step % 10 == 0):
                return repeats(self.plan.budget, len(self.encoder.tokenizer), self.repeat_rng)
            return self.batches.draw(Protocol(EARLY))
        if share >= self.plan.late and (step >= self.own_since + self.plan.own_every or not self.own):
            self.own_since = step
            self.own = (
                own_drafts(self.policy, self.encoder, self.plan.own_queries, self.plan.seed + step) + self.own
            )
        return self.batches.draw(Protocol(LATE, self.own) if self.own else Protocol(MAIN))

    def _step(self, batch: Batch, scale: float) -> Tensor:
        loss = self.policy.loss(batch.tokens, batch.taught, torch.bfloat16)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizers.step(scale)
        return loss.detach()


def save_checkpoint(policy: Policy, path: Path) -> None:
    """Weights and shape, written whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save({"shape": asdict(policy.model.shape), "weights": policy.state_dict()}, part)
    part.replace(path)


def load_checkpoint(path: Path) -> Policy:
    """The policy of a checkpoint."""
    saved = torch.load(path, weights_only=True)
    policy = Policy(Shape(**saved["shape"]))
    policy.load_state_dict(saved["weights"])
    return policy
