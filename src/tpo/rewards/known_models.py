"""Public reward models: how each is named here, and what was verified. The docs' tables are made of it.

Each row names the sources of its facts. What the sources do not tell, and what only the weights can show,
is in ``unverified``. ``tests/rewards/test_known_models.py`` runs each row on small random weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Loading = Literal["classifier", "own code", "function"]
"""``classifier``: a transformers class; ``own code``: ``--trust-remote-code``; ``function``: not ``hf:``."""


@dataclass(frozen=True, slots=True)
class TokenLayout:
    """Special tokens of a conversation: the number of *start* tokens, and *end*, the last special token."""

    start: int
    end: str


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One row: a reward model, or several sizes that differ in nothing else.

    Attributes:
        name: the name in the table.
        ids: ids on the Hugging Face hub.
        architecture: the class that the checkpoint names.
        loading: how ``--reward hf:`` loads it.
        tokens: settings of the template and the tokenizer that change scores.
        layout: what doctor expects of a conversation; None where no source tells it.
        takes_system: whether conversations with a system turn may be scored.
        vllm: whether ``--reward vllm:`` works; *vllm_note* says why not.
        sglang: whether ``--reward sglang:`` works, by SGLang's source; *sglang_note* says why not, or how
            scores differ.
        judge: how a generative model is asked; empty for classifiers.
        context: tokens that the model was trained or configured for; None where no source tells it.
        licence: as its card states it.
        card_scores: the scores that its card prints for its own example.
        unverified: what could not be verified without the weights or the files.
        sources: where the facts stand.
    """

    name: str
    ids: tuple[str, ...]
    architecture: str
    loading: Loading
    tokens: str
    sources: tuple[str, ...]
    unverified: str
    licence: str
    layout: TokenLayout | None = None
    takes_system: bool = True
    vllm: bool = False
    vllm_note: str = ""
    sglang: bool = False
    sglang_note: str = ""
    judge: str = ""
    context: int | None = None
    card_scores: tuple[float, ...] = ()

    def refusal(self, kind: str) -> str | None:
        """Return why ``--reward KIND:URL`` does not work for this model; None if it works."""
        if kind == "sglang":
            return None if self.sglang else self.sglang_note or _NO_SGLANG
        return None if self.vllm else self.vllm_note


LLAMA = TokenLayout(1, "<|eot_id|>")
"""Turns of Llama 3: a start token, and ``<|eot_id|>`` after every turn."""
QWEN = TokenLayout(0, "<|im_end|>")
"""Turns of Qwen3 (ChatML): no start token."""

_SGLANG_DOCS = "SGLang docs, reward models"
_SGLANG_SOURCE = "SGLang 0.5.23, srt/models"
_VLLM_DOCS = "vLLM docs, reward models"
_VLLM_SOURCE = "vLLM 0.32, models/registry.py"
_NO_SGLANG = "SGLang 0.5.23 has no class of this name"
_NO_VLLM = "vLLM 0.32 has no class of this name"
_WITHOUT_WEIGHTS = "scores of the real weights"

