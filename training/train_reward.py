"""Train the reward by Bradley-Terry on shares of votes, from the policy's lower layers.

It is stopped by its accuracy on held-out samples of the policy.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from training.model import Policy, Reward
from training.optimizers import Optimizers, course
from training.preferences import Group, accuracy, synthetic_group
from training.protocol import Dialogue
from training.tokenizer import Encoder


@dataclass(frozen=True)
class RewardPlan:
    """How long, how much at a time, and from which seed."""

    steps: int = 1200
    minutes: float = 40.0
    """Longest time; the schedule follows the clock where the steps are too slow for it."""
    budget: int = 6144
    seed: int = 11
    layers: int = 5
    frozen: int = 3
    """Lower layers that stay as they are: they tell right details from wrong ones already."""
    own: float = 0.6
    """Share of groups that the policy wrote itself."""
    check: int = 40
    rate: float = 0.5


@torch.no_grad()
def reward_from(policy: Policy, layers: int) -> Reward:
    """A reward on the policy's lower *layers*."""
    reward = Reward(replace(policy.model.shape, layers=layers))
    kept = reward.model.state_dict()
    theirs = policy.model.state_dict()
    reward.model.load_state_dict({name: theirs[name] for name in kept})
    return reward


class RewardTraining:
    """One training run."""

    def __init__(
        self,
        plan: RewardPlan,
        encoder: Encoder,
        reward: Reward,
        own: Sequence[Group],
        own_held_out: Sequence[Group],
    ) -> None:
        self.plan, self.encoder, self.own, self.own_held_out = plan, encoder, own, own_held_out
        self.rng = random.Random(plan.seed)
        torch.manual_seed(plan.seed)
        self.reward = reward
        for part in (reward.model.embed_tokens, *reward.model.layers[: plan.frozen]):
            part.requires_grad_(requires_grad=False)
        self.optimizers = Optimizers(reward, plan.rate)
        held_out = random.Random(plan.seed + 1)
        self.held_out = [synthetic_group(held_out, held_out=True) for _ in range(100)]

    def run(self) -> Reward:
        """Train, and return the weights with the best accuracy on the policy's own held-out samples."""
        best, weights, started, share, step = 0.0, self.reward.state_dict(), time.monotonic(), 0.0, 0
        while share < 1:
            loss = self._step(course(share, step, decay=0.8))
            step += 1
            seconds = time.monotonic() - started
            share = max(step / self.plan.steps, seconds / (60 * self.plan.minutes))
            if step % self.plan.check == 0 or share >= 1:
                own, synthetic = self._accuracy(self.own_held_out), self._accuracy(self.held_out)
                print(
                    f"step {step} share {share:.3f} loss {loss:.4f} own {own:.4f} held-out {synthetic:.4f} "
                    f"seconds {seconds:.0f}",
                    flush=True,
                )
                if own >= best:
                    best, weights = own, copy.deepcopy(self.reward.state_dict())
        self.reward.load_state_dict(weights)
        return self.reward

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
        while True:
            own = self.own and self.rng.random() < self.plan.own
            group = self.rng.choice(self.own) if own else synthetic_group(self.rng)
            more = encode(self.encoder, group)
            if (len(rows) + len(more)) * max(map(len, rows + more)) > self.plan.budget and rows:
                return (groups, *pad(rows, self.encoder.pad))
            groups.append(group)
            rows += more

    @torch.no_grad()
    def _accuracy(self, groups: Sequence[Group]) -> float:
        return accuracy(groups, score(self.reward, self.encoder, groups))


def encode(encoder: Encoder, group: Group) -> list[list[int]]:
    """The tokens of each response with its query before it."""
    return [encoder.dialogue(Dialogue(group.messages(i), {}))[0] for i in range(len(group.texts))]


def pad(rows: list[list[int]], filler: int) -> tuple[Tensor, Tensor]:
    """Right-padded rows and their true lengths."""
    tokens = torch.full((len(rows), max(map(len, rows))), filler)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens, torch.tensor([len(row) for row in rows])


@torch.no_grad()
def score(reward: Reward, encoder: Encoder, groups: Sequence[Group]) -> list[list[float]]:
    """The rewards of every response of *groups*."""
    return [reward(*pad(encode(encoder, group), encoder.pad)).tolist() for group in groups]
