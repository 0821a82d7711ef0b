"""Each row of the table of known reward models, on small random weights in its own form."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from aiohttp import web
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, LlamaForCausalLM

from tests.families import make_config
from tests.known_models import LLAMA_TURNS, known_tokenizer, save_known
from tests.known_models_table import PAGE, tables
from tests.serving import LoopbackServer
from tpo.doctor.known_model import layout_fault
from tpo.errors import RewardRefused
from tpo.rewards.function import FunctionReward
from tpo.rewards.hf import HFReward
from tpo.rewards.known_models import KNOWN_MODELS, KnownModel, find_known
from tpo.rewards.sglang import SGLangReward
from tpo.types import Messages, Scope, assistant, user

SCOPE = Scope("q", 0, "reward")
QUERY: Messages = (user("Dear Anna, please come on Friday."),)
RESPONSES = ["Thank you", "The answer is short, " * 4, "", "Friday at seven"]
CLASSIFIERS = [row for row in KNOWN_MODELS if row.loading == "classifier"]
OWN_CODE = [row for row in KNOWN_MODELS if row.loading == "own code"]
SKYWORK, QWEN, *_ = KNOWN_MODELS


def named(row: KnownModel) -> str:
    return row.name


def as_the_cards_do(folder: Path, response: str) -> float:
    """Score as the cards' examples do: the template's text without its start token, then the tokenizer's."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trust = {"trust_remote_code": True}
    model = AutoModelForSequenceClassification.from_pretrained(folder, **trust).eval()
    text = tokenizer.apply_chat_template([*QUERY, assistant(response)], tokenize=False)
    if tokenizer.bos_token is not None:
        text = text.removeprefix(tokenizer.bos_token)
    with torch.inference_mode():
        output = model(**tokenizer(text, return_tensors="pt"))
    if isinstance(output, torch.Tensor):
        return float(output[0])
    return float(output.score[0] if "score" in output else output.logits[0][0])


async def scores_of(reward: Any) -> list[float]:
    found = await asyncio.gather(*(reward.score(QUERY, text, SCOPE) for text in RESPONSES))
    return [score.value for score in found]


@pytest.mark.parametrize("row", [*CLASSIFIERS, *OWN_CODE], ids=named)
async def test_a_row_scores_as_its_card_does(row: KnownModel, tmp_path: Path) -> None:
    reward = HFReward(save_known(tmp_path, row), device="cpu", trust_remote_code=row.loading == "own code")
    expected = [as_the_cards_do(tmp_path, text) for text in RESPONSES]
    assert await scores_of(reward) == pytest.approx(expected, abs=2e-4)
    assert max(expected) - min(expected) > 0.01
    assert layout_fault(row, reward.chat) is None
    await reward.aclose()


@pytest.mark.parametrize("row", OWN_CODE, ids=named)
def test_code_of_a_models_own_needs_the_flag(row: KnownModel, tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match="--trust-remote-code"):
        HFReward(save_known(tmp_path, row), device="cpu")


@pytest.mark.parametrize(
    ("name", "trust", "reason"),
    [
        ("INF-ORM", False, r"lack the weights score\.weight"),
        ("INF-ORM", True, r"lack the weights score\.weight"),
        ("InternLM2", False, "--trust-remote-code"),
        ("InternLM2", True, "cannot be loaded"),
    ],
)
def test_what_hf_cannot_load_is_refused(name: str, trust: bool, reason: str, tmp_path: Path) -> None:
    row = next(row for row in KNOWN_MODELS if row.name == name)
    with pytest.raises(RewardRefused, match=reason):
        HFReward(save_known(tmp_path, row), device="cpu", trust_remote_code=trust)