KNOWN_MODELS: tuple[KnownModel, ...] = (
    KnownModel(
        name="Skywork-Reward-V2 (Llama)",
        ids=(
            "Skywork/Skywork-Reward-V2-Llama-3.1-8B",
            "Skywork/Skywork-Reward-V2-Llama-3.1-8B-40M",
            "Skywork/Skywork-Reward-V2-Llama-3.2-1B",
            "Skywork/Skywork-Reward-V2-Llama-3.2-3B",
        ),
        architecture="LlamaForSequenceClassification",
        loading="classifier",
        tokens="start token once; no system turn",
        layout=LLAMA,
        takes_system=False,
        vllm=True,
        sglang=True,
        context=16_384,
        licence="Llama 3.1 or 3.2 community",
        card_scores=(23.0, 3.59375),
        unverified=f"{_WITHOUT_WEIGHTS}; the card's scores are those of Llama-3.1-8B",
        sources=("README of SkyworkAI/Skywork-Reward-V2", _VLLM_DOCS, _SGLANG_DOCS),
    ),
    KnownModel(
        name="Skywork-Reward-V2 (Qwen3)",
        ids=tuple(f"Skywork/Skywork-Reward-V2-Qwen3-{size}" for size in ("0.6B", "1.7B", "4B", "8B")),
        architecture="Qwen3ForSequenceClassification",
        loading="classifier",
        tokens="no start token; no system turn",
        layout=QWEN,
        takes_system=False,
        vllm=True,
        sglang=True,
        sglang_note="its class adds a bias that the checkpoint lacks, which may shift all scores alike",
        context=16_384,
        licence="Apache 2.0",
        unverified=_WITHOUT_WEIGHTS,
        sources=("README of SkyworkAI/Skywork-Reward-V2", _VLLM_DOCS, _SGLANG_SOURCE),
    ),
    KnownModel(
        name="FsfairX",
        ids=("sfairXC/FsfairX-LLaMA3-RM-v0.1",),
        architecture="LlamaForSequenceClassification",
        loading="classifier",
        tokens="start token once: the template's is removed before tokenizing; no activation",
        layout=LLAMA,
        vllm=True,
        sglang=True,
        licence="CC BY-NC 4.0",
        unverified=f"{_WITHOUT_WEIGHTS}; the context (its base, Llama 3, has 8,192)",
        sources=("its card", _VLLM_DOCS, _SGLANG_DOCS),
    ),
    KnownModel(
        name="Tulu-3-8B-RM",
        ids=("allenai/Llama-3.1-Tulu-3-8B-RM",),
        architecture="LlamaForSequenceClassification",
        loading="classifier",
        tokens="roles as plain text, `<|user|>` and `<|assistant|>`; an end token after the response",
        vllm=True,
        sglang=True,
        licence="Llama 3.1 community",
        unverified=f"{_WITHOUT_WEIGHTS}; its template (told of Tulu 3's policies); start token; context",
        sources=("its card", "card of allenai/Llama-3.1-Tulu-3-8B", _VLLM_DOCS),
    ),
    KnownModel(
        name="GRM, fine-tuned",
        ids=("Ray2333/GRM-Llama3.2-3B-rewardmodel-ft", "Ray2333/GRM-Llama3-8B-rewardmodel-ft"),
        architecture="LlamaForSequenceClassification",
        loading="classifier",
        tokens="start token once",
        layout=LLAMA,
        vllm=True,
        sglang=True,
        licence="Apache 2.0 (3B), MIT (8B)",
        unverified=f"{_WITHOUT_WEIGHTS}; its template; the context",
        sources=("their pages on the hub", _VLLM_DOCS),
    ),
    KnownModel(
        name="GRM with a value head",
        ids=(
            "Ray2333/GRM-llama3-8B-sftreg",
            "Ray2333/GRM-llama3-8B-distill",
            "Ray2333/GRM-llama3.2-3B-sftreg",
        ),
        architecture="GRewardModel",
        loading="own code",
        tokens="start token once",
        layout=LLAMA,
        vllm_note=_NO_VLLM,
        licence="not verified",
        unverified=f"{_WITHOUT_WEIGHTS}; licence; context; what its code returns (RewardBench's: one number)",
        sources=("rewardbench/models/grm.py of allenai/reward-bench", _VLLM_SOURCE),
    ),
    KnownModel(
        name="ArmoRM",
        ids=("RLHFlow/ArmoRM-Llama3-8B-v0.1",),
        architecture="LlamaForRewardModelWithGating",
        loading="own code",
        tokens="ids from the chat template; the score is `output.score`, not one of 19 objectives",
        layout=LLAMA,
        vllm_note=_NO_VLLM,
        context=8192,
        licence="Llama 3 community",
        unverified=_WITHOUT_WEIGHTS,
        sources=("its config.json and card", _VLLM_SOURCE),
    ),
    KnownModel(
        name="QRM",
        ids=("nicolinho/QRM-Llama3.1-8B-v2", "nicolinho/QRM-Llama3.1-8B", "nicolinho/QRM-Llama3-8B"),
        architecture="LlamaForRewardModelWithGating31",
        loading="own code",
        tokens="ids from the chat template; the score is `output.score`, the mean of a distribution",
        layout=LLAMA,
        vllm_note=_NO_VLLM,
        licence="Llama 3 community (card: `llama3`)",
        unverified=f"{_WITHOUT_WEIGHTS}; the class's name on the hub (this is RewardBench's); the context",
        sources=("its card", "allenai/reward-bench", _VLLM_SOURCE),
    ),
    KnownModel(
        name="URM",
        ids=("LxzGordon/URM-LLaMa-3.1-8B", "LxzGordon/URM-LLaMa-3-8B"),
        architecture="LlamaForSequenceClassificationWithNormal_Weights",
        loading="own code",
        tokens="the score is `logits[0][0]`; its example does not remove the template's start token",
        vllm_note=_NO_VLLM,
        sglang=True,
        sglang_note="it has a class for a gated head (`llama_reward.py`)",
        licence="none stated",
        card_scores=(3.669522523880005,),
        unverified=f"{_WITHOUT_WEIGHTS}; start tokens (the example may double it); "
        "the class's name (this is SGLang's class of that form); context; the score is that of the 3-8B",
        sources=("its cards", _SGLANG_SOURCE, _VLLM_SOURCE),
    ),
    KnownModel(
        name="INF-ORM",
        ids=("infly/INF-ORM-Llama3.1-70B",),
        architecture="INFORMForSequenceClassification",
        loading="function",
        tokens="a head of two layers, whose class stands in the card and not in the checkpoint",
        vllm_note=_NO_VLLM,
        licence="other (`inf`)",
        unverified=f"{_WITHOUT_WEIGHTS}; whether its config.json names code; tokens; the context",
        sources=("its card", _VLLM_SOURCE),
    ),
    KnownModel(
        name="InternLM2",
        ids=tuple(f"internlm/internlm2-{size}-reward" for size in ("1_8b", "7b", "20b")),
        architecture="InternLM2ForRewardModel",
        loading="function",
        tokens="its own `get_score`, which appends a reward token (92527)",
        vllm_note="vLLM 0.32 gives a number for each token, not one for the conversation",
        sglang_note="it has the class, but does not append the reward token",
        context=32_768,
        licence="other",
        unverified=f"{_WITHOUT_WEIGHTS}; its code with transformers 5",
        sources=(
            "config.json of the 7b and the 20b",
            "its card",
            "vLLM 0.32, models/internlm2.py",
            _SGLANG_DOCS,
        ),
    ),
    KnownModel(
        name="Nemotron, principle",
        ids=("nvidia/Llama-3.3-Nemotron-70B-Reward-Principle",),
        architecture="LlamaForCausalLM",
        loading="function",
        tokens="a last user turn asks whether the response satisfies a principle; Yes is 9642, No is 2822",
        judge="`judge:URL#NAME`: log P(Yes) - log P(No), in words of our own; prompts are cut to the context",
        vllm_note="it is a language model",
        sglang_note="it is a language model",
        context=4096,
        licence="NVIDIA Open Model, and Llama 3.3 community",
        card_scores=(4.875, -4.875),
        unverified=f"{_WITHOUT_WEIGHTS}; what our wording of the question changes",
        sources=("its card",),
    ),
)


def find_known(name: str) -> KnownModel | None:
    """Return the row of *name*, a hub id or a directory that is called as the model is; None without one."""
    last = name.rstrip("/").rpartition("/")[2].lower()
    ids = ((row, hub_id) for row in KNOWN_MODELS for hub_id in row.ids)
    return next((row for row, hub_id in ids if hub_id.rpartition("/")[2].lower() == last), None)
