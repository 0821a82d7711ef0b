"""Weights in Hugging Face form: a causal language model, and a sequence classifier with one label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from training.model import Policy, Reward, Shape

POSITIONS = 4096


def _config(shape: Shape, tokenizer: PreTrainedTokenizerFast, **more: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.head,
        max_position_embeddings=POSITIONS,
        rms_norm_eps=shape.epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
        tie_word_embeddings=True,
        **_tokens(tokenizer),
        **more,
    )


def _tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}


def as_causal_lm(policy: Policy, tokenizer: PreTrainedTokenizerFast) -> Any:
    """*policy* as a transformers model."""
    model = LlamaForCausalLM(_config(policy.model.shape, tokenizer))
    _load(model, policy.state_dict())
    model.generation_config = GenerationConfig(
        **_tokens(tokenizer), do_sample=True, temperature=0.7, top_p=0.95, top_k=0
    )
    return model.eval()


def policy_of(model: Any) -> Policy:
    """The other way round: a transformers model's weights in the policy that training and sampling use."""
    config = model.config
    shape = Shape(
        config.vocab_size, config.hidden_size, config.num_hidden_layers, config.num_attention_heads,
        config.head_dim, config.intermediate_size, float(config.rope_parameters["rope_theta"]),
        config.rms_norm_eps,
    )  # fmt: skip
    policy = Policy(shape)
    weights = {name: weight for name, weight in model.state_dict().items() if name != "lm_head.weight"}
    policy.load_state_dict(weights, strict=False)  # the verdicts' heads are not exported
    return policy


def as_classifier(reward: Reward, tokenizer: PreTrainedTokenizerFast) -> Any:
    """*reward* as a transformers model with one label."""
    model = LlamaForSequenceClassification(_config(reward.model.shape, tokenizer, num_labels=1))
    _load(model, reward.state_dict())
    return model.eval()


def _load(model: Any, weights: dict[str, torch.Tensor]) -> None:
    clean = {name: weight for name, weight in weights.items() if not name.startswith("verdicts.")}
    missing, unexpected = model.load_state_dict(clean, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"weights do not fit: missing {missing}, unexpected {unexpected}")
    model.tie_weights()


def save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights in half precision, configuration and tokenizer into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
