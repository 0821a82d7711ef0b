"""Calls of real client packages to an endpoint: ``python client_calls.py CLIENT URL``.

Runs in an environment of its own, which holds the packages (``make clients``); each check is an assertion.
The endpoint's policy answers ``the best`` after one step, and its key is ``secret``.
"""
# The packages are not in the environment that is checked.
# mypy: ignore-errors

import asyncio
import sys
from collections.abc import Callable

KEY = "secret"
TURNS = [{"role": "user", "content": "Why?"}]


def openai(url: str) -> None:
    """The official client: chat completions and responses, sync and async, streaming and not."""
    from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key=KEY)
    assert "m" in [model.id for model in client.models.list()]
    extra = {"tpo": {"max_iterations": 1}}
    reply = client.chat.completions.create(model="m", messages=TURNS, seed=1, extra_body=extra)
    assert reply.choices[0].message.content == "the best"
    assert reply.usage.total_tokens > 0
    assert reply.model_extra["tpo"]["rewards"] == [8.0]
    chunks = list(
        client.chat.completions.create(
            model="m", messages=TURNS, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "the best"
    assert chunks[-1].usage.total_tokens > 0
    with client.chat.completions.stream(model="m", messages=TURNS) as stream:
        assert stream.get_final_completion().choices[0].message.content == "the best"
    assert client.responses.create(model="m", input="Why?").output_text == "the best"
    with client.responses.stream(model="m", input="Why?") as stream:
        assert stream.get_final_response().output_text == "the best"
    for error, call in (
        (NotFoundError, lambda: client.chat.completions.create(model="x", messages=TURNS)),
        (BadRequestError, lambda: client.chat.completions.create(model="m", messages=TURNS, n=99)),
        (AuthenticationError, OpenAI(base_url=f"{url}/v1", api_key="no").models.list),
    ):
        _raises(error, call)

    async def asynchronous() -> None:
        client = AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY)
        reply = await client.chat.completions.create(model="m@bon-2", messages=TURNS)
        assert reply.choices[0].message.content == "poor"
        stream = await client.chat.completions.create(model="m", messages=TURNS, stream=True)
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "the best"

    asyncio.run(asynchronous())


def anthropic(url: str) -> None:
    """The official client: messages, sync and async, streaming and not."""
    from anthropic import Anthropic, AsyncAnthropic, BadRequestError, NotFoundError

    client = Anthropic(base_url=url, api_key=KEY)
    asked = {"model": "m", "max_tokens": 100, "messages": TURNS, "system": "Be brief."}
    reply = client.messages.create(**asked)
    assert (reply.content[0].text, reply.stop_reason) == ("the best", "end_turn")
    assert reply.usage.output_tokens > 0
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == "the best"
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.usage.output_tokens > 0
    _raises(NotFoundError, lambda: client.messages.create(**(asked | {"model": "x"})))
    _raises(BadRequestError, lambda: client.messages.create(**(asked | {"tools": [{}]})))

    async def asynchronous() -> None:
        client = AsyncAnthropic(base_url=url, api_key=KEY)
        assert (await client.messages.create(**asked)).content[0].text == "the best"
        async with client.messages.stream(**asked) as stream:
            assert await stream.get_final_text() == "the best"

    asyncio.run(asynchronous())


def langchain(url: str) -> None:
    """LangChain's ChatOpenAI, sync and async, streaming and not."""
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", base_url=f"{url}/v1", api_key=KEY)
    reply = model.invoke("Why?")
    assert reply.content == "the best"
    assert reply.usage_metadata["total_tokens"] > 0
    assert "".join(str(chunk.content) for chunk in model.stream("Why?")) == "the best"
    assert asyncio.run(model.ainvoke("Why?")).content == "the best"


def litellm(url: str) -> None:
    """LiteLLM as a client, sync and async, streaming and not."""
    import litellm

    asked = {"model": "openai/m", "messages": TURNS, "api_base": f"{url}/v1", "api_key": KEY}
    reply = litellm.completion(**asked)
    assert reply.choices[0].message.content == "the best"
    assert reply.usage.total_tokens > 0
    chunks = list(litellm.completion(**asked, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "the best"
    assert asyncio.run(litellm.acompletion(**asked)).choices[0].message.content == "the best"


def _raises(error: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__} was raised")


if __name__ == "__main__":
    {"openai": openai, "anthropic": anthropic, "langchain": langchain, "litellm": litellm}[sys.argv[1]](
        sys.argv[2]
    )
    print("ok")  # noqa: T201 - what the test reads
