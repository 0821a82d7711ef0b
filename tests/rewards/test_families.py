"""Small classifiers of many families: scored as transformers scores each conversation alone."""

import asyncio
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS,
)

from tests.families import CONFIGS, ENCODERS, ORIGINAL, WINDOW, make_config, save_classifier
from tests.models import make_tokenizer
from tpo.rewards.hf import HFReward
from tpo.types import Scope, assistant, user

ALL = [
    family for family in CONFIGS | ENCODERS if make_config(family, make_tokenizer()).model_type in CLASSIFIERS
]
RESPONSES = ["Thank you", "", "The answer is short, " * 4, "yes " * 9, "Friday at seven", "Z" * 60, "Z" * 300]
QUERY = (user("Hi"),)


@pytest.mark.parametrize("dtype", [None, "float32"], ids=["exact", "float32"])
@pytest.mark.parametrize("family", ALL)
async def test_it_scores_what_transformers_scores(family: str, dtype: str | None, tmp_path: Path) -> None:
    reward = HFReward(save_classifier(tmp_path, family), device="cpu", dtype=dtype)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    conversations = [reward.chat.conversation_ids((*QUERY, assistant(text))) for text in RESPONSES]
    lengths = sorted(map(len, conversations))
    assert lengths[1] < WINDOW < ORIGINAL < lengths[-2]
    found = await asyncio.gather(*(reward.score(QUERY, text, Scope("q", 0, "reward")) for text in RESPONSES))
    for score, ids in zip(found, conversations, strict=True):
        read = torch.tensor([reward.chat.cut_start(ids, max(0, len(ids) - reward.context))])
        with torch.inference_mode():
            expected = float(model(input_ids=read, attention_mask=torch.ones_like(read)).logits[0, 0])
        assert score.value == pytest.approx(expected, abs=2e-4)
