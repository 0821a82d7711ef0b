"""Samples side by side, and batches in one pass: only for a model that reads them as it reads each alone."""

from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tpo.policies.local.lanes import part_attention, reads_side_by_side
from tpo.policies.local.passes import PARTED


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
    assert not part_attention(eager)
    assert eager.config._attn_implementation == "eager"


def small(window: int | None, **changes: Any) -> Any:
    settings = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2} | changes
    config = MistralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, sliding_window=window, **settings
    )
    return MistralForCausalLM(config).eval()


def test_one_whose_attention_slides_does_not() -> None:
    assert not reads_side_by_side(small(window=8))
    assert not part_attention(small(window=8))


def test_several_batches_are_read_in_one_pass(policy_folder: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(policy_folder).eval()
    assert part_attention(model)
    assert model.config._attn_implementation == PARTED


def test_so_they_are_where_heads_share_their_keys() -> None:
    assert part_attention(small(window=None, num_attention_heads=4))


class ReadsNoParts(LlamaForCausalLM):  # type: ignore[misc] # transformers publishes no types
    """A model that does not hand on what it is called with."""

    def forward(self, parts: Any = None, **inputs: Any) -> Any:
        return super().forward(**inputs)


def test_a_model_that_hands_nothing_on_is_left_as_it_was(policy_folder: Path) -> None:
    model = ReadsNoParts.from_pretrained(policy_folder).eval()
    assert not part_attention(model)
    assert model.config._attn_implementation == "sdpa"
    assert reads_side_by_side(model)
