"""Fields of a client's request in the calls that they belong to, and the usage of all calls."""

from typing import Any

import pytest

from tests.serve.serving import CHAT, SCRIPT, SETTINGS, asked, served
from tpo.errors import PolicyRefused
from tpo.policies.roles import RolePolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.serve.request_policy import update_check, validator
from tpo.types import CRITIC, EDITOR, Completion, ExtendedSampling, ToolCallCompletion, Usage

TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALLS = ({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},)


def extra_of(call: PolicyCall) -> dict[str, object]:
    assert isinstance(call.sampling, ExtendedSampling)
    return dict(call.sampling.extra)


@pytest.mark.parametrize(
    "field",
    ["stop", "tools", "response_format", "stop_token_ids", "structured_outputs", "guided_json", "logit_bias"],
)
async def test_fields_that_shape_answers_never_reach_a_critique(field: str) -> None:
    values: dict[str, Any] = {"stop": ["END"], "tools": TOOLS, "response_format": {"type": "json_object"}}
    policy = ScriptedPolicy(SCRIPT)
    async with served(policy) as client:
        await client.chat(**{field: values.get(field, {"x": 1})})
    assert {call.scope.role for call in policy.calls} == {"writer", CRITIC, EDITOR}
    for call in policy.calls:
        assert (field in extra_of(call)) == (call.scope.role != CRITIC), call.scope


@pytest.mark.parametrize(
    "fields",
    [
        {"structured_outputs": {"regex": "a+"}},
        {"guided_choice": ["aaa", "b"]},
        {"response_format": {"type": "structural_tag"}},
    ],
)
async def test_with_any_constrained_output_an_update_is_the_whole_reply(fields: dict[str, Any]) -> None:
    script = SCRIPT | {"sample": ["a", "b"], "update": ["aaa", "aaaa"]}
    async with served(ScriptedPolicy(script)) as client:
        reply = (await client.chat(**fields)).json
    assert reply["choices"][0]["message"]["content"] == "aaaa"


def test_plain_text_keeps_the_tags() -> None:
    assert update_check({}) is None
    assert update_check({"response_format": {"type": "text"}}) is None


async def test_an_update_ends_before_a_stop_string_though_a_tag_is_mentioned_after_it() -> None:
    update = "<improved_response>Better. Longer.</improved_response>\nI kept <improved_response> as asked."
    async with served(ScriptedPolicy(SCRIPT | {"sample": ["a", "b"], "update": update})) as client:
        reply = (await client.chat(stop=". ")).json
    assert reply["choices"][0]["message"]["content"] == "Better"


async def test_a_tag_in_an_update_that_is_cut_begins_no_other() -> None:
    update = "<improved_response>\nUse <improved_response> in a line. Longer.\n</improved_response>"
    async with served(ScriptedPolicy(SCRIPT | {"sample": ["a", "b"], "update": update})) as client:
        reply = (await client.chat(stop=". ")).json
    assert reply["choices"][0]["message"]["content"] == "Use <improved_response> in a line"


async def test_a_text_ends_before_a_stop_string_that_the_policy_does_not_know() -> None:
    update = "So. Here: <improved_response>\nIt is better. And longer.\n</improved_response>"
    script = SCRIPT | {"sample": ["One. Two. Three.", "Four"], "loss": "Why. Because.", "update": update}
    policy = ScriptedPolicy(script)
    async with served(policy) as client:
        cut = (await client.chat(stop=". ")).json
        shown = (await client.chat(stop=". ", include_stop_str_in_output=True)).json
        lines = (await client.chat(stop=["\n", ""], n=2, tpo={"method": "bon"})).json
        off = (await client.post(CHAT, asked(stop=["w"]) | {"model": "m@off"})).json
    assert cut["choices"][0]["message"]["content"] == "It is better"
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert shown["choices"][0]["message"]["content"] == "It is better. And longer."
    assert [each["message"]["content"] for each in lines["choices"]] == ["One. Two. Three.", "Four"]
    assert off["choices"][0]["message"]["content"] == "One. T"
    gradient = next(call for call in policy.calls if call.scope.phase == "gradient")
    assert "Why. Because." in str(gradient.messages)


