"""Drafts by the policy itself, so that it learns to judge and mend what it really writes."""

from __future__ import annotations

import random

import torch

from tpo.types import user
from training.cases import Draft
from training.model import Policy
from training.sampler import Sampler
from training.tokenizer import Encoder
from training.world import draw_task


def own_drafts(policy: Policy, encoder: Encoder, queries: int, seed: int, samples: int = 3) -> list[Draft]:
    """Samples of *policy* to queries that it may be trained on."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    tasks = [draw_task(rng) for _ in range(queries)]
    prompts = [encoder.prompt([user(task.prompt)]) for task in tasks for _ in range(samples)]
    texts = Sampler(policy, encoder).draw(prompts, limit=128)
    return [Draft(task, tuple(texts[i * samples : (i + 1) * samples])) for i, task in enumerate(tasks)]
