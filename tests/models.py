"""Small random models in Hugging Face format, made in about a second: real code paths, no meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

BOS, EOT, EOS, HEAD, HEAD_END, PAD = (
    "<|begin|>",
    "<|turn_end|>",
    "<|end|>",
    "<|head|>",
    "<|head_end|>",
    "<|pad|>",
)
torch.set_num_threads(1)  # products this small gain nothing by a second core, and lose where it is busy
SPECIAL = [BOS, EOT, EOS, HEAD, HEAD_END, PAD]

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    f"{HEAD}{{{{ message.role }}}}{HEAD_END}\n\n{{{{ message.content }}}}{EOT}"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{HEAD}assistant{HEAD_END}\n\n{{% endif %}}"
)

CORPUS = [
    "Dear Anna, please come to the party on Friday at seven in the garden.",
    "user assistant system The answer is short, and the question was long.",
    "Thank you for the book, it was kind of you to bring it to us yesterday.",
]


def make_tokenizer(
    *, adds_start: bool = True, template: str | None = TEMPLATE, corpus: Sequence[str] = CORPUS
) -> Any:
    """A byte-level tokenizer with a template in the manner of Llama 3, which writes the start token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    if adds_start:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=[EOT, HEAD, HEAD_END],
        chat_template=template,
    )


def make_config(tokenizer: Any, **changes: Any) -> LlamaConfig:
    """A Llama of two layers that fits *tokenizer*."""
    values = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.4,
        "tie_word_embeddings": False,
    }
    return LlamaConfig(**(values | changes))


def save_policy(folder: Path, *, tokenizer: Any = None, seed: int = 0, **changes: Any) -> Path:
    """A random causal model and its tokenizer in *folder*."""
    tokenizer = tokenizer or make_tokenizer()
    torch.manual_seed(seed)
    LlamaForCausalLM(make_config(tokenizer, **changes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_reward(folder: Path, *, tokenizer: Any = None, seed: int = 1, **changes: Any) -> Path:
    """A random one-label classifier and its tokenizer in *folder*."""
    tokenizer = tokenizer or make_tokenizer()
    torch.manual_seed(seed)
    config = make_config(tokenizer, **({"num_labels": 1} | changes))
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


DECISION_TEMPLATE = (
    f"{{% for message in messages %}}{HEAD}{{{{ message.role }}}}{HEAD_END}{{{{ message.content }}}}{EOT}"
    f"{{% endfor %}}{{% if add_generation_prompt %}}{HEAD}assistant{HEAD_END}{{% endif %}}"
)
"""Ends with a special token, so that a label is one token whatever comes before it."""


def save_decider(folder: Path, *, seed: int = 0) -> Path:
    """A random Qwen3 whose labels are single tokens: vLLM's decision endpoint serves this architecture."""
    labels = " ".join(["yes", "no", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"])
    tokenizer = make_tokenizer(
        adds_start=False, template=DECISION_TEMPLATE, corpus=[*CORPUS, *[f"yes no\nyes\nno {labels}"] * 20]
    )
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=8192,
        initializer_range=0.4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
