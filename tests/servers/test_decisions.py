"""A random Qwen3 behind a real vLLM: its decision endpoint against exact label probabilities in chat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models import save_decider, save_policy
from tests.servers.vllm import EAGER, Vllm
from tpo.http import HttpClient
from tpo.rewards.decisions.endpoint import Decision, DecisionServer
from tpo.rewards.decisions.label_server import LabelServer
from tpo.rewards.decisions.labels import LabelQuestion
from tpo.rewards.decisions.scoring import ScoringEndpoint
from tpo.rewards.decisions.tokens import token_ids
from tpo.rewards.judge.pairwise import PairwiseJudge
from tpo.rewards.rubric import RubricReward
from tpo.rewards.rubric.criteria import Criterion
from tpo.types import Query, Scope, user

pytestmark = pytest.mark.servers
CRITERIA = [
    "The response is polite.",
    "The response thanks Anna.",
    "The response names a day.",
    "The response is short.",
]
STATE = "Dear Anna, thank you for the book. See you on Friday at seven."
RUBRIC = (
    *(Criterion(text, text, weight) for text, weight in zip(CRITERIA, (3.0, -1.0, 2.0, 1.0), strict=True)),
    Criterion("length", "The response has the right length.", levels=("short", "fair", "long")),
)
MESSAGES = (user("Please thank Anna for the book."),)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vllm]:
    folder = tmp_path_factory.mktemp("decider")
    with Vllm(save_decider(folder / "model"), "decider", folder / "log", EAGER) as running:
        yield running


def as_the_endpoint_asks(text: str) -> LabelQuestion:
    """The endpoint's whole prompt for a yes/no question, as vLLM 0.32 writes it."""
    content = f"{STATE}\n\nQuestion: {text}\nyes\nno\nAnswer with yes or no only."
    return LabelQuestion((user(content),), ("yes", "no"))


async def test_the_endpoint_and_label_probabilities_agree_on_identical_prompts(server: Vllm) -> None:
    client = HttpClient(server.url)
    together, single = DecisionServer(client, None), LabelServer(client, None)
    try:
        endpoint = await together.decide(STATE, [Decision(text) for text in CRITERIA])
        chat = [await single.ask(as_the_endpoint_asks(text)) for text in CRITERIA]
    finally:
        await client.aclose()
    assert (together.way, single.way) == ("the decision endpoint", "exact label probabilities")
    for one, other in zip(endpoint, chat, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-3)
        assert sum(one.probabilities.values()) == pytest.approx(1.0)
        assert sum(other.probabilities.values()) == pytest.approx(1.0)
        assert one.mass == pytest.approx(other.mass, abs=1e-3)
    assert len({round(answer.probabilities["yes"], 3) for answer in chat}) == len(CRITERIA)


@pytest.mark.parametrize(
    "decision", [Decision(CRITERIA[0]), Decision(CRITERIA[3], ("short", "fair", "long"))]
)
async def test_the_scoring_endpoint_and_label_probabilities_agree(server: Vllm, decision: Decision) -> None:
    question = LabelQuestion((user(f"{STATE}\n\n{decision.prompt}"),), decision.labels)
    client = HttpClient(server.url)
    single, scoring = LabelServer(client, None), ScoringEndpoint(client)
    try:
        card = await single.card()
        ids = await token_ids(client, card.name, decision.labels)
        assert ids is not None
        chat = await single.ask(question)
        found = await scoring.next_token(
            card,
            question.messages,
            [one for one in ids if one is not None],
            template={"enable_thinking": False},
        )
    finally:
        await client.aclose()
    assert scoring.path == "/generative_scoring"
    assert found is not None
    assert sum(found.chances) == pytest.approx(chat.mass, abs=1e-3)
    shares = [chance / sum(found.chances) for chance in found.chances]
    assert shares == pytest.approx([chat.probabilities[label] for label in decision.labels], abs=1e-3)


async def test_a_rubric_is_answered_with_a_probability_for_every_criterion(server: Vllm) -> None:
    reward = RubricReward(server.url, RUBRIC)
    score = await reward.score(MESSAGES, STATE, Scope("q", 0, "reward", 0))
    again = await reward.score(MESSAGES, STATE, Scope("q", 0, "reward", 0))
    await reward.aclose()
    assert list(score.criteria) == [each.recorded_name for each in RUBRIC]
    assert all(0 < degree < 1 for degree in score.criteria.values())
    assert again.value == pytest.approx(score.value, abs=1e-3)
    assert score.tokens > 5 * 50


async def test_yes_and_no_swapped_shift_the_probability(server: Vllm) -> None:
    reward = RubricReward(server.url, RUBRIC)
    shifts = await reward.order_shifts(MESSAGES, STATE, Scope("q", 0, "reward", 0))
    again = await reward.order_shifts(MESSAGES, STATE, Scope("q", 0, "reward", 0))
    await reward.aclose()
    assert list(shifts) == CRITERIA
    assert shifts == pytest.approx(again, abs=1e-3)
    assert max(map(abs, shifts.values())) > 2e-3


async def test_a_long_conversation_is_cut_on_its_own_side(server: Vllm) -> None:
    reward = RubricReward(server.url, RUBRIC)
    long = (user("Please invite Anna to the party. " * 600),)
    score = await reward.score(long, STATE, Scope("q", 0, "reward", 0))
    await reward.aclose()
    assert score.truncated_tokens > 1000
    assert score.tokens <= 2048 * len(RUBRIC)


async def test_a_comparison_does_not_depend_on_the_order_given(server: Vllm) -> None:
    pairwise = PairwiseJudge(server.url)
    query = Query("q", MESSAGES)
    there = await pairwise.comparison(query, STATE, "No.")
    back = await pairwise.comparison(query, "No.", STATE)
    await pairwise.aclose()
    assert there.probability == pytest.approx(1 - back.probability, abs=1e-3)
    assert there.shift == pytest.approx(back.shift, abs=1e-3)


async def test_an_architecture_without_the_endpoint_is_asked_in_chat(tmp_path: Path) -> None:
    model = save_policy(
        tmp_path / "llama",
        hidden_size=64,
        head_dim=32,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
    )
    with Vllm(model, "llama", tmp_path / "log", EAGER) as running:
        client = HttpClient(running.url)
        server = DecisionServer(client, None)
        answers = await server.decide(STATE, [Decision("Is it polite?", ("1", "2"))])
        way = server.way
        await client.aclose()
    assert way == "exact label probabilities"
    assert sum(answers[0].probabilities.values()) == pytest.approx(1.0)
