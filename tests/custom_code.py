"""Checkpoints with code of their own; the reward's, as ArmoRM's, is a gate over objectives, and a score."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import LlamaModel

from tests.models import make_config, make_tokenizer, save_policy

OBJECTIVES = 3

GATED = """
from dataclasses import dataclass

import torch
from transformers import LlamaModel, LlamaPreTrainedModel
from transformers.utils import ModelOutput


@dataclass
class GatedOutput(ModelOutput):
    rewards: torch.FloatTensor = None
    logits: torch.FloatTensor = None
    score: torch.FloatTensor = None


class GatedRewardModel(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.objectives = torch.nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.gate = torch.nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, **others):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        rows = torch.arange(len(input_ids), device=hidden.device)
        last = hidden[rows, attention_mask.sum(-1).to(hidden.device) - 1]
        rewards = self.objectives(last)
        weights = torch.softmax(self.gate(last), -1)
        return GatedOutput(rewards=rewards, logits=rewards, score=(weights * rewards).sum(-1)RESULT)
"""

OWN_POLICY = """
from transformers import LlamaForCausalLM


class CuriousForCausalLM(LlamaForCausalLM):
    pass
"""


def save_gated_reward(folder: Path, *, seed: int = 2, result: str = "") -> Path:
    """A reward model whose code stands beside its weights; *result* is put behind its score, to spoil it."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = make_config(tokenizer, num_labels=OBJECTIVES)
    backbone = LlamaModel(config)
    backbone.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _add_heads(folder, config.hidden_size)
    (folder / "gated.py").write_text(GATED.replace("RESULT", result))
    _amend(folder, "GatedRewardModel", {"AutoModelForSequenceClassification": "gated.GatedRewardModel"})
    return folder


def save_own_policy(folder: Path) -> Path:
    """A policy whose class stands beside its weights."""
    save_policy(folder)
    (folder / "curious.py").write_text(OWN_POLICY)
    _amend(folder, "CuriousForCausalLM", {"AutoModelForCausalLM": "curious.CuriousForCausalLM"})
    return folder


def _add_heads(folder: Path, hidden: int) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = {f"model.{name}": weight for name, weight in load_file(file).items()}
    for head in ("objectives", "gate"):
        weights[f"{head}.weight"] = torch.randn(OBJECTIVES, hidden)
    save_file(weights, file, metadata={"format": "pt"})


def _amend(folder: Path, architecture: str, auto_map: dict[str, str]) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(config | {"architectures": [architecture], "auto_map": auto_map}), "utf-8")
