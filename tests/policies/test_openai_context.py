"""A server's context: calls are made to fit it, and what does not fit is told before it is sent."""

import pytest

from tests.http.loopback import Answer, Loopback, choices
from tests.policies.asked import Served, drawn, error
from tpo.errors import PromptTooLong
from tpo.policies import OpenAIPolicy
from tpo.types import Sampling, Scope, user
from tpo.types import Served as WrittenBy


def context(length: int) -> Answer:
    return Answer({"data": [{"id": "m", "context_length": length}]})


async def test_a_replys_limit_is_lowered_to_what_the_prompt_leaves() -> None:
    served = Served(choices("a"), models=context(1000))
    (completion,) = await served.draw(max_tokens=2048)
    sent = served.loopback.bodies[0]["max_tokens"]
    assert 900 < sent < 1000
    assert completion.served is not None
    assert completion.served.max_tokens == sent


async def test_a_limit_of_the_users_own_is_left_alone() -> None:
    async with Loopback(choices("a"), models=context(1000)).up() as url:
        loopback_extra = {"max_tokens": None, "max_completion_tokens": 5000}
        policy = OpenAIPolicy(url, "m", extra=loopback_extra)
        (completion,) = await drawn(policy)
        assert completion.served == WrittenBy(url)
        await policy.aclose()


async def test_a_query_longer_than_the_context_fails_in_one_sentence_before_it_is_sent() -> None:
    served = Served(choices("a"), models=context(100))
    async with served.loopback.up() as url:
        policy = OpenAIPolicy(url, "m")
        with pytest.raises(
            PromptTooLong, match=r"query 'q7', sample of step 0: its prompt takes .* of the 100 that"
        ):
            await anext(policy.sample((user("hi " * 900),), Sampling(), Scope("q7", 0, "sample")))
        await policy.aclose()
    assert served.loopback.bodies == []


@pytest.mark.parametrize(
    "refusal",
    [
        error(400, "This model's maximum context length is 1,000 tokens. However, you requested 2049 tokens"),
        error(
            400, "request (2049 tokens) exceeds the available context size (1000 tokens), try increasing it"
        ),
        Answer({"error": {"code": 400, "message": "the request exceeds it", "n_ctx": 1000}}, 400),
    ],
)
async def test_a_context_that_is_told_by_a_refusal_is_kept_to_from_then_on(refusal: Answer) -> None:
    served = Served(refusal, choices("a"))
    for completion in await served.draw(calls=2, max_tokens=2048):
        assert completion.served is not None
        assert completion.served.max_tokens is not None
    sent = [body["max_tokens"] for body in served.loopback.bodies]
    assert sent[0] == 2048
    assert len(sent) == 3
    assert all(900 < limit < 1000 for limit in sent[1:])


async def test_a_prompt_that_the_server_still_refuses_fails_in_its_words() -> None:
    refusal = error(400, "This model's maximum context length is 1000 tokens.")
    with pytest.raises(PromptTooLong, match="maximum context length is 1000 tokens"):
        await Served(refusal).draw(max_tokens=2048)


async def test_llama_cpp_tells_its_context_in_its_list_and_counts_text() -> None:
    models = Answer({"data": [{"id": "m", "meta": {"n_ctx": 1000, "n_ctx_train": 131072}}]})
    no_content, counted = Answer({"tokens": []}), Answer({"tokens": [7] * 30})
    served = Served(no_content, counted, choices("a"), models=models)
    await served.draw(max_tokens=2048)
    assert [asked.path for asked in served.loopback.asked][1:3] == ["/tokenize", "/tokenize"]
    assert served.loopback.bodies[-1]["max_tokens"] == 1000 - 30 - 16


async def test_tokens_are_counted_by_the_server_where_it_can() -> None:
    models = Answer({"data": [{"id": "m", "max_model_len": 500}]})
    served = Served(Answer({"count": 300}), choices("a"), models=models)
    (completion,) = await served.draw(max_tokens=2048)
    assert [asked.path for asked in served.loopback.asked] == [
        "/v1/models",
        "/tokenize",
        "/v1/chat/completions",
    ]
    assert completion.served is not None
    assert completion.served.max_tokens == 200
