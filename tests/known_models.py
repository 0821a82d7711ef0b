"""Small random checkpoints in the form of each row of the table of known reward models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, LlamaModel, PreTrainedTokenizerFast

from tests.custom_code import save_gated_reward
from tests.families import make_config
from tests.models import CORPUS
from tpo.rewards.known_models import KnownModel

BEGIN, END, PAD = "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"
LLAMA_TOKENS = [BEGIN, END, PAD, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
QWEN_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

LLAMA_TURNS = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
QWEN_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TULU_TURNS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
    "{% if m.role == 'assistant' %}{{ eos_token }}{% else %}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def known_tokenizer(row: KnownModel, template: str | None = None) -> Any:
    """A tokenizer with the special tokens, the start token and the template of *row*'s family."""
    qwen = row.architecture.startswith("Qwen3")
    special = QWEN_TOKENS if qwen else LLAMA_TOKENS
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([*CORPUS, "Yes No Yes No"], trainer)
    if not qwen:
        start = [(BEGIN, made.token_to_id(BEGIN))]
        made.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=start)
    own = QWEN_TURNS if qwen else TULU_TURNS if row.name.startswith("Tulu") else LLAMA_TURNS
    ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    if not qwen:
        ends = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template or own, **ends)


def save_known(folder: Path, row: KnownModel, tokenizer: Any = None) -> Path:
    """A random checkpoint in the form of *row*; one with code of its own is a stand-in with its interface."""
    tokenizer = tokenizer or known_tokenizer(row)
    if row.loading != "classifier":
        return _save_stand_in(folder, row, tokenizer)
    family = "qwen3" if row.architecture.startswith("Qwen3") else "llama"
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_config(make_config(family, tokenizer, num_labels=1))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


HEAD = """
import torch
from transformers import LlamaModel, LlamaPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutputWithPast


class NAME(LlamaPreTrainedModel):
    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        size = config.hidden_size
        first, last = torch.nn.Linear(size, size), torch.nn.Linear(size, 1)
        self.score = torch.nn.Sequential(first, torch.nn.ReLU(), last)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, **others):
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        rows = torch.arange(len(input_ids), device=hidden.device)
        value = self.score(hidden[rows, attention_mask.sum(-1) - 1])
        return RESULT

    def get_score(self, tokenizer, turns):
        ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
        end = torch.tensor([[self.config.reward_token_id]])
        ids = torch.cat([ids, end], 1)
        with torch.inference_mode():
            return self.score(self.model(input_ids=ids).last_hidden_state[:, -1]).item()
"""
"""An own head: two layers, as INF-ORM's and GRM's, and ``get_score``, as InternLM2's."""


OWN_CONFIG = """

from transformers import LlamaConfig


class InternLM2Config(LlamaConfig):
    model_type = "internlm2"


InternLM2ForRewardModel.config_class = InternLM2Config
"""


def _save_stand_in(folder: Path, row: KnownModel, tokenizer: Any) -> Path:
    if "output.score" in row.tokens:
        save_gated_reward(folder)
        tokenizer.save_pretrained(folder)
        return folder
    torch.manual_seed(8)
    config = make_config("llama", tokenizer, num_labels=1)
    LlamaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "model.safetensors"
    weights = {f"model.{name}": weight for name, weight in load_file(file).items()}
    size = config.hidden_size
    shapes = {"0.weight": (size, size), "0.bias": (size,), "2.weight": (1, size), "2.bias": (1,)}
    weights |= {f"score.{name}": torch.randn(shape) for name, shape in shapes.items()}
    save_file(weights, file, metadata={"format": "pt"})
    result = (
        "value.squeeze(-1)"
        if row.name.startswith("GRM")
        else "SequenceClassifierOutputWithPast(logits=value)"
    )
    code = HEAD.replace("NAME", row.architecture).replace("RESULT", result)
    changes: dict[str, Any] = {"architectures": [row.architecture], "reward_token_id": 3}
    if row.name == "InternLM2":
        code += OWN_CONFIG
        changes["model_type"] = "internlm2"
        changes["auto_map"] = {"AutoConfig": "own.InternLM2Config", "AutoModel": f"own.{row.architecture}"}
    elif row.loading == "own code":
        changes["auto_map"] = {"AutoModelForSequenceClassification": f"own.{row.architecture}"}
    (folder / "own.py").write_text(code)
    config_file = folder / "config.json"
    config_file.write_text(json.dumps(json.loads(config_file.read_text("utf-8")) | changes), "utf-8")
    return folder
