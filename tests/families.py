"""Tiny random models of many families: policies and rewards that are held against transformers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.models import make_tokenizer

ORIGINAL = 48
"""The context before LongRoPE's other factors count."""
WINDOW = 32
"""The tokens that a sliding window holds."""


def _rope(theta: float = 10_000.0, **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, **more}


def _long_rope() -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [1.0, 3.0, 7.0, 12.0],
        "original_max_position_embeddings": ORIGINAL,
    }


WIDE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.4,
}
SLIDING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"], "head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 8,
}
STATES = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "initializer_range": 0.4}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", WIDE),
    "qwen3": ("Qwen3Config", WIDE | {"head_dim": 8}),
    "phi3": ("Phi3Config", WIDE),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "gpt_neox": ("GPTNeoXConfig", WIDE),
    "opt": ("OPTConfig", WIDE | {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "gptj": ("GPTJConfig", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 256}),
    "cohere": ("CohereConfig", WIDE),
    "olmo2": ("Olmo2Config", WIDE),
    "falcon": ("FalconConfig", WIDE | {"alibi": True, "new_decoder_architecture": False}),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.4}),
    "mpt": ("MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256}),
    "mistral": ("MistralConfig", WIDE | {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2Config", WIDE | SLIDING | {"query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3TextConfig", WIDE | SLIDING | {"query_pre_attn_scalar": 8}),
    "gpt_oss": (
        "GptOssConfig",
        WIDE | SLIDING | {"num_local_experts": 4, "num_experts_per_tok": 2, "rope_parameters": _rope()},
    ),
    "llama4": (
        "Llama4TextConfig",
        WIDE
        | {
            "intermediate_size_mlp": 48,
            "head_dim": 8,
            "num_local_experts": 2,
            "attention_chunk_size": WINDOW,
            "layer_types": ["chunked_attention", "full_attention"],
        },
    ),
    "longrope": (
        "Phi3Config",
        WIDE | {"rope_parameters": _long_rope(), "original_max_position_embeddings": ORIGINAL},
    ),
    "mixtral": ("MixtralConfig", WIDE | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": ("Qwen3MoeConfig", WIDE | EXPERTS | {"head_dim": 8}),
    "qwen3_5": ("Qwen3_5TextConfig", WIDE | LINEAR),
    "qwen3_next": ("Qwen3NextConfig", WIDE | LINEAR | EXPERTS | {"shared_expert_intermediate_size": 16}),
    "lfm2": ("Lfm2Config", WIDE | {"layer_types": ["conv", "full_attention"], "block_ff_dim": 48}),
    "jamba": (
        "JambaConfig",
        WIDE
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "num_experts": 2,
            "use_mamba_kernels": False,
            "mamba_d_state": 4,
        },
    ),
    "mamba": ("MambaConfig", STATES),
    "mamba2": ("Mamba2Config", STATES | {"num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 16}),
    "rwkv": ("RwkvConfig", {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}),
}
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": (
        "T5Config",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
        },
    ),
    "bert": ("BertConfig", WIDE),
    "roberta": ("RobertaConfig", WIDE),
    "deberta": ("DebertaV2Config", WIDE),
}


def make_config(family: str, tokenizer: Any, **changes: Any) -> Any:
    """The configuration of a *family* that fits *tokenizer*."""
    kind, values = (CONFIGS | ENCODERS)[family]
    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": False,
    }
    return getattr(transformers, kind)(**(common | values | changes))


def _save(folder: Path, make: Callable[[Any], Any], config: Any, tokenizer: Any, spread: float) -> Path:
    torch.manual_seed(5)
    model = make(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1 and weight.std() < spread / 3:
                weight.normal_(std=spread)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_causal(folder: Path, family: str, **changes: Any) -> Path:
    """A random causal model of *family* and its tokenizer in *folder*."""
    tokenizer = make_tokenizer()
    config = make_config(family, tokenizer, **changes)
    return _save(folder, transformers.AutoModelForCausalLM.from_config, config, tokenizer, 0.3)


def save_classifier(folder: Path, family: str, **changes: Any) -> Path:
    """A random one-label classifier of *family* and its tokenizer in *folder*."""
    tokenizer = make_tokenizer()
    config = make_config(family, tokenizer, **({"num_labels": 1} | changes))
    return _save(folder, transformers.AutoModelForSequenceClassification.from_config, config, tokenizer, 0.3)
