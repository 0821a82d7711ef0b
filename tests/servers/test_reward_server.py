"""The tiny reward model behind a real vLLM server with the pooling runner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.vllm import POOLING, Vllm, tpo
from tpo import HFReward
from tpo.data import load_queries
from tpo.http import HttpClient
from tpo.http.address import root_address
from tpo.inprocess.chat import ChatTokenizer
from tpo.rewards.calibration import Example, probe_examples
from tpo.rewards.golden import Golden, check_golden, golden_scores
from tpo.rewards.misread_formats import misread_scores
from tpo.rewards.vllm import VLLMReward
from tpo.rewards.vllm.protocol import read_numbers
from tpo.tiny import examples_path, reward_path
from tpo.types import Messages, Scope, Score, assistant

pytestmark = pytest.mark.servers
LIMIT = 30
CONTEXT = 2048
"""What the server is started with."""
RESPONSES = ("Dear Anna, thank you so much! Warmly, Tom", "no no no no no", "See you on Friday at seven.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    log = tmp_path_factory.mktemp("vllm") / "reward.log"
    with Vllm(reward_path(), "tiny-reward", log, POOLING) as running:
        yield running


@pytest.fixture(scope="module")
def golden() -> list[Golden]:
    """What the same weights give in this process."""

    async def scores() -> list[Golden]:
        reward = HFReward(reward_path())
        try:
            return await golden_scores(reward, examples())
        finally:
            await reward.aclose()

    return asyncio.run(scores())


def examples() -> list[Example]:
    queries = load_queries(str(examples_path()), limit=LIMIT)
    return probe_examples() + [(query.messages, text) for query in queries for text in RESPONSES]


@pytest.mark.parametrize("tokenizer", [None, str(reward_path()), "none"])
async def test_served_scores_equal_those_in_this_process(
    server: Vllm, golden: list[Golden], tokenizer: str | None
) -> None:
    reward = VLLMReward(server.url, tokenizer=tokenizer)
    try:
        comparison = await check_golden(reward, golden)
    finally:
        await reward.aclose()
    assert comparison.fault == "none", str(comparison)
    assert comparison.largest <= 1e-3


async def test_a_score_does_not_depend_on_what_shares_its_request(server: Vllm, golden: list[Golden]) -> None:
    reward = VLLMReward(server.url)
    try:
        one_by_one = [
            (await reward.score(one.messages, one.response, Scope("q", 0, "reward", index))).value
            for index, one in enumerate(golden[:20])
        ]
    finally:
        await reward.aclose()
    assert one_by_one == pytest.approx([one.score for one in golden[:20]], abs=1e-3)


async def test_what_is_longer_than_the_context_loses_its_beginning_and_says_so(server: Vllm) -> None:
    messages = ({"role": "user", "content": "Please invite Anna to the party. " * 600},)
    scope = Scope("q", 0, "reward", 0)
    served, here = VLLMReward(server.url), HFReward(reward_path(), max_length=CONTEXT)
    try:
        there = await served.score(messages, RESPONSES[0], scope)  # type: ignore[arg-type] # a literal of one turn
        own = await here.score(messages, RESPONSES[0], scope)  # type: ignore[arg-type] # the same
    finally:
        await served.aclose()
        await here.aclose()
    assert there.truncated_tokens > 0
    assert (there.tokens, there.truncated_tokens) == (own.tokens, own.truncated_tokens)
    assert there.value == pytest.approx(own.value, abs=1e-3)


def test_a_run_with_a_served_reward(server: Vllm, tmp_path: Path) -> None:
    shared = ("run", str(examples_path()), "--limit", "3", "-d", "1", "-n", "2", "--quiet")
    done = tpo(*shared, "--reward", f"vllm:{server.url}", "--out", "served", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    both = ("--reward", "tiny", "--reward", f"vllm:{server.url}", "--combine", "lcb")
    done = tpo(*shared, *both, "--out", "both", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "both" / "trajectories.jsonl").read_text("utf-8")
    assert f'"vllm:{server.url}"' in text


class Careless:
    """Sends what a hasty client sends: a start token too many, or no word on activation."""

    def __init__(self, url: str, chat: ChatTokenizer, *, raw: bool) -> None:
        self.client = HttpClient(url, address=root_address)
        self.chat = chat
        self.raw = raw

    async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
        ids = self.chat.conversation_ids((*messages, assistant(response)))
        careless = [self.chat.start, *ids] if self.raw else ids
        body = {"model": "tiny-reward", "input": careless} | ({"use_activation": False} if self.raw else {})
        numbers = await self.client.request(
            "POST", "/classify", body, read=lambda reply: read_numbers(reply, 1)
        )
        return Score(numbers.values[0], tokens=numbers.tokens)


@pytest.mark.parametrize(("raw", "fault"), [(True, "start token"), (False, "sigmoid")])
async def test_a_careless_client_is_found_out(
    server: Vllm, golden: list[Golden], raw: bool, fault: str
) -> None:
    here = HFReward(reward_path())
    careless = Careless(server.url, here.chat, raw=raw)
    try:
        comparison = await check_golden(careless, golden, await misread_scores(here, golden))
    finally:
        await careless.client.aclose()
        await here.aclose()
    assert comparison.fault == fault, str(comparison)
