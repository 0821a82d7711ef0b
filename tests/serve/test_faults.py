"""Many clients at once, some of which leave, while the policy restarts and the reward is slow."""

import asyncio

from tests.openai_server import OpenAIServer
from tests.serve.serving import CHAT, asked, served, until
from tpo.http import RetryPolicy
from tpo.policies.openai import OpenAIPolicy
from tpo.rewards.scripted import RewardCall, ScriptedReward

CLIENTS = 40


async def test_clients_leave_the_policy_restarts_and_nothing_leaks() -> None:
    """Every tenth client leaves; the others are served; no task, place or upstream call is left over."""
    server = OpenAIServer()
    url = await server.start()
    scoring = 0
    restarted = asyncio.Event()

    async def slowly(_: RewardCall) -> None:
        nonlocal scoring
        scoring += 1
        try:
            await restarted.wait()
        finally:
            scoring -= 1

    policy = OpenAIPolicy(url, "scripted", retry=RetryPolicy(initial=0.01, longest=0.01, timeout=300.0))
    async with served(policy, ScriptedReward(before=slowly)) as client:
        assert (await client.get("/health")).status == 200
        before = len(asyncio.all_tasks())

        async def one(number: int) -> int:
            stream = bool(number % 2)
            body = asked(f"query {number}", stream=stream)
            async with client.session.post(client.url + CHAT, json=body) as reply:
                text = await reply.text()
            return reply.status if not stream or (text.endswith("[DONE]\n\n") and '"tpo"' in text) else 0

        clients = [asyncio.create_task(one(number)) for number in range(CLIENTS)]
        await until(lambda: scoring >= 10)
        await server.stop()
        for leaving in clients[::10]:
            leaving.cancel()
        server.wanted_port = server.port
        await server.start()
        restarted.set()
        found = await asyncio.gather(*clients, return_exceptions=True)
        assert [each for number, each in enumerate(found) if number % 10] == [200] * (CLIENTS * 9 // 10)
        await until(lambda: not client.service.running and not scoring)
        assert client.service.waiting == 0
        await policy.aclose()
        await client.session.close()
        await until(lambda: len(asyncio.all_tasks()) <= before)
    await server.stop()
