"""The self-test at load: the engine decodes only models that it reads as they read each text alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tpo.policies.local.draw import SamplingOptions
from tpo.policies.local.passes import PARTED
from tpo.policies.local.row import Row, draw_rows
from tpo.policies.local.selftest import FastOptions, fast_options, plain_failure

TEXTS = [tuple(range(10, 18)), tuple(10 + at * 7 % 50 for at in range(60))]


def tried(model: Any, **changes: Any) -> FastOptions | None:
    options: dict[str, Any] = {"limit": None, "together": True, "arbiters": (), "noise": 4e-5}
    return fast_options(model, TEXTS, **(options | changes))


class CountsItself:
    """A model that finds its positions by counting the slots, whatever it is told."""

    def __init__(self, model: Any) -> None:
        self.model, self.config, self.device, self.dtype = model, model.config, model.device, model.dtype

    def set_attn_implementation(self, name: str) -> None:
        raise ValueError(name)

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


class ReadsAhead(CountsItself):
    """A model whose logits depend on the last token of all, as a masked language model's do."""

    def __call__(self, position_ids: Any = None, **inputs: Any) -> Any:
        output = self.model(position_ids=position_ids, **inputs)
        last = inputs["input_ids"][:, -1:, None]
        output.logits = output.logits + 50 * torch.sin(last + torch.arange(output.logits.shape[-1]))
        return output


@pytest.fixture
def model(policy_folder: Path) -> Any:
    return LlamaForCausalLM.from_pretrained(policy_folder).eval()


def test_an_ordinary_model_reads_samples_side_by_side_and_batches_together(model: Any) -> None:
    assert tried(model) == FastOptions(side_by_side=True, together=True)
    assert model.config._attn_implementation == PARTED


def test_in_half_precision_too(policy_folder: Path) -> None:
    half = LlamaForCausalLM.from_pretrained(policy_folder, dtype=torch.bfloat16).eval()
    assert tried(half) == FastOptions(side_by_side=True, together=True)


def test_batches_stay_apart_where_that_is_asked(model: Any) -> None:
    assert tried(model, together=False) == FastOptions(side_by_side=True, together=False)
    assert model.config._attn_implementation == "sdpa"


def test_one_that_takes_no_mask_for_each_query_reads_plain_batches(model: Any) -> None:
    assert tried(TakesNoSuchMask(model)) == FastOptions(side_by_side=False, together=False)


def test_one_that_counts_positions_itself_reads_plain_batches_where_distance_is_all_that_matters(
    model: Any,
) -> None:
    assert tried(CountsItself(model)) == FastOptions(side_by_side=False, together=False)


def test_one_that_reads_what_follows_fails(model: Any) -> None:
    assert tried(ReadsAhead(model)) is None


def test_one_with_another_attention_is_left_as_it_was(policy_folder: Path) -> None:
    eager = LlamaForCausalLM.from_pretrained(policy_folder, attn_implementation="eager").eval()
    found = tried(eager)
    assert found is None or not (found.side_by_side or found.together)
    assert eager.config._attn_implementation == "eager"


def small(window: int | None, **changes: Any) -> Any:
    settings = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2} | changes
    config = MistralConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, sliding_window=window, **settings
    )
    return MistralForCausalLM(config).eval()


def test_one_whose_attention_slides_reads_samples_side_by_side_only_within_its_window() -> None:
    assert tried(small(window=24)) == FastOptions(side_by_side=False, together=False)
    assert tried(small(window=24), limit=24) == FastOptions(side_by_side=True, together=True)


def test_heads_may_share_their_keys() -> None:
    assert tried(small(window=None, num_attention_heads=4)) is not None


class ReadsNoParts(LlamaForCausalLM):  # type: ignore[misc] # transformers publishes no types
    """A model that does not hand on what it is called with."""

    def forward(self, parts: Any = None, **inputs: Any) -> Any:
        return super().forward(**inputs)


def test_a_model_that_hands_nothing_on_keeps_its_batches_apart_and_its_attention(policy_folder: Path) -> None:
    model = ReadsNoParts.from_pretrained(policy_folder).eval()
    assert tried(model) == FastOptions(side_by_side=True, together=False)
    assert model.config._attn_implementation == "sdpa"


class Fails:
    """An arbiter that cannot run, as a mixture of experts in double precision."""

    def forward(self) -> None:
        """Stands for the model's own."""

    def __call__(self, **inputs: Any) -> Any:
        raise RuntimeError("no such product")


def test_the_first_arbiter_that_works_is_taken(model: Any) -> None:
    found = tried(model, arbiters=(Fails, lambda: model), noise=1e-9)
    assert found is not None
    assert found.arbiter is model


def test_no_arbiter_is_taken_where_it_would_decide_many_draws(model: Any) -> None:
    found = tried(model, arbiters=(lambda: model,), noise=0.1)
    assert found is not None
    assert found.arbiter is None


def test_what_generate_cannot_decode_is_named(model: Any) -> None:
    assert plain_failure(model, TEXTS[1]) is None
    assert plain_failure(ReadsAhead(model), TEXTS[1]) == (
        "it reads what follows a token, so it is not a causal language model"
    )
    assert "has no attribute 'generate'" in str(plain_failure(CountsItself(model), TEXTS[1]))


def test_one_whose_logits_are_no_numbers_fails_and_names_what_helps(policy_folder: Path) -> None:
    broken = LlamaForCausalLM.from_pretrained(policy_folder, dtype=torch.float32)
    with torch.no_grad():
        broken.lm_head.weight[3] = float("nan")
    assert tried(broken) is None
    failure = plain_failure(broken, TEXTS[-1])
    assert "its logits are no numbers: use --dtype bfloat16 or float32" in str(failure)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_token_that_is_excluded_is_no_fault_and_no_number_is(temperature: float) -> None:
    row = Row(0, (1,), temperature, 0.9, 4, np.random.default_rng(0), lambda _: None)
    logits = torch.tensor([[1.0, -torch.inf, 0.0]])
    assert int(draw_rows([row], logits, SamplingOptions()).tokens[0]) in (0, 2)
    for wrong in (torch.nan, torch.inf):
        with pytest.raises(FloatingPointError, match="no numbers"):
            draw_rows([row], torch.tensor([[1.0, wrong, 0.0]]), SamplingOptions())
