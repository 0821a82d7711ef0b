import asyncio
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest
from aiohttp.test_utils import unused_port

from tests.http.loopback import Answer, Loopback, VirtualTime, choices
from tests.openai_server import OpenAIServer
from tpo.errors import PolicyError, PolicyRefused
from tpo.events import CallRetried, Event
from tpo.policies import OpenAIPolicy
from tpo.types import Completion, Sampling, Scope, Usage, user
from tpo.types import Served as WrittenBy

SCOPE = Scope("q7", 1, "update")


async def drawn(policy: OpenAIPolicy, n: int = 1, **sampling: Any) -> list[Completion]:
    values = Sampling(n=n, seed=100, **sampling)
    completions = [c async for c in policy.sample((user("hi"),), values, SCOPE)]
    return sorted(completions, key=lambda c: c.index)


class Served:
    """What a policy does against *answers*."""

    def __init__(self, *answers: Answer, models: Answer | None = None) -> None:
        self.loopback = Loopback(*answers, models=models)
        self.time = VirtualTime()
        self.events: list[Event] = []

    async def draw(self, n: int = 1, calls: int = 1, model: str | None = "m", **sampling: Any) -> Any:
        async with self.loopback.up() as url:
            policy = self._policy(url, model)
            try:
                return [await drawn(policy, n, **sampling) for _ in range(calls)][-1]
            finally:
                await policy.aclose()

    async def check(self, model: str | None = "m") -> None:
        async with self.loopback.up() as url:
            policy = self._policy(url, model)
            try:
                await policy.check()
            finally:
                await policy.aclose()

    def _policy(self, url: str, model: str | None) -> OpenAIPolicy:
        return OpenAIPolicy(url, model, "sk-hidden", listener=self.events.append, timekeeper=self.time.keeper)

    @property
    def seeds(self) -> list[tuple[int, int]]:
        """What each request asked for: n and seed."""
        return [(body.get("n", 1), body["seed"]) for body in self.loopback.bodies]


def error(status: int, message: str, **headers: str) -> Answer:
    return Answer({"error": {"message": message}}, status, headers)


async def test_one_request_brings_all_samples() -> None:
    served = Served(choices("a", "b", "c", prompt_tokens=5, completion_tokens=6))
    completions = await served.draw(3)
    assert [c.text for c in completions] == ["a", "b", "c"]
    assert completions[0].usage == Usage(1, 5, 0, 6)
    assert served.seeds == [(3, 100)]
    assert served.loopback.asked[-1].headers["Authorization"] == "Bearer sk-hidden"


async def test_a_server_that_ignores_n_is_topped_up_and_remembered() -> None:
    served = Served(choices("a"))
    completions = await served.draw(3, calls=2)
    assert [c.index for c in completions] == [0, 1, 2]
    assert [c.usage.calls for c in completions] == [1, 1, 1]
    assert served.seeds[0] == (3, 100)
    assert sorted(served.seeds[1:3]) == [(1, 101), (1, 102)]
    assert sorted(served.seeds[3:]) == [(1, 100), (1, 101), (1, 102)]


async def test_fewer_choices_than_asked_are_topped_up() -> None:
    served = Served(choices("a", "b", "c"), choices("d"))
    assert [c.text for c in await served.draw(4)] == ["a", "b", "c", "d"]
    assert served.seeds == [(4, 100), (1, 103)]


async def test_a_server_that_refuses_n_is_asked_singly() -> None:
    served = Served(error(400, "n must be 1"), choices("a"))
    assert len(await served.draw(2)) == 2
    assert served.seeds == [(2, 100), (1, 100), (1, 101)]


LONG = "The very same words, and so many of them that chance cannot have done it."


async def test_a_server_that_draws_all_choices_with_one_seed_is_asked_singly_from_then_on() -> None:
    """As SGLang's deterministic inference does."""
    served = Served(choices(LONG, LONG, LONG), choices("b"), choices("c"), choices("d"))
    first = await served.draw(3)
    assert (first[0].text, {c.text for c in first[1:]}) == (LONG, {"b", "c"})
    assert served.seeds[0] == (3, 100)
    assert sorted(served.seeds[1:]) == [(1, 101), (1, 102)]
    again = Served(choices(LONG, LONG), choices("b"))
    await again.draw(2, calls=2)
    assert [n for n, _ in again.seeds] == [2, 1, 1, 1]


async def test_a_model_that_is_sure_of_its_long_answer_goes_on_with_one_request() -> None:
    served = Served(choices(LONG, LONG), choices(LONG), choices(LONG, LONG), choices(LONG))
    await served.draw(2, calls=2)
    assert [n for n, _ in served.seeds] == [2, 1, 2, 1]
    short = Served(choices("Yes.", "Yes."))
    await short.draw(2)
    assert [n for n, _ in short.seeds] == [2]


