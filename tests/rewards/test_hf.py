"""HFReward: the raw logit of the right token, whatever shares the batch; nothing is cut in silence."""

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForSequenceClassification

from tests.models import EOT, make_tokenizer, save_policy, save_reward
from tpo.errors import ConfigError, RewardError, RewardRefused
from tpo.rewards.hf import HFReward
from tpo.types import Messages, Scope, assistant, system, user

SCOPE = Scope("q7", 1, "reward", 3)
QUERY: Messages = (system("Be kind."), user("Dear Anna, please come on Friday."))
RESPONSES = ["Thank you", "", "The answer is short, " * 4, "Z" * 60, "yes " * 9, "Friday at seven"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reward(tmp_path_factory.mktemp("reward"))


@pytest.fixture(scope="module")
def reward(folder: Path) -> HFReward:
    return HFReward(folder, device="cpu")


@functools.cache
def loaded(folder: Path) -> Any:
    model = LlamaForSequenceClassification.from_pretrained(folder, dtype=torch.float64).eval()
    return AutoTokenizer.from_pretrained(folder), model


def by_hand(folder: Path, messages: Messages, response: str) -> float:
    """The model card's way: one conversation at a time."""
    tokenizer, model = loaded(folder)
    text = tokenizer.apply_chat_template([*messages, assistant(response)], tokenize=False)
    ids = tokenizer(text.removeprefix(tokenizer.bos_token), return_tensors="pt").input_ids
    with torch.inference_mode():
        return float(model(ids).logits[0, 0])


async def scores(reward: HFReward, responses: list[str]) -> list[float]:
    results = await asyncio.gather(*(reward.score(QUERY, response, SCOPE) for response in responses))
    return [result.value for result in results]


async def test_a_score_is_the_raw_logit_as_the_model_card_computes_it(reward: HFReward, folder: Path) -> None:
    for response in RESPONSES:
        score = await reward.score(QUERY, response, SCOPE)
        assert score.value == pytest.approx(by_hand(folder, QUERY, response), abs=6e-5)


async def test_a_score_comes_of_all_digits_that_float32_has(reward: HFReward, folder: Path) -> None:
    responses = [f"{RESPONSES[at % len(RESPONSES)]} {at * at}" for at in range(120)]
    found = await scores(reward, responses)
    assert found == [round(value, 4) for value in found]
    assert found == pytest.approx([by_hand(folder, QUERY, text) for text in responses], abs=6e-5 + 5e-5)


async def test_a_score_does_not_depend_on_its_batch(reward: HFReward) -> None:
    alone = [(await reward.score(QUERY, response, SCOPE)).value for response in RESPONSES]
    assert await scores(reward, RESPONSES) == alone
    assert await scores(reward, RESPONSES[::-1]) == alone[::-1]


async def test_in_float32_it_depends_on_it_by_less_than_a_ten_thousandth(folder: Path) -> None:
    single = HFReward(folder, device="cpu", dtype="float32")
    alone = [(await single.score(QUERY, response, SCOPE)).value for response in RESPONSES]
    assert await scores(single, RESPONSES) == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("pad", [None, EOT, -1])
async def test_padding_never_moves_the_token_that_is_scored(tmp_path: Path, pad: str | int | None) -> None:
    """Without a padding token; with the one that every conversation ends with; with one that is no token."""
    tokenizer = make_tokenizer()
    pad_id = tokenizer.convert_tokens_to_ids(pad) if isinstance(pad, str) else pad
    folder = save_reward(tmp_path, tokenizer=tokenizer, pad_token_id=pad_id)
    together = await scores(HFReward(folder, device="cpu"), RESPONSES)
    assert together == pytest.approx([by_hand(folder, QUERY, text) for text in RESPONSES], abs=6e-5)


async def test_tokens_are_those_that_were_read(reward: HFReward, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([*QUERY, assistant("Thank you")], tokenize=False)
    score = await reward.score(QUERY, "Thank you", SCOPE)
    assert score.tokens == len(tokenizer(text, add_special_tokens=False).input_ids)
    assert score.truncated_tokens == 0


async def test_what_is_too_long_is_cut_from_the_prompts_beginning_and_says_so(reward: HFReward) -> None:
    long = (user("Z" * 300),)
    score = await reward.score(long, "Thank you", SCOPE)
    shifted = await reward.score((user("Z" * 310),), "Thank you", SCOPE)
    assert (score.tokens, shifted.tokens) == (256, 256)
    assert shifted.truncated_tokens == score.truncated_tokens + 10
    assert shifted.value == score.value  # what was read is the same: the start token, and the end
    assert (await reward.score(long, "Friday", SCOPE)).value != score.value


async def test_max_length_reads_less(folder: Path) -> None:
    score = await HFReward(folder, device="cpu", max_length=20).score(QUERY, "Thank you", SCOPE)
    assert score.tokens == 20
    assert score.truncated_tokens > 0


async def test_a_model_that_gives_no_number_fails_that_response_by_name(tmp_path: Path) -> None:
    folder = save_reward(tmp_path)
    model = LlamaForSequenceClassification.from_pretrained(folder)
    model.score.weight.data.fill_(float("nan"))
    model.save_pretrained(folder)
    with pytest.raises(RewardError, match=r"query 'q7', response 1\.3: .* must return a finite number"):
        await HFReward(folder, device="cpu").score(QUERY, "Thank you", SCOPE)


def test_more_than_one_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match="3 labels"):
        HFReward(save_reward(tmp_path, num_labels=3), device="cpu")


def test_a_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match="not a trained reward model"):
        HFReward(save_policy(tmp_path), device="cpu")


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match="no chat template"):
        HFReward(save_reward(tmp_path, tokenizer=make_tokenizer(template=None)), device="cpu")


@pytest.mark.parametrize("option", ["max_length", "max_batch_tokens"])
def test_a_limit_below_one_token_is_refused(folder: Path, option: str) -> None:
    limits: dict[str, Any] = {option: 0}
    with pytest.raises(ConfigError, match="at least 1"):
        HFReward(folder, device="cpu", **limits)


def test_a_budget_below_one_sequence_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="max_batch_tokens is 64, less than one sequence of max_length 128"):
        HFReward(folder, device="cpu", max_length=128, max_batch_tokens=64)


async def test_a_closed_reward_scores_no_more(folder: Path) -> None:
    reward = HFReward(folder, device="cpu")
    await reward.aclose()
    with pytest.raises(RewardError, match="closed"):
        await reward.score(QUERY, "Thank you", SCOPE)
