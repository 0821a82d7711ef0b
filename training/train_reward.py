"""Train the reward by Bradley-Terry on shares of votes, from the policy's lower layers.

It is stopped by its accuracy on held-out samples of the policy.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from training.batches import pad
from training.checkpoints import fingerprint, load_checkpoint, save_checkpoint
from training.model import Policy, Reward
from training.optimizers import Optimizers, course
from training.own import own_drafts
from training.preferences import GROUP, Group, accuracy, group_of, synthetic_group
from training.protocol import Dialogue
from training.tokenizer import Encoder


@dataclass(frozen=True)
class RewardPlan:
    """How long, how much at a time, and from which seed."""

    steps: int = 1600
    minutes: float = 74.0
    """Longest time; the schedule follows the clock where the steps are too slow for it."""
    budget: int = 6144
    seed: int = 11
    frozen: int = 3
    """Lower layers that stay as they are: they tell right details from wrong ones already."""
    own: float = 0.7
    """Share of groups that the policy wrote itself."""
    own_queries: int = 2500
    """Queries that the policy answers for it, a fifth of them held out."""
    check: int = 40
    """Steps between checkpoints, each with the accuracy on held-out pairs."""
    rate: float = 0.5


@torch.no_grad()
def reward_from(policy: Policy) -> Reward:
    """A reward on the policy's layers."""
    reward = Reward(policy.model.shape)
    reward.model.load_state_dict(policy.model.state_dict())
    return reward


class RewardTraining:
    """One training run; its checkpoint in *path*, from which it goes on, is its product in the end."""

    def __init__(self, plan: RewardPlan, encoder: Encoder, policy: Policy, path: Path) -> None:
        self.plan, self.encoder, self.policy, self.path = plan, encoder, policy, path
        self.made_by = fingerprint(replace(plan, minutes=0.0), policy)
        torch.manual_seed(plan.seed)
        self.reward = reward_from(policy)
        for part in (self.reward.model.embed_tokens, *self.reward.model.layers[: plan.frozen]):
            part.requires_grad_(requires_grad=False)
        self.optimizers = Optimizers(self.reward, plan.rate)
        held_out = random.Random(plan.seed + 1)
        self.held_out = [synthetic_group(held_out, held_out=True) for _ in range(100)]
        self.own: list[Group] = []
        self.step, self.seconds, self.share, self.best = 0, 0.0, 0.0, 0.0
        self.kept = copy.deepcopy(self.reward.state_dict())
        if saved := load_checkpoint(path, self.made_by):
            self.reward.load_state_dict(saved["weights"])
            self.optimizers.load_state_dict(saved["optimizers"])
            self.own = [Group(**group) for group in saved["own"]]
            self.step, self.seconds, self.share = saved["step"], saved["seconds"], saved["share"]
            self.best, self.kept = saved["best"], saved["kept"]
        self.rng = random.Random(plan.seed + self.step)

    def run(self) -> Reward:
        """Train, and return the weights with the best accuracy on the policy's own held-out samples."""
        if not self.own:
            self._draw_own()
        began = time.monotonic() - self.seconds
        while self.share < 1:
            loss = self._step(course(self.share, self.step, decay=0.8))
            self.step += 1
            self.seconds = time.monotonic() - began
            self.share = max(self.step / self.plan.steps, self.seconds / (60 * self.plan.minutes))
            if self.step % self.plan.check == 0 or self.share >= 1:
                own, synthetic = self._accuracy(self._part(held_out=True)), self._accuracy(self.held_out)
                print(
                    f"{self.path.stem}: step {self.step} share {self.share:.3f} loss {loss:.4f} "
                    f"own {own:.4f} held-out {synthetic:.4f} seconds {self.seconds:.0f}",
                    flush=True,
                )
                if own >= self.best:
                    self.best, self.kept = own, copy.deepcopy(self.reward.state_dict())
                self._save()
        self.reward.load_state_dict(self.kept)
        return self.reward

    def _draw_own(self) -> None:
        count = self.plan.own_queries
        print(f"{self.path.stem}: {count * GROUP} samples of the policy to learn from", flush=True)
        drafts = own_drafts(self.policy, self.encoder, count, self.plan.seed, GROUP)
        self.own = [group_of(draft.task, draft.texts) for draft in drafts]
        random.Random(self.plan.seed).shuffle(self.own)
        self._save()

    def _part(self, held_out: bool) -> list[Group]:
        """The policy's own responses that are learned from, or the fifth that is held out."""
        cut = max(1, len(self.own) // 5)
        return self.own[:cut] if held_out else self.own[cut:]

    def _save(self) -> None:
        save_checkpoint(
            self.path, self.made_by, weights=self.reward.state_dict(),
            optimizers=self.optimizers.state_dict(), own=[asdict(group) for group in self.own],
            step=self.step, seconds=self.seconds, share=self.share, best=self.best, kept=self.kept,
        )  # fmt: skip

    def _step(self, scale: float) -> float:
        groups, tokens, lengths = self._batch()
        rewards = self.reward(tokens, lengths)
        gaps, shares, offset = [], [], 0
        for group in groups:
            for first, second, votes in group.votes():
                gaps.append(rewards[offset + first] - rewards[offset + second])
                shares.append(votes)
            offset += len(group.texts)
        loss = functional.binary_cross_entropy_with_logits(torch.stack(gaps), torch.tensor(shares))
        loss = loss + 0.001 * rewards.mean().square()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.reward.parameters(), 1.0)
        self.optimizers.step(scale)
        return float(loss.detach())

    def _batch(self) -> tuple[list[Group], Tensor, Tensor]:
        groups: list[Group] = []
        rows: list[list[int]] = []
        written = self._part(held_out=False)
        while True:
            own = self.rng.random() < self.plan.own
            group = self.rng.choice(written) if own else synthetic_group(self.rng)
            more = encode(self.encoder, group)
            if (len(rows) + len(more)) * max(map(len, rows + more)) > self.plan.budget and rows:
                return (groups, *pad(rows, self.encoder.pad))
            groups.append(group)
            rows += more

    def _accuracy(self, groups: Sequence[Group]) -> float:
        return accuracy(groups, score(self.reward, self.encoder, groups))


def encode(encoder: Encoder, group: Group) -> list[list[int]]:
    """The tokens of each response with its query before it."""
    return [encoder.dialogue(Dialogue(group.messages(i), {}))[0] for i in range(len(group.texts))]


@torch.no_grad()
def score(reward: Reward, encoder: Encoder, groups: Sequence[Group]) -> list[list[float]]:
    """The rewards of every response of *groups*."""
    return [reward(*pad(encode(encoder, group), encoder.pad)).tolist() for group in groups]
