"""Train the reward by Bradley-Terry on noisy votes, from the policy's lower layers.

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

LENGTHS = (112, 144, 256)


@dataclass(frozen=True)
class RewardPlan:
    """How long, how much at a time, and from which seed."""

    steps: int = 700
    budget: int = 8192
    seed: int = 11
    layers: int = 4
    hidden: int = 384
    own: float = 0.4
    """Share of groups that the policy wrote itself."""
    check: int = 50
    rate: float = 0.5
    compile: bool = True


@torch.no_grad()
def reward_from(policy: Policy, layers: int, hidden: int) -> Reward:
    """A reward on the policy's lower *layers*, each with its *hidden* strongest feed-forward units."""
    reward = Reward(replace(policy.model.shape, layers=layers, hidden=hidden))
    reward.model.embed_tokens.load_state_dict(policy.model.embed_tokens.state_dict())
    for mine, theirs in zip(reward.model.stack(), policy.model.stack(), strict=False):
        mine.self_attn.load_state_dict(theirs.self_attn.state_dict())
        mine.input_layernorm.load_state_dict(theirs.input_layernorm.state_dict())
        mine.post_attention_layernorm.load_state_dict(theirs.post_attention_layernorm.state_dict())
        mlp = theirs.mlp
        strength = mlp.up_proj.weight.norm(dim=1) * mlp.down_proj.weight.norm(dim=0)
        keep = strength.topk(hidden).indices.sort().values
        mine.mlp.gate_proj.weight.copy_(mlp.gate_proj.weight[keep])
        mine.mlp.up_proj.weight.copy_(mlp.up_proj.weight[keep])
        mine.mlp.down_proj.weight.copy_(mlp.down_proj.weight[:, keep])
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
        if plan.compile:
            torch._dynamo.config.recompile_limit = 64  # one compiled layer for each length
            for layer in self.reward.model.stack():
                layer.compile(dynamic=False)
        self.optimizers = Optimizers(self.reward, plan.rate)
        self.waiting: dict[int, list[Group]] = {length: [] for length in LENGTHS}
        held_out = random.Random(plan.seed + 1)
        self.held_out = [synthetic_group(held_out, held_out=True) for _ in range(150)]

    def run(self) -> Reward:
        """Train, and return the weights with the best accuracy on the policy's own held-out samples."""
        best, weights, started = 0.0, copy.deepcopy(self.reward.state_dict()), time.monotonic()
        for step in range(self.plan.steps):
            loss = self._step(step)
            if step % self.plan.check == self.plan.check - 1:
                own, synthetic = self._accuracy(self.own_held_out), self._accuracy(self.held_out)
                seconds = time.monotonic() - started
                print(
                    f"step {step + 1} loss {loss:.4f} own {own:.4f} held-out {synthetic:.4f} "
                    f"seconds {seconds:.0f}",
                    flush=True,
                )
                if own >= best:
                    best, weights = own, copy.deepcopy(self.reward.state_dict())
        self.reward.load_state_dict(weights)
        return self.reward

    def _step(self, step: int) -> float:
        groups, tokens, lengths = self._batch()
        rewards = self.reward(tokens, lengths, torch.bfloat16)
        gaps, offset = [], 0
        for group in groups:
            gaps += [
                rewards[offset + winner] - rewards[offset + loser] for winner, loser in group.votes(self.rng)
            ]
            offset += len(group.texts)
        loss = -functional.logsigmoid(torch.stack(gaps)).mean() + 0.001 * rewards.mean().square()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.reward.parameters(), 1.0)
        self.optimizers.step(course(step, self.plan.steps))
        return float(loss.detach())

    def _batch(self) -> tuple[list[Group], Tensor, Tensor]:
        while True:
            own = self.own and self.rng.random() < self.plan.own
            group = self.rng.choice(self.own) if own else synthetic_group(self.rng)
            longest = max(len(tokens) for tokens in encode(self.encoder, group))
            length = next((length for length in LENGTHS if longest <= length), None)
            if length is None:
                continue
            self.waiting[length].append(group)
            if sum(len(g.texts) for g in self.waiting[length]) >= self.plan.budget // length // 4 * 4:
                groups, self.waiting[length] = self.waiting[length], []
                return (
                    groups,
                    *pad([t for g in groups for t in encode(self.encoder, g)], length, self.encoder.pad),
                )

    @torch.no_grad()
    def _accuracy(self, groups: Sequence[Group]) -> float:
        return accuracy(groups, score(self.reward, self.encoder, groups))


def encode(encoder: Encoder, group: Group) -> list[list[int]]:
    """The tokens of each response with its query before it."""
    return [encoder.dialogue(Dialogue(group.messages(i), frozenset()))[0] for i in range(len(group.texts))]


def pad(rows: list[list[int]], length: int, filler: int) -> tuple[Tensor, Tensor]:
    """Right-padded rows and their true lengths."""
    tokens = torch.full((len(rows), length), filler)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
    return tokens, torch.tensor([len(row) for row in rows])


@torch.no_grad()
def score(reward: Reward, encoder: Encoder, groups: Sequence[Group]) -> list[list[float]]:
    """The rewards of every response of *groups*."""
    values = []
    for group in groups:
        rows = encode(encoder, group)
        longest = max(map(len, rows))
        length = next((length for length in LENGTHS if longest <= length), longest)
        values.append(reward(*pad(rows, length, encoder.pad)).tolist())
    return values