async def test_several_greedy_samples_are_asked_for_singly() -> None:
    served = Served(choices("a"))
    assert len(await served.draw(2, temperature=0.0)) == 2
    assert sorted(served.seeds) == [(1, 100), (1, 101)]


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "engine dead"),
        error(503, "loading"),
        error(408, "slow"),
        Answer(cut=True),
        Answer('{"choices": [{"mess'),
        Answer("<html>"),
        Answer({"choices": []}),
        Answer({"choices": [{"index": 0}]}),
        Answer({"error": {"message": "later", "code": 503}}),
    ],
    ids=["500", "503", "408", "cut", "half JSON", "no JSON", "no choices", "no message", "error in 200"],
)
async def test_what_passes_is_tried_again_and_announced(fault: Answer) -> None:
    served = Served(fault, fault, choices("a"))
    assert [c.text for c in await served.draw()] == ["a"]
    assert served.time.waits == [0.5, 1]
    assert [(e.scope, e.wait) for e in served.events if isinstance(e, CallRetried)] == [
        (SCOPE, 0.5),
        (SCOPE, 1),
    ]


async def test_a_server_that_says_when_to_come_back_is_believed() -> None:
    served = Served(error(429, "busy", **{"Retry-After": "7"}), choices("a"))
    await served.draw()
    assert served.time.waits == [7.5]


async def test_a_call_given_up_says_why_where_and_after_how_many_tries() -> None:
    served = Served(error(500, "engine dead"))
    expected = r"query 'q7', update of step 1: .* 500: engine dead \(given up after \d+ tries\)"
    with pytest.raises(PolicyError, match=expected) as caught:
        await served.draw()
    assert not caught.value.fatal
    assert sum(served.time.waits) <= 300


async def test_a_refused_request_fails_at_once_in_the_servers_words_without_the_key() -> None:
    served = Served(error(400, "prompt is too long, says sk-hidden"))
    with pytest.raises(PolicyError, match="prompt is too long") as caught:
        await served.draw(3)
    assert "sk-hidden" not in str(caught.value)
    assert not caught.value.fatal
    assert served.time.waits == []


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_ends_the_run_and_is_not_shown(status: int) -> None:
    served = Served(error(status, "Incorrect key sk-hidden"))
    with pytest.raises(PolicyRefused, match="refused the API key: set TPO_API_KEY") as caught:
        await served.draw()
    assert "sk-hidden" not in str(caught.value)


async def test_an_unknown_model_ends_the_run_and_names_those_there_are() -> None:
    served = Served(error(404, "no such model"), models=Answer({"data": [{"id": "x"}, {"id": "y"}]}))
    with pytest.raises(PolicyRefused, match="has no model 'm'; it serves 'x', 'y'"):
        await served.draw()


async def test_a_server_of_another_kind_is_told_as_such() -> None:
    served = Served(Answer("nothing here", 404), models=Answer("nothing here", 404))
    for model in ("m", None):
        with pytest.raises(PolicyRefused, match="nothing here; is that the base URL"):
            await served.draw(model=model)


async def test_the_only_model_is_taken_unasked_and_asked_for_once() -> None:
    served = Served(choices("a"))
    await served.draw(model=None, calls=2)
    assert [asked.path for asked in served.loopback.asked].count("/v1/models") == 1
    assert {body["model"] for body in served.loopback.bodies} == {"only"}


@pytest.mark.parametrize(
    ("names", "expected"), [(["x", "y"], "serves 'x', 'y': name one"), ([], "lists no model: name one")]
)
async def test_several_models_or_none_ask_for_a_name(names: list[str], expected: str) -> None:
    served = Served(choices("a"), models=Answer({"data": [{"id": name} for name in names]}))
    with pytest.raises(PolicyRefused, match=expected):
        await served.draw(model=None)


async def test_a_server_that_is_down_ends_the_run_at_once() -> None:
    policy = OpenAIPolicy(f"http://127.0.0.1:{unused_port()}", "m")
    with pytest.raises(PolicyRefused, match=r"no server answers at .*/v1: Connection refused"):
        await drawn(policy)
    await policy.aclose()


def test_synchronous_use_starts_a_loop_a_call() -> None:
    with OpenAIServer() as server:
        policy = OpenAIPolicy(server.url)
        for _ in range(2):
            assert len(asyncio.run(drawn(policy, 2))) == 2


