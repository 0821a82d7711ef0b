from typing import Any

from tests.serve.serving import CHAT, SCRIPT, asked, served
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import CRITIC, Completion, ExtendedSampling, ToolCallCompletion


def extra_of(call: PolicyCall) -> dict[str, object]:
    assert isinstance(call.sampling, ExtendedSampling)
    return dict(call.sampling.extra)


async def test_a_reply_is_the_best_of_the_pool_and_counts_all_that_was_spent() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = (await client.chat()).json
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "m"
    assert [c["message"]["content"] for c in reply["choices"]] == ["the best"]
    usage = reply["usage"]
    assert set(usage["completion_tokens_details"]) == {"sample", "loss", "gradient", "update"}
    assert usage["completion_tokens"] == sum(usage["completion_tokens_details"].values())
    assert reply["tpo"]["rewards"] == [8.0]
    assert reply["tpo"]["gain"] == 4.0
    assert reply["tpo"]["stop_reason"] == "max_iterations"


async def test_n_choices_are_the_best_different_texts() -> None:
    async with served(
        ScriptedPolicy(SCRIPT), ScriptedReward({"poor": 1, "fair": 2, "the best": 3})
    ) as client:
        reply = (await client.chat(n=3)).json
    assert [c["message"]["content"] for c in reply["choices"]] == ["the best", "fair", "poor"]
    assert [c["index"] for c in reply["choices"]] == [0, 1, 2]


async def test_the_same_request_with_the_same_seed_draws_with_the_same_seeds() -> None:
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        first, again = await client.chat(seed=3), await client.chat(seed=3, stream=True)
        other = await client.chat(seed=4)
    seeds = [call.sampling.seed for call in policy.calls]
    assert seeds[:4] == seeds[4:8]
    assert not set(seeds[:4]) & set(seeds[8:])
    assert first.json["tpo"]["trajectory"] == again.events[-1]["tpo"]["trajectory"]
    assert first.json["tpo"]["trajectory"] != other.json["tpo"]["trajectory"]


async def test_answer_fields_reach_samples_and_updates_and_unknown_fields_every_call() -> None:
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        await client.chat(stop=["END"], max_tokens=50, temperature=0.25, service_tier="flex")
    by_phase = {call.scope.phase: call for call in policy.calls}
    for call in policy.calls:
        assert extra_of(call)["service_tier"] == "flex"
        assert ("stop" in extra_of(call)) == (call.scope.role != CRITIC)
    assert by_phase["sample"].sampling.max_tokens == 50
    assert by_phase["sample"].sampling.temperature == 0.25
    assert 50 < by_phase["update"].sampling.max_tokens < 70  # its tags
    assert by_phase["loss"].sampling.max_tokens == 2048


async def test_with_a_response_format_an_update_is_the_whole_reply_and_must_follow_it() -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    script = SCRIPT | {"sample": ['{"a": 1}', '{"a": 2}'], "update": ['{"a": "long text"}', '{"a":     3}']}
    async with served(ScriptedPolicy(script)) as client:
        reply = (await client.chat(response_format=form)).json
    assert reply["choices"][0]["message"]["content"] == '{"a":     3}'


async def test_a_first_sample_that_calls_a_tool_is_the_reply() -> None:
    calls = ({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},)
    policy = ScriptedPolicy({"sample": [ToolCallCompletion(0, "", tool_calls=calls), "text"]})
    tools = [{"type": "function", "function": {"name": "f"}}]
    async with served(policy) as client:
        whole = (await client.chat(tools=tools)).json
        chunks = (await client.chat(tools=tools, stream=True)).events
    choice = whole["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == list(calls)
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert [d["tool_calls"][0]["id"] for d in deltas if "tool_calls" in d] == ["c1"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert len(policy.calls) == 2


async def test_a_later_sample_that_calls_a_tool_is_no_candidate() -> None:
    tool = ToolCallCompletion(1, "", tool_calls=({"id": "c"},))
    policy = ScriptedPolicy(SCRIPT | {"sample": ["text", tool]})
    async with served(policy) as client:
        reply = (await client.chat(n=2, tpo={"max_iterations": 0})).json
    assert [c["message"]["content"] for c in reply["choices"]] == ["text"]


async def test_presets_choose_the_method_and_its_shape() -> None:
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        for preset, shape in (
            ("@bon-8", ("bon", 8, 0)),
            ("@tpo-d2-n3", ("tpo", 3, 2)),
            ("@revision-d1", ("revision", 2, 1)),
        ):
            policy.calls.clear()
            reply = (await client.chat(model=f"m{preset}")).json
            assert (reply["tpo"]["method"], policy.calls[0].sampling.n, reply["tpo"]["steps"]) == shape
        policy.calls.clear()
        reply = (await client.chat(model="m@off")).json
        assert reply["choices"][0]["message"]["content"] == "poor"
        assert len(policy.calls) == 1
        for unknown in ("x", "m@nope", "m@tests.own:Method", "x@off"):
            refused = await client.chat(model=unknown)
            assert (refused.status, refused.json["error"]["code"]) == (404, "model_not_found")


async def test_controls_come_from_the_body_before_the_headers_and_below_the_ceilings() -> None:
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        body = asked(tpo={"sample_size": 3})
        reply = await client.post(CHAT, body, x_tpo_sample_size="4", x_tpo_max_iterations="0")
        assert policy.calls[0].sampling.n == 3
        assert reply.json["tpo"]["steps"] == 0
        controls: dict[str, Any]
        for controls in (
            {"sample_size": 17},
            {"max_iterations": 6},
            {"deadline": 0},
            {"nope": 1},
            {"method": {}},
            {"method": 3},
            {"method": "a:b"},
        ):
            refused = await client.chat(tpo=controls)
            assert (refused.status, refused.json["error"]["type"]) == (400, "invalid_request_error"), controls
            assert "tpo" in refused.json["error"]["param"]


async def test_a_target_reward_ends_the_attempt() -> None:
    async with served(ScriptedPolicy(SCRIPT)) as client:
        reply = (await client.chat(tpo={"target_reward": 4})).json
    assert reply["tpo"]["stop_reason"] == "target_reward"
    assert reply["choices"][0]["message"]["content"] == "poor"


async def test_what_has_no_meaning_is_refused_in_the_apis_own_form() -> None:
    prefill = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    async with served() as client:
        fields: dict[str, Any]
        for fields in (
            *(
                {"messages": prefill},
                {"logprobs": True},
                {"n": 0},
                {"n": 17},
                {"temperature": 3},
                {"stop": 1},
            ),
            *(
                {"messages": []},
                {"messages": [{"role": "x"}]},
                {"seed": "a"},
                {"max_tokens": 0},
                {"top_p": 0},
            ),
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": 3}}}},
        ):
            refused = await client.chat(**fields)
            assert refused.status == 400, fields
            assert set(refused.json["error"]) == {"message", "type", "param", "code"}
        for body in ("", "[]", "{", '{"a":' * 100_000, "nul", b"\xff"):
            assert (await client.post(CHAT, body)).status == 400
        assert (await client.get(CHAT)).status == 405
        assert (await client.get("/nope")).json["error"]["type"] == "not_found_error"


async def test_a_cut_answer_says_so_and_system_and_earlier_turns_reach_the_policy() -> None:
    policy = ScriptedPolicy(SCRIPT | {"sample": Completion(0, "cut here", "length")})
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [{"type": "text", "text": "c"}]},
    ]
    async with served(policy) as client:
        reply = (await client.chat(messages=turns, model="m@bon-1")).json
    assert reply["choices"][0]["finish_reason"] == "length"
    assert list(policy.calls[0].messages) == turns
