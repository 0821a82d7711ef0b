"""One server: what is asked, how its replies are read, and what is tried again."""

import asyncio

import pytest
from aiohttp.test_utils import unused_port

from tests.http.loopback import Answer, Loopback, VirtualTime, choices
from tests.openai_server import OpenAIServer
from tests.policies.asked import SCOPE, Served, drawn, error
from tpo.errors import PolicyError, PolicyRefused
from tpo.events import CallRetried, Event
from tpo.policies import OpenAIPolicy
from tpo.types import Completion, Usage
from tpo.types import Served as WrittenBy


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


async def test_copies_of_a_server_that_has_drawn_different_samples_are_believed() -> None:
    served = Served(choices("a", "b"), choices(LONG, LONG))
    assert [completion.text for completion in await served.draw(2, calls=2)] == [LONG, LONG]
    assert [n for n, _ in served.seeds] == [2, 2]


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
        policy = OpenAIPolicy(url, "m", listener=broken, clock=VirtualTime().clock)
        assert len(await drawn(policy)) == 1
        await policy.aclose()


async def test_a_check_asks_for_as_many_tokens_as_any_server_writes() -> None:
    served = Served(choices("a"))
    await served.check()
    assert served.loopback.bodies[0]["max_tokens"] == 16


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


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405])
async def test_one_odd_status_in_the_middle_of_a_run_is_tried_again(status: int) -> None:
    odd = error(status, "who are you?", Location="http://elsewhere")
    served = Served(choices("a"), odd, odd, choices("b"))
    (completion,) = await served.draw(calls=2)
    assert completion.text == "b"
    assert served.time.waits == [0.5, 1]


async def test_an_odd_status_that_stays_ends_the_run_after_a_while_in_its_own_words() -> None:
    served = Served(choices("a"), error(401, "revoked"))
    with pytest.raises(PolicyRefused, match=r"refused the API key: set TPO_API_KEY"):
        await served.draw(calls=2)
    assert 60 < sum(served.time.waits) < 100
