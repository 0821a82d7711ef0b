"""Heads of a model's own: only with its author trusted, and then its one number, alone or in a batch."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaModel

from tests.custom_code import save_gated_reward
from tests.models import HEAD, make_tokenizer
from tpo.errors import RewardRefused
from tpo.rewards.heads import raw_scores
from tpo.rewards.hf import HFReward
from tpo.types import Messages, Scope, assistant, user

SCOPE = Scope("q7", 1, "reward", 3)
QUERY: Messages = (user("Dear Anna, please come on Friday."),)
RESPONSES = ["Thank you", "The answer is short, " * 4, "", "Friday at seven"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gated_reward(tmp_path_factory.mktemp("gated"))


def by_hand(folder: Path, response: str) -> float:
    """The gate over the objectives at the last token, without the model's own code."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template([*QUERY, assistant(response)], return_dict=True, return_tensors="pt")
    weights = {name: weight.double() for name, weight in load_file(folder / "model.safetensors").items()}
    backbone = LlamaModel(LlamaConfig.from_pretrained(folder)).double().eval()
    backbone.load_state_dict(
        {n.removeprefix("model."): w for n, w in weights.items() if n.startswith("model.")}
    )
    with torch.inference_mode():
        last = backbone(ids["input_ids"]).last_hidden_state[0, -1]
        gate = torch.softmax(weights["gate.weight"] @ last, -1)
        return float(gate @ (weights["objectives.weight"] @ last))


def test_without_trust_it_is_refused_naming_the_flag(folder: Path) -> None:
    with pytest.raises(RewardRefused, match=r"code of its own.*--trust-remote-code") as refusal:
        HFReward(folder, device="cpu")
    assert "\n" not in str(refusal.value)


async def test_with_trust_its_score_is_taken_whatever_shares_the_batch(folder: Path) -> None:
    reward = HFReward(folder, device="cpu", trust_remote_code=True)
    scores = await asyncio.gather(*(reward.score(QUERY, text, SCOPE) for text in RESPONSES))
    assert [s.value for s in scores] == pytest.approx([by_hand(folder, text) for text in RESPONSES], abs=6e-5)
    alone = [(await reward.score(QUERY, text, SCOPE)).value for text in RESPONSES]
    assert [s.value for s in scores] == alone


def test_a_head_that_gives_several_numbers_is_refused_at_the_start(tmp_path: Path) -> None:
    save_gated_reward(tmp_path, result=" * rewards")
    with pytest.raises(RewardRefused, match=r"one number.*shape \(1, 3\) for 1"):
        HFReward(tmp_path, device="cpu", trust_remote_code=True)


async def test_a_head_that_looks_for_its_template_is_tried_on_conversations_in_it(tmp_path: Path) -> None:
    """ArmoRM's gate does, and fails where it does not find it."""
    head = make_tokenizer().convert_tokens_to_ids(HEAD)
    looks = f"[:, None][:, (input_ids == {head}).sum(-1).min().item() - 2]"  # every turn has one
    reward = HFReward(save_gated_reward(tmp_path, result=looks), device="cpu", trust_remote_code=True)
    score = await reward.score(QUERY, RESPONSES[0], SCOPE)
    assert score.value == pytest.approx(by_hand(tmp_path, RESPONSES[0]), abs=6e-5)


def test_code_that_fails_is_told_at_the_start(tmp_path: Path) -> None:
    save_gated_reward(tmp_path, result=".nonsense()")
    with pytest.raises(RewardRefused, match=r"own code failed on a first conversation \(AttributeError"):
        HFReward(tmp_path, device="cpu", trust_remote_code=True)


@pytest.mark.parametrize(
    "output",
    [
        SimpleNamespace(logits=torch.tensor([[1.0], [2.0]])),
        SimpleNamespace(score=torch.tensor([1.0, 2.0]), logits=torch.zeros(2, 19)),
        torch.tensor([[1.0], [2.0]]),
        (torch.tensor([1.0, 2.0]), None),
    ],
)
def test_the_number_is_found_under_each_name_that_heads_give_it(output: object) -> None:
    assert raw_scores(output, 2, "rm").tolist() == [1.0, 2.0]


@pytest.mark.parametrize("output", [SimpleNamespace(), (), SimpleNamespace(logits=torch.zeros(2, 3))])
def test_an_output_without_one_number_each_is_refused_by_name(output: object) -> None:
    with pytest.raises(RewardRefused, match="rm: a reward model gives each conversation one number"):
        raw_scores(output, 2, "rm")