async def test_null_content_and_reasoning_are_read() -> None:
    message = {"content": None, "reasoning_content": "thought"}
    served = Served(Answer({"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}))
    (completion,) = await served.draw()
    assert completion.served is not None
    assert completion == Completion(0, "", "length", Usage(calls=1), "thought", completion.served)


async def test_a_listener_that_fails_does_not_end_the_call() -> None:
    def broken(event: Event) -> None:
        raise ValueError

    async with Loopback(error(500, ""), choices("a")).up() as url:
        policy = OpenAIPolicy(url, "m", listener=broken, timekeeper=VirtualTime().keeper)
        assert len(await drawn(policy)) == 1
        await policy.aclose()


async def test_a_check_asks_for_one_token() -> None:
    served = Served(choices("a"))
    await served.check()
    assert served.loopback.bodies[0]["max_tokens"] == 1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(401, ""), "refused the API key"),
        (error(404, ""), "has no model 'm'; it serves 'only'"),
        (error(400, "top_k is unknown"), "top_k is unknown"),
        (error(503, "loading"), "loading"),
    ],
)
async def test_a_check_says_why_a_run_would_not_work(fault: Answer, expected: str) -> None:
    served = Served(fault)
    with pytest.raises(PolicyError, match=expected):
        await served.check()
    assert sum(served.time.waits) <= 10


async def test_a_limit_under_its_other_name_is_found_out_once() -> None:
    refusal = error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    served = Served(refusal, choices("a"))
    await served.draw(calls=2, max_tokens=9)
    limits = [(b.get("max_tokens"), b.get("max_completion_tokens")) for b in served.loopback.bodies]
    assert limits == [(9, None), (None, 9), (None, 9)]
    assert served.time.waits == []


async def test_each_completion_tells_who_wrote_it() -> None:
    async with Loopback(choices("a", "b")).up() as url:
        policy = OpenAIPolicy(url, "m")
        assert [c.served for c in await drawn(policy, 2)] == [WrittenBy(url)] * 2
        await policy.aclose()


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
            PolicyError, match=r"query 'q7', sample of step 0: its prompt takes .* of the 100 that"
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
    with pytest.raises(PolicyError, match="maximum context length is 1000 tokens"):
        await Served(refusal).draw(max_tokens=2048)


async def test_llama_cpp_tells_its_context_in_its_list() -> None:
    models = Answer({"data": [{"id": "m", "meta": {"n_ctx": 1000, "n_ctx_train": 131072}}]})
    served = Served(choices("a"), models=models)
    await served.draw(max_tokens=2048)
    assert 900 < served.loopback.bodies[0]["max_tokens"] < 1000


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


class Several:
    """Three scripted servers, some of which are down, and the time in which they are asked."""

    def __init__(self, *answers: Answer) -> None:
        self.loopbacks = [Loopback(answer) for answer in answers]
        self.time = VirtualTime()
        self.events: list[Event] = []

    async def __aenter__(self) -> Self:
        self.stack = AsyncExitStack()
        self.urls = [await self.stack.enter_async_context(one.up()) for one in self.loopbacks]
        self.policy = OpenAIPolicy(self.urls, "m", listener=self.events.append, timekeeper=self.time.keeper)
        self.stack.push_async_callback(self.policy.aclose)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def home(self, query: str) -> str:
        """Who answers *query*."""
        scope = Scope(query, 0, "sample")
        completions = [c async for c in self.policy.sample((user("hi"),), Sampling(), scope)]
        assert completions[0].served is not None
        return completions[0].served.by


async def test_a_query_stays_with_its_server_and_queries_are_spread() -> None:
    async with Several(choices("a"), choices("b"), choices("c")) as several:
        homes = {f"q{i}": await several.home(f"q{i}") for i in range(30)}
        assert set(homes.values()) == set(several.urls)
        assert {query: await several.home(query) for query in homes} == homes


async def test_what_one_server_fails_at_another_does_at_once_and_that_is_heard() -> None:
    async with Several(choices("a"), error(500, "engine dead"), choices("c")) as several:
        homes = {await several.home(f"q{i}") for i in range(12)}
        assert homes == {several.urls[0], several.urls[2]}
        assert several.time.waits == []
        heard = [event for event in several.events if isinstance(event, CallRetried)]
        assert heard
        assert all("engine dead" in event.reason and event.wait == 0 for event in heard)


async def test_a_check_starts_without_a_server_that_is_down_and_not_without_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Loopback(choices("a")).up() as up:
        down = f"http://127.0.0.1:{unused_port()}/v1"
        policy = OpenAIPolicy([down, up], timekeeper=VirtualTime().keeper)
        await policy.check()
        assert f"no server answers at {down}" in caplog.text
        assert "the run starts without it" in caplog.text
        await policy.aclose()
    policy = OpenAIPolicy([down, up], "m", timekeeper=VirtualTime().keeper)
    with pytest.raises(PolicyError, match="no server answers"):
        await policy.check()
    await policy.aclose()


async def test_a_check_of_several_names_the_one_without_the_model() -> None:
    async with (
        Loopback(choices("a"), models=Answer({"data": [{"id": "m"}]})).up() as good,
        Loopback(error(404, "no model"), models=Answer({"data": [{"id": "x"}]})).up() as other,
    ):
        policy = OpenAIPolicy([good, other], "m")
        with pytest.raises(PolicyRefused, match=f"{other} has no model 'm'; it serves 'x'"):
            await policy.check()
        await policy.aclose()