def example(name: str, **replaced: str) -> Any:
    """The function ``score`` of the page's example *name*, with texts replaced."""
    source = re.search(rf"```python\n# {name}\.py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert source is not None
    text = source[1]
    for old, new in replaced.items():
        text, count = re.subn(rf"^{old} = .*$", f"{old} = {new!r}", text, flags=re.MULTILINE)
        assert count == 1
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - the page's own example
    return names["score"]


async def test_the_example_for_internlm2_gives_what_its_method_gives(tmp_path: Path) -> None:
    row = next(row for row in KNOWN_MODELS if row.name == "InternLM2")
    folder = save_known(tmp_path, row)
    score = example("internlm2", MODEL=str(folder), DEVICE="cpu")
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    expected = [model.get_score(tokenizer, [*QUERY, assistant(text)]) for text in RESPONSES]
    assert await scores_of(FunctionReward(score)) == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.01


async def test_the_example_for_principles_gives_the_difference_of_log_probabilities(tmp_path: Path) -> None:
    tokenizer = known_tokenizer(SKYWORK)
    torch.manual_seed(9)
    model = LlamaForCausalLM(make_config("llama", tokenizer)).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    question = "Is it kind? Yes or No?"
    score = example("principle", MODEL=str(tmp_path), DEVICE="cpu", QUESTION=question)
    yes, no = tokenizer.convert_tokens_to_ids(["Yes", "No"])
    assert len({yes, no, tokenizer.unk_token_id}) == 3
    expected = []
    for text in RESPONSES:
        turns = [*QUERY, assistant(text), user(question)]
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        with torch.inference_mode():
            chances = torch.log_softmax(model(input_ids=ids).logits[0, -1], -1)
        expected.append(float(chances[yes] - chances[no]))
    assert await scores_of(FunctionReward(score)) == pytest.approx(expected, abs=1e-4)


class SGLangServer(LoopbackServer):
    """SGLang's ``/classify`` with the weights in *folder*: token ids in, the head's output back."""

    path: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        self.folder = folder

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/classify", self._classify)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "rm", "root": str(self.folder), "max_model_len": 512}]})

    async def _classify(self, request: web.Request) -> web.Response:
        inputs = (await request.json())["input_ids"]
        with torch.inference_mode():
            rows = [self.model(input_ids=torch.tensor([ids])).logits[0] for ids in inputs]
        return web.json_response([{"embedding": row.tolist(), "meta_info": {}} for row in rows])


@pytest.mark.parametrize("row", [SKYWORK, QWEN], ids=named)
async def test_sglang_is_sent_the_tokens_of_the_cards(row: KnownModel, tmp_path: Path) -> None:
    folder = save_known(tmp_path, row)
    with SGLangServer(folder) as server:
        reward = SGLangReward(server.url)
        found = await scores_of(reward)
        await reward.aclose()
    assert found == pytest.approx([as_the_cards_do(folder, text) for text in RESPONSES], abs=2e-4)


def test_another_template_and_missing_start_tokens_are_told(tmp_path: Path) -> None:
    opened = LLAMA_TURNS.replace("<|eot_id|>", "<|end_header_id|>")
    reward = HFReward(save_known(tmp_path / "a", SKYWORK, known_tokenizer(SKYWORK, opened)), device="cpu")
    assert layout_fault(SKYWORK, reward.chat) == (
        "the last special token of a conversation is <|end_header_id|> instead of <|eot_id|>"
    )
    assert layout_fault(QWEN, reward.chat) == "a conversation has 1 start tokens instead of 0"
    doubled = known_tokenizer(SKYWORK, "{{ bos_token }}" + LLAMA_TURNS)
    reward = HFReward(save_known(tmp_path / "b", SKYWORK, doubled), device="cpu")
    assert layout_fault(SKYWORK, reward.chat) == "a conversation has 2 start tokens instead of 1"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Skywork/Skywork-Reward-V2-Qwen3-4B", "Skywork-Reward-V2 (Qwen3)"),
        ("/models/armorm-llama3-8b-v0.1/", "ArmoRM"),
        ("internlm2-1_8b-reward", "InternLM2"),
        ("ORG/another", None),
        ("", None),
    ],
)
def test_a_row_is_found_by_hub_id_or_directory(name: str, found: str | None) -> None:
    row = find_known(name)
    assert (row and row.name) == found


def test_every_row_names_its_sources_and_ids_once() -> None:
    ids = [each for row in KNOWN_MODELS for each in row.ids]
    assert len(ids) == len(set(ids))
    assert all(row.sources and row.unverified and row.licence and row.ids for row in KNOWN_MODELS)
    assert all(row.vllm or row.vllm_note for row in KNOWN_MODELS)


def test_the_page_holds_the_table_that_the_rows_make() -> None:
    assert tables() in PAGE.read_text("utf-8"), "python -m tests.known_models_table writes it"
