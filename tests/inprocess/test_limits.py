"""Contexts as models really have them, and the lengths at which they change how they compute."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM

from tests.families import ORIGINAL, WINDOW, make_config, save_causal, save_classifier
from tests.models import make_tokenizer
from tpo.errors import PolicyRefused, RewardRefused
from tpo.inprocess.limits import uniform_length
from tpo.inprocess.loading import load_checkpoint
from tpo.policies.local import HFPolicy
from tpo.rewards.hf import HFReward
from tpo.types import Sampling, Scope, user


@pytest.mark.parametrize(
    ("family", "changes", "context"),
    [("mpt", {}, 256), ("bloom", {}, 2048), ("bloom", {"seq_length": 512}, 512), ("llama", {}, 256)],
)
def test_a_policy_reads_what_its_configuration_says(
    tmp_path: Path, family: str, changes: dict[str, int], context: int
) -> None:
    folder = save_causal(tmp_path, family, **changes)
    assert load_checkpoint(folder, "causal", PolicyRefused, device="cpu").context == context


def test_the_tokenizer_may_say_less(tmp_path: Path) -> None:
    save_causal(tmp_path, "llama")
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = 100
    tokenizer.save_pretrained(tmp_path)
    assert load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu").context == 100


def test_the_first_positions_of_roberta_are_no_tokens(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, "roberta", max_position_embeddings=64, pad_token_id=1)
    assert load_checkpoint(folder, "classifier", RewardRefused, device="cpu").context == 62


@pytest.mark.parametrize("family", ["roberta", "mpt"])
async def test_a_conversation_of_the_whole_context_is_scored(tmp_path: Path, family: str) -> None:
    reward = HFReward(save_classifier(tmp_path, family), device="cpu")
    score = await reward.score((user("Hi"),), "Z" * 300, Scope("q", 0, "reward"))
    assert score.tokens == reward.context
    assert score.truncated_tokens > 0


async def test_an_answer_of_mpt_ends_with_its_context(tmp_path: Path) -> None:
    policy = HFPolicy(save_causal(tmp_path, "mpt", max_seq_len=64), device="cpu")
    sampling = Sampling(n=4, max_tokens=500, temperature=0.0)
    replies = [one async for one in policy.sample((user("Hi"),), sampling, Scope("q", 0, "sample"))]
    prompt = sum(reply.usage.prompt_tokens for reply in replies)
    assert all(prompt + reply.usage.completion_tokens <= 64 for reply in replies)


@pytest.mark.parametrize(
    ("family", "changes", "length"),
    [
        ("llama", {}, None),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, 256),
        ("mistral", {}, WINDOW),
        ("gemma2", {}, WINDOW),
        ("llama4", {}, WINDOW),
        ("longrope", {}, ORIGINAL),
        ("bert", {}, None),
    ],
)
def test_length_matters_from_a_window_or_from_other_rope_factors_on(
    family: str, changes: dict[str, Any], length: int | None
) -> None:
    assert uniform_length(make_config(family, make_tokenizer(), **changes)) == length


def test_a_model_without_positions_has_no_limit_but_its_tokenizers(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(save_causal(tmp_path, "mamba"))
    assert uniform_length(model.config) is None
    assert load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu").context == 1 << 30
