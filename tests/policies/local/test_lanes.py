"""Samples are read side by side only by a model that reads them so as it reads each alone."""

from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tpo.policies.local.lanes import reads_side_by_side


class CountsItself:
    """A model that finds its positions by counting the slots, whatever it is told."""

    def __init__(self, model: Any) -> None:
        self.model, self.config, self.device = model, model.config, model.device

    def forward(self, **inputs: Any) -> Any:
        return self(**inputs)

    def __call__(self, position_ids: Any = None, **inputs: Any) -> Any:
        return self.model(**inputs)


class TakesNoSuchMask(CountsItself):
    """A model whose kernel refuses a mask with a dimension for each query."""

    def __call__(self, position_ids: Any = None, **inputs: Any) -> Any:
        if inputs.get("attention_mask") is not None and inputs["attention_mask"].ndim == 4:
            raise ValueError("only two dimensions")
        return self.model(position_ids=position_ids, **inputs)


@pytest.fixture(scope="module")
def model(policy_folder: Path) -> Any:
    return LlamaForCausalLM.from_pretrained(policy_folder).eval()


def test_an_ordinary_model_does(model: Any) -> None:
    assert reads_side_by_side(model)


def test_in_half_precision_too(policy_folder: Path) -> None:
    import torch

    assert reads_side_by_side(LlamaForCausalLM.from_pretrained(policy_folder, dtype=torch.bfloat16).eval())


@pytest.mark.parametrize("kind", [CountsItself, TakesNoSuchMask])
def test_one_that_reads_otherwise_does_not(model: Any, kind: type) -> None:
    assert not reads_side_by_side(kind(model))


def test_one_with_another_attention_does_not(policy_folder: Path) -> None:
    eager = LlamaForCausalLM.from_pretrained(policy_folder, attn_implementation="eager").eval()
    assert not reads_side_by_side(eager)


def test_one_whose_attention_slides_does_not() -> None:
    config = MistralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=8,
    )
    assert not reads_side_by_side(MistralForCausalLM(config).eval())
