"""HFPolicy: the Policy protocol, in process; the same texts at any concurrency; clear refusals."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertForMaskedLM

from tests.models import TEMPLATE, make_tokenizer, save_policy
from tpo.errors import ConfigError, PolicyError, PolicyRefused
from tpo.inprocess.worker import usable_cores
from tpo.policies.local import HFPolicy
from tpo.types import Completion, Delta, Messages, Sampling, Scope, system, user

SCOPE = Scope("q7", 0, "sample")


@pytest.fixture(scope="module")
def policy(policy_folder: Path) -> HFPolicy:
    return HFPolicy(policy_folder, device="cpu")


def question(number: int) -> Messages:
    return (user("Dear Anna, " * (number % 6 + 1) + str(number)),)


async def ask(policy: HFPolicy, messages: Messages, **sampling: Any) -> list[Completion]:
    values = {"n": 3, "max_tokens": 12, "seed": 1024} | sampling
    replies = [reply async for reply in policy.sample(messages, Sampling(**values), SCOPE)]
    return sorted(replies, key=lambda reply: reply.index)


def told(replies: list[Completion]) -> list[tuple[int, str, str]]:
    return [(reply.index, reply.text, reply.finish_reason) for reply in replies]


async def test_a_call_yields_every_sample_once_and_their_usages_add_up(policy: HFPolicy) -> None:
    replies = await ask(policy, question(1), n=5)
    assert [reply.index for reply in replies] == [0, 1, 2, 3, 4]
    usages = [reply.usage for reply in replies]
    assert sum(usage.calls for usage in usages) == 1
    assert sorted(usage.prompt_tokens for usage in usages)[:4] == [0, 0, 0, 0]
    assert max(usage.prompt_tokens for usage in usages) > 10
    assert all(1 <= usage.completion_tokens <= 12 for usage in usages)


async def test_a_stream_yields_the_tokens_and_the_same_completions(policy: HFPolicy) -> None:
    sampling = Sampling(n=3, max_tokens=12, seed=1024)
    pieces = [piece async for piece in policy.stream(question(1), sampling, SCOPE)]
    replies = sorted((p for p in pieces if isinstance(p, Completion)), key=lambda reply: reply.index)
    assert told(replies) == told(await ask(policy, question(1)))
    deltas = [piece for piece in pieces if isinstance(piece, Delta)]
    assert not any(delta.restarts for delta in deltas)
    for reply in replies:
        own = [delta.text for delta in deltas if delta.index == reply.index]
        assert "".join(own) == reply.text
        assert len(own) > 1


async def test_concurrency_changes_no_text(policy: HFPolicy) -> None:
    one_by_one = [told(await ask(policy, question(i), seed=1024 * i)) for i in range(12)]
    together = await asyncio.gather(*(ask(policy, question(i), seed=1024 * i) for i in range(12)))
    assert [told(replies) for replies in together] == one_by_one


async def test_sample_i_is_the_sample_of_seed_plus_i(policy: HFPolicy) -> None:
    whole = await ask(policy, question(2), n=4)
    for reply in whole:
        sampling = Sampling(n=4, max_tokens=12, seed=1024).only(reply.index)
        alone = await ask(policy, question(2), **dataclasses.asdict(sampling))
        assert alone[0].text == reply.text


async def test_other_seeds_give_other_texts(policy: HFPolicy) -> None:
    assert told(await ask(policy, question(1))) != told(await ask(policy, question(1), seed=2048))


async def test_temperature_0_gives_equal_samples(policy: HFPolicy) -> None:
    replies = await ask(policy, question(3), temperature=0.0)
    assert len({reply.text for reply in replies}) == 1


async def test_an_answer_at_its_limit_is_marked_as_cut(policy: HFPolicy) -> None:
    replies = await ask(policy, question(1), max_tokens=1, n=20)
    assert {reply.finish_reason for reply in replies} >= {"length"}
    assert all(reply.usage.completion_tokens == 1 for reply in replies)


async def test_an_answer_ends_with_the_models_context(policy: HFPolicy) -> None:
    replies = await ask(policy, (user("Z" * 225),), max_tokens=2048, n=8)
    cut = [reply for reply in replies if reply.finish_reason == "length"]
    prompt = sum(reply.usage.prompt_tokens for reply in replies)
    assert {prompt + reply.usage.completion_tokens for reply in cut} == {policy.context}


async def test_a_prompt_that_does_not_fit_says_the_lengths(policy: HFPolicy) -> None:
    with pytest.raises(PolicyError, match=r"query 'q7', sample of step 0: the prompt has \d+ tokens .* 256"):
        await ask(policy, (user("Z" * 400),))


async def test_a_failing_query_leaves_its_siblings_alone(policy: HFPolicy) -> None:
    results = await asyncio.gather(
        ask(policy, (user("Z" * 400),)), ask(policy, question(1)), return_exceptions=True
    )
    assert isinstance(results[0], PolicyError)
    assert isinstance(results[1], list)


async def test_a_template_that_refuses_a_role_ends_that_query_with_its_words(tmp_path: Path) -> None:
    picky = "{% if messages[0].role == 'system' %}{{ raise_exception('no system text, please') }}{% endif %}"
    folder = save_policy(tmp_path, tokenizer=make_tokenizer(template=picky + TEMPLATE))
    with pytest.raises(PolicyError, match="no system text, please") as failure:
        await ask(HFPolicy(folder, device="cpu"), (system("Be kind."), user("Hi")))
    assert not failure.value.fatal


def test_a_model_without_a_template_is_refused(tmp_path: Path) -> None:
    folder = save_policy(tmp_path, tokenizer=make_tokenizer(template=None))
    with pytest.raises(PolicyRefused, match="no chat template"):
        HFPolicy(folder, device="cpu")


def test_a_budget_below_one_token_is_refused(policy_folder: Path) -> None:
    with pytest.raises(ConfigError, match="max_batch_tokens is 0"):
        HFPolicy(policy_folder, max_batch_tokens=0)


async def test_many_calls_share_a_worker_for_each_core_at_most(policy_folder: Path) -> None:
    bodies: list[Callable[[], None]] = []
    policy = HFPolicy(policy_folder, device="cpu", start=bodies.append)
    calls = asyncio.gather(*(ask(policy, question(i)) for i in range(10)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 1 <= len(bodies) <= usable_cores()
    for body in bodies:
        body()
    assert len(await calls) == 10


async def test_a_caller_that_is_cancelled_frees_its_rows(policy_folder: Path) -> None:
    bodies: list[Callable[[], None]] = []
    policy = HFPolicy(policy_folder, device="cpu", start=bodies.append)
    call = asyncio.ensure_future(ask(policy, question(1), max_tokens=10**6))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    bodies.pop()()  # finds nothing to do, and ends


async def test_a_closed_policy_answers_no_more(policy_folder: Path) -> None:
    policy = HFPolicy(policy_folder, device="cpu")
    await ask(policy, question(1))
    await policy.aclose()
    with pytest.raises(PolicyError, match="is closed"):
        await ask(policy, question(1))


def test_one_policy_serves_one_loop_after_another(policy: HFPolicy) -> None:
    assert told(asyncio.run(ask(policy, question(4)))) == told(asyncio.run(ask(policy, question(4))))


def test_a_masked_language_model_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.4,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        PolicyRefused, match="reads what follows a token, so it is not a causal language model"
    ):
        HFPolicy(tmp_path, device="cpu")


async def test_flat_distributions_are_drawn_in_double_precision_and_concurrency_changes_no_text(
    tmp_path: Path,
) -> None:
    flat = HFPolicy(save_policy(tmp_path, initializer_range=1e-4), device="cpu")
    one_by_one = [told(await ask(flat, question(i), seed=1024 * i)) for i in range(8)]
    together = await asyncio.gather(*(ask(flat, question(i), seed=1024 * i) for i in range(8)))
    assert [told(replies) for replies in together] == one_by_one
    assert flat.settled == 0


def suggesting(folder: Path, **values: Any) -> Path:
    """A model whose files suggest sampling values."""
    save_policy(folder)
    file = folder / "generation_config.json"
    stated = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(stated | values), "utf-8")
    return folder


async def test_suggested_sampling_values_are_told_and_not_used(
    tmp_path: Path, policy: HFPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    folder = suggesting(tmp_path, do_sample=True, top_k=20, repetition_penalty=1.3)
    suggested = HFPolicy(folder, device="cpu")
    assert "suggests top_k 20, repetition_penalty 1.3, which is not used unless set" in caplog.text
    assert told(await ask(suggested, question(1), n=5)) == told(await ask(policy, question(1), n=5))


def test_nothing_is_told_of_values_that_were_set_or_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = suggesting(tmp_path, do_sample=True, top_k=20, repetition_penalty=1.0)
    HFPolicy(folder, device="cpu", top_k=40)
    assert caplog.text == ""


async def test_a_repetition_penalty_is_what_it_is_in_transformers(policy_folder: Path) -> None:
    penal = HFPolicy(policy_folder, device="cpu", repetition_penalty=1.5)
    model = AutoModelForCausalLM.from_pretrained(policy_folder).eval()
    ids = torch.tensor([penal.chat.prompt_ids(question(1))])
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=12,
        repetition_penalty=1.5,
        eos_token_id=sorted(penal.chat.turn_ends()),
        pad_token_id=0,
    )
    reply = (await ask(penal, question(1), temperature=0.0, n=1))[0]
    assert reply.text == penal.chat.text(output[0, ids.shape[1] :].tolist())
    plain = HFPolicy(policy_folder, device="cpu")
    assert reply.text != (await ask(plain, question(1), temperature=0.0, n=1))[0].text


@pytest.mark.parametrize(
    "option", [{"top_k": -1}, {"min_p": 1.5}, {"min_p": -0.1}, {"repetition_penalty": 0.0}]
)
def test_a_sampling_option_outside_its_range_is_refused(policy_folder: Path, option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(option))} is {next(iter(option.values()))}; it must"):
        HFPolicy(policy_folder, device="cpu", **option)


async def test_the_template_is_given_its_values(tmp_path: Path) -> None:
    thinking = TEMPLATE + "{% if enable_thinking is defined and not enable_thinking %}no thoughts{% endif %}"
    folder = save_policy(tmp_path, tokenizer=make_tokenizer(template=thinking))
    usual = await ask(HFPolicy(folder, device="cpu"), question(1), n=1)
    brief = HFPolicy(folder, device="cpu", chat_template_kwargs={"enable_thinking": False})
    longer = await ask(brief, question(1), n=1)
    added = longer[0].usage.prompt_tokens - usual[0].usage.prompt_tokens
    assert added == len(brief.chat.prompt_ids(question(1))) - usual[0].usage.prompt_tokens > 0


async def test_reasoning_that_the_template_opened_is_kept_apart(tmp_path: Path) -> None:
    """The mark stands in the prompt; what a random model writes after it never closes it."""
    opening = TEMPLATE.removesuffix("{% endif %}") + "<think>\n{% endif %}"
    thinking = HFPolicy(save_policy(tmp_path, tokenizer=make_tokenizer(template=opening)), device="cpu")
    for reply in await ask(thinking, question(1)):
        assert (reply.text, bool(reply.reasoning)) == ("", True)


@pytest.mark.parametrize(
    "template", ["{% if %}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ raise_exception('no') }}"]
)
def test_a_template_that_fails_is_one_sentence(tmp_path: Path, template: str) -> None:
    folder = save_policy(tmp_path, tokenizer=make_tokenizer(template=template))
    with pytest.raises(PolicyRefused, match="its chat template fails"):
        HFPolicy(folder, device="cpu")
