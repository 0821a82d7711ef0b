import asyncio
import logging
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from tests.serve.serving import CHAT, SCRIPT, SETTINGS, asked, served, until
from tpo.errors import PolicyError, PolicyRefused, RewardError, RewardUnavailable
from tpo.http import HttpFailure
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.request import Limits
from tpo.types import Messages, Sampling, Scope

NO_PROGRESS = {"stream": True, "tpo": {"progress": False}}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_disconnects_cancels_its_calls(stream: bool) -> None:
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: asyncio.Event().wait())
    async with served(policy) as client:
        request = asyncio.create_task(client.post(CHAT, asked(stream=stream)))
        await until(lambda: policy.in_flight)
        request.cancel()
        await until(lambda: not policy.in_flight and not client.service.running)
        assert (await client.get("/health")).status == 200


async def test_a_full_queue_answers_429_and_the_others_are_served() -> None:
    go = asyncio.Event()
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: go.wait())
    async with served(policy, limits=Limits(running=1, waiting=1)) as client:
        first = asyncio.create_task(client.chat("1"))
        await until(lambda: client.service.running == 1)
        second = asyncio.create_task(client.chat("2"))
        await until(lambda: client.service.waiting == 1)
        refused = await client.chat("3")
        assert (refused.status, refused.json["error"]["type"]) == (429, "rate_limit_error")
        assert int(refused.headers["Retry-After"]) > 0
        metrics = (await client.get("/metrics")).text
        assert "tpo:num_requests_running 1.0" in metrics
        assert "tpo:num_requests_waiting 1.0" in metrics
        go.set()
        assert (await first).status == (await second).status == 200
        assert (client.service.running, client.service.waiting) == (0, 0)


async def test_a_deadline_returns_the_best_so_far_and_says_so() -> None:
    never = asyncio.Event()

    async def before(call: object, _: int) -> None:
        if getattr(call, "scope").step == 1:  # noqa: B009 - any call
            await never.wait()

    async with served(ScriptedPolicy(SCRIPT, before=before)) as client:
        for deadline in (0.2, 2.0, 20.0):  # the shortest in which this machine scores the first samples
            reply = (await client.chat(tpo={"deadline": deadline})).json
            if "error" not in reply:
                break
        assert reply["tpo"]["stop_reason"] == "deadline"
        assert reply["choices"][0]["message"]["content"] == "poor"


async def test_the_operators_deadline_is_a_ceiling_and_nothing_scored_in_time_is_504() -> None:
    policy = ScriptedPolicy(SCRIPT, before=lambda *_: asyncio.Event().wait())
    async with served(policy, limits=Limits(deadline=0.05)) as client:
        for controls in ({}, {"deadline": 1000}):
            reply = await client.chat(tpo=controls)
            assert (reply.status, reply.json["error"]["type"]) == (504, "timeout_error")


@pytest.mark.parametrize("model", ["m", "m@off"])
async def test_a_deadline_counts_while_a_request_waits(model: str) -> None:
    """One that passes in the queue is 504; what is left of it after the queue bounds the run."""
    seconds, looks = 0.0, 0

    def now() -> float:
        nonlocal looks
        looks += 1
        return seconds

    policy = ScriptedPolicy(SCRIPT, before=lambda *_: asyncio.Event().wait())
    async with served(policy, limits=Limits(running=1), now=now) as client:
        first = asyncio.create_task(client.chat("1"))
        await until(lambda: client.service.running == 1)
        assert (await client.chat("2", model=model, tpo={"deadline": 0.01})).status == 504
        assert client.service.waiting == 0
        before = looks
        second = asyncio.create_task(client.chat("3", model=model, tpo={"deadline": 1000}))
        await until(lambda: looks > before)  # it has arrived, and waits
        seconds = 1000.0
        first.cancel()
        assert (await second).status == 504


async def test_the_operators_rules_apply_where_a_request_has_none() -> None:
    settings = replace(SETTINGS, target_reward=4.0, deadline=0.001)
    async with served(ScriptedPolicy(SCRIPT), settings=settings) as client:
        late = ScriptedPolicy(SCRIPT, before=lambda *_: asyncio.Event().wait())
        async with served(late, settings=settings) as other:
            assert (await other.chat()).status == 504
        reply = await client.chat(tpo={"deadline": 60})
        assert reply.json["tpo"]["stop_reason"] == "target_reward"