@pytest.mark.parametrize("preset", ["m", "m@off"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", TOOLS),
        ("response_format", {"type": "json_object"}),
        ("guided_json", {"x": 1}),
        ("logit_bias", {"5": 1}),
    ],
)
async def test_a_policy_in_this_process_refuses_what_needs_a_server(
    preset: str, field: str, value: Any
) -> None:
    async with served(is_local=True) as client:
        refused = await client.post(CHAT, asked(**{field: value}) | {"model": preset})
        harmless = asked(tools=[], response_format={"type": "text"}, tool_choice="auto", stop=["END"])
        taken = await client.post(CHAT, harmless | {"model": preset})
    assert (refused.status, refused.json["error"]["param"]) == (400, field)
    assert taken.status == 200


async def test_off_without_a_server_to_ask_refuses_logprobs() -> None:
    async with served() as client:
        refused = await client.post(CHAT, asked(logprobs=True) | {"model": "m@off"})
    assert (refused.status, refused.json["error"]["param"]) == (400, "logprobs")


def test_a_schema_whose_references_multiply_is_left_unchecked_after_a_bound() -> None:
    defs = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(14)} | {"a14": {}}
    schema = {"allOf": [{"$ref": "#/$defs/a0"}], "$defs": defs, "required": ["missing"]}
    assert follows(schema, "{}")
    few = {"allOf": [{"$ref": "#/$defs/a"}] * 2, "$defs": {"a": {}}, "required": ["missing"]}
    assert not follows(few, "{}")


def follows(schema: object, text: str) -> bool:
    check = validator({"type": "json_schema", "json_schema": {"schema": schema}})
    assert check is not None
    return check(text)


async def test_a_later_sample_that_calls_a_tool_and_says_something_is_no_candidate() -> None:
    tool = ToolCallCompletion(1, "let me look that up for you", tool_calls=CALLS)
    async with served(ScriptedPolicy(SCRIPT | {"sample": ["text", tool]})) as client:
        reply = (await client.chat(n=2, tpo={"max_iterations": 0}, tools=TOOLS)).json
    assert [c["message"]["content"] for c in reply["choices"]] == ["text"]


async def test_a_tool_call_counts_its_usage() -> None:
    first = ToolCallCompletion(0, "", usage=Usage(1, 20, 5, 7), tool_calls=CALLS)
    async with served(ScriptedPolicy({"sample": [first, "text"]})) as client:
        usage = (await client.chat(tools=TOOLS)).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (20 + 1, 7)  # the prompt's own word


async def test_a_degraded_reply_counts_every_call_that_was_made() -> None:
    script = SCRIPT | {
        "sample": [
            Completion(0, "poor", usage=Usage(1, 10, 0, 2)),
            Completion(1, "fair", usage=Usage(0, 0, 0, 3)),
        ],
        "loss": Completion(0, "because", usage=Usage(1, 30, 0, 4)),
        "gradient": PolicyRefused("the key is refused"),
    }
    async with served(ScriptedPolicy(script), degrade=True) as client:
        usage = (await client.chat()).json["usage"]
    assert usage["completion_tokens"] == 9
    assert set(usage["prompt_tokens_details"]) == {"cached_tokens", "sample", "loss"}
    assert usage["completion_tokens_details"] == {"sample": 5, "loss": 4}


async def test_roles_have_their_own_policies_and_all_of_them_are_counted() -> None:
    writer, critic, editor = (ScriptedPolicy(SCRIPT) for _ in range(3))
    async with served(RolePolicy(writer, {CRITIC: critic, EDITOR: editor})) as client:
        reply = (await client.chat(stop=["END"])).json
    assert [call.scope.phase for call in writer.calls] == ["sample"]
    assert [call.scope.phase for call in critic.calls] == ["loss", "gradient"]
    assert [call.scope.phase for call in editor.calls] == ["update"]
    assert extra_of(editor.calls[0])["stop"] == ["END"]
    assert set(reply["usage"]["completion_tokens_details"]) == {"sample", "loss", "gradient", "update"}


async def test_what_scoring_cost_is_told() -> None:
    async with served(ScriptedPolicy(SCRIPT), ScriptedReward()) as client:
        told = (await client.chat()).json["tpo"]["reward_usage"]
    assert told == {"calls": 4, "tokens": 1 + 1 + 2 + 2}


async def test_the_operators_fallback_takes_over() -> None:
    settings = SETTINGS.__class__(sample_size=2, max_iterations=2, fallback="best-of-n")
    policy = ScriptedPolicy(SCRIPT | {"update": "no tags"})
    async with served(policy, settings=settings) as client:
        reply = (await client.chat()).json
    assert reply["tpo"]["stop_reason"] == "no_readable_update"
    assert [call.scope.phase for call in policy.calls].count("sample") == 2