async def test_a_model_that_fails_is_503_without_its_address() -> None:
    def failing(error: Exception) -> ScriptedPolicy:
        return ScriptedPolicy({"sample": error})

    address = "http://10.0.0.1:8000/v1"
    for error, status in (
        (PolicyError(f"no server answers at {address}"), 503),
        (PolicyRefused(f"the server at {address} refused the API key"), 503),
    ):
        async with served(failing(error), hidden=[address]) as client:
            for model in ("m", "m@off"):
                reply = await client.chat(model=model)
                assert (reply.status, "10.0.0.1" in reply.text) == (status, False)
                assert "Traceback" not in reply.text


async def test_a_request_that_the_policy_refuses_is_400() -> None:
    error = PolicyError("no such parameter")
    error.__cause__ = HttpFailure("no such parameter", status=400)
    async with served(ScriptedPolicy({"sample": error})) as client:
        reply = await client.chat(priority="?")
    assert (reply.status, reply.json["error"]["type"]) == (400, "invalid_request_error")


async def test_with_degrade_a_failing_reward_gives_an_unscored_sample_and_a_failing_step_the_best() -> None:
    reward = ScriptedReward(failures={"poor": RewardError("down"), "fair": RewardError("down")})
    async with served(ScriptedPolicy(SCRIPT), reward) as client:
        assert (await client.chat()).status == 503
    async with served(ScriptedPolicy(SCRIPT), reward, degrade=True) as client:
        reply = (await client.chat()).json
        assert reply["choices"][0]["message"]["content"] == "poor"
        assert (reply["tpo"]["degraded"], reply["tpo"]["rewards"]) == (True, [None])
    failing = ScriptedPolicy(SCRIPT | {"loss": PolicyError("down")})
    async with served(failing, degrade=True) as client:
        reply = (await client.chat()).json
        assert (reply["tpo"]["degraded"], reply["tpo"]["rewards"]) == (True, [4.0])


async def test_with_degrade_an_outage_in_the_middle_gives_the_best_that_was_scored() -> None:
    refusing = ScriptedPolicy(SCRIPT | {"loss": PolicyRefused("no server has answered for 9 s")})
    async with served(refusing, degrade=True) as client:
        reply = (await client.chat(n=2)).json
    assert (reply["tpo"]["degraded"], reply["tpo"]["rewards"]) == (True, [4.0, 4.0])
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["poor", "fair"]


async def test_with_degrade_an_unscored_sample_ends_before_the_clients_stop() -> None:
    reward = ScriptedReward(failures=dict.fromkeys(("one ", "one STOP two"), RewardError("down")))
    async with served(ScriptedPolicy({"sample": "one STOP two"}), reward, degrade=True) as client:
        reply = (await client.chat(stop="STOP")).json
    assert reply["choices"][0]["message"]["content"] == "one "


async def test_a_rewards_server_that_asks_for_fewer_requests_is_429() -> None:
    busy = RewardUnavailable("busy")
    busy.__cause__ = HttpFailure("busy", status=429, passes=True, retry_after=7.0)
    reward = ScriptedReward(failures={"poor": busy, "fair": busy})
    async with served(ScriptedPolicy(SCRIPT), reward) as client:
        reply = await client.chat()
        metrics = (await client.get("/metrics")).text
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
    spent = next(line for line in metrics.splitlines() if line.startswith("tpo:generation_tokens_total"))
    assert float(spent.split()[1]) > 0


@pytest.mark.parametrize("seed", [-1, 7, 8])
async def test_a_request_without_the_method_draws_from_a_seed_of_its_place(seed: int) -> None:
    """A raw one would be no seed for models in this process, and choose a panel's member."""
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        assert (await client.chat(model="m@off", seed=seed)).status == 200
    assert policy.calls[0].sampling.seed >= 0
    assert policy.calls[0].sampling.seed % 1024 == 0


async def test_keys_are_required_under_v1_only() -> None:
    async with served(keys=("alpha", "beta")) as client:
        for headers in (
            {},
            {"Authorization": "Bearer gamma"},
            {"Authorization": "Bearer "},
            {"x_api_key": "al"},
        ):
            reply = await client.post(CHAT, asked(), **headers)
            assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")
        assert (await client.post("/v1/messages", {})).json["type"] == "error"
        for headers in ({"Authorization": "Bearer alpha"}, {"x_api_key": "beta"}):
            assert (await client.post(CHAT, asked(), **headers)).status == 200
        assert (await client.get("/health")).status == 200


async def test_a_body_or_conversation_beyond_the_limit_is_refused() -> None:
    async with served(limits=Limits(body_bytes=1000, messages=2)) as client:
        assert (await client.chat("x" * 1000)).status == 413
        assert (await client.chat(messages=[{"role": "user", "content": "a"}] * 3)).status == 400


async def test_choices_do_not_go_around_the_ceiling_of_samples() -> None:
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy, limits=Limits(sample_size=2)) as client:
        assert (await client.chat(n=3)).json["error"]["param"] == "n"
        assert (await client.chat(n=2)).status == 200
    assert max(call.sampling.n for call in policy.calls) == 2


async def test_ready_asks_policy_and_reward_and_holds_the_result_for_a_while() -> None:
    now = [0.0]
    policy = ScriptedPolicy("x")
    reward = ScriptedReward(failures={Scope("ready", 0, "reward"): RewardError("down")})
    async with served(policy, reward, now=lambda: now[0]) as client:
        for _ in range(2):
            reply = await client.get("/ready")
            assert (reply.status, reply.json["reason"]) == (503, "the reward does not answer")
        assert len(policy.calls) == 1
        now[0] = 60.0
        await client.get("/ready")
        assert len(policy.calls) == 2
    async with served() as client:
        assert (await client.get("/ready")).status == 200


async def test_a_rewards_own_bug_does_not_reach_the_client() -> None:
    def broken(text: str) -> float:
        raise RuntimeError("secret detail")

    async with served(ScriptedPolicy(SCRIPT), ScriptedReward(broken)) as client:
        reply = await client.chat()
    assert (reply.status, "secret" in reply.text) == (503, False)


async def test_an_unexpected_failure_is_500_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedPolicy):
        def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> NoReturn:
            raise RuntimeError("secret detail")

    async with served(Broken()) as client:
        with caplog.at_level(logging.CRITICAL):
            reply = await client.chat(model="m@off")
    assert (reply.status, "secret" in reply.text) == (500, False)


async def test_metrics_count_tokens_rewards_and_stop_reasons() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        usage = (await client.chat()).json["usage"]
        text = (await client.get("/metrics")).text
    assert f"tpo:prompt_tokens_total {usage['prompt_tokens']}.0" in text
    assert f"tpo:generation_tokens_total {usage['completion_tokens']}.0" in text
    assert 'tpo:request_success_total{stop_reason="max_iterations"} 1.0' in text
    for bucket in ('best_reward_bucket{le="5.0"} 0', 'best_reward_bucket{le="10.0"} 1'):
        assert f"tpo:{bucket}.0" in text
    for bucket in ('reward_gain_bucket{le="2.0"} 0', 'reward_gain_bucket{le="5.0"} 1'):
        assert f"tpo:{bucket}.0" in text
    assert "tpo:e2e_request_latency_seconds_count 1.0" in text


@pytest.mark.parametrize(("fields", "early"), [({"stream": True}, True), (NO_PROGRESS, False), ({}, False)])
async def test_the_first_token_is_the_first_delta_of_a_stream(fields: dict[str, Any], early: bool) -> None:
    seconds = 0.0

    def score(text: str) -> float:
        nonlocal seconds
        seconds += 10
        return float(len(text))

    async with served(ScriptedPolicy(SCRIPT), ScriptedReward(score), now=lambda: seconds) as client:
        assert (await client.chat(**fields)).status == 200
        text = (await client.get("/metrics")).text
    found = dict(line.split() for line in text.splitlines() if "_seconds_sum" in line)
    assert float(found["tpo:e2e_request_latency_seconds_sum"]) == seconds == 40
    assert (float(found["tpo:time_to_first_token_seconds_sum"]) <= 20) == early


async def test_models_lists_the_name_and_its_presets() -> None:
    async with served() as client:
        names = [card["id"] for card in (await client.get("/v1/models")).json["data"]]
        assert {"m", "m@off"} <= set(names)
        for name in names:
            assert (await client.chat(model=name)).status == 200
