"""A policy as TextGrad's engine: what it is asked, what it chooses from, what it keeps, how it fails."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.openai_server import OpenAIServer
from tpo.contrib.textgrad import PolicyEngine, import_textgrad
from tpo.errors import ConfigError, PolicyError, RewardError, StoreBusy, StoreError
from tpo.http import Clock, RetryPolicy
from tpo.policies.openai import OpenAIPolicy
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import RewardCall, ScriptedReward
from tpo.types import Messages, Sampling, Scope, Score, system, user


def by_seed(call: PolicyCall, index: int) -> str:
    return f"{call.sampling.seed + index}"


def test_textgrad_takes_it_for_an_engine_of_its_own() -> None:
    tg: Any = import_textgrad()
    with PolicyEngine(ScriptedPolicy("yes"), name="scripted") as engine:
        assert isinstance(engine, tg.EngineLM)
        assert engine.model_string == "scripted"
        assert tg.BlackboxLLM(engine)(tg.Variable("?", role_description="question")).value == "yes"


def test_a_call_without_a_system_text_gets_textgrads_own_or_the_one_given_or_none() -> None:
    tg: Any = import_textgrad()
    for given, sent in [(None, tg.EngineLM.system_prompt), ("Be brief.", "Be brief."), ("", None)]:
        policy = ScriptedPolicy("yes")
        with PolicyEngine(policy, name="scripted", system_prompt=given) as engine:
            engine("?")
            engine("?", system_prompt="You judge.")
        opening = (system(sent),) if sent else ()
        assert [c.messages for c in policy.calls] == [
            (*opening, user("?")),
            (system("You judge."), user("?")),
        ]


def test_a_call_may_draw_in_its_own_way() -> None:
    policy = ScriptedPolicy("yes")
    with PolicyEngine(policy, name="scripted", sampling=Sampling(temperature=0.2)) as engine:
        engine.generate("?", temperature=0, max_tokens=5, top_p=1.0)
        engine.generate("?")
        with pytest.raises(ConfigError, match="unknown option tempo"):
            engine.generate("?", tempo=3)
    first, second = (call.sampling for call in policy.calls)
    assert (first.temperature, first.max_tokens, first.top_p) == (0, 5, 1.0)
    assert (second.temperature, second.max_tokens) == (0.2, 2048)


def test_of_several_samples_textgrad_gets_the_one_with_the_highest_reward() -> None:
    policy = ScriptedPolicy(["a", "ccc", "bb", "ddd"])
    four = Sampling(n=4)
    with PolicyEngine(policy, name="scripted", sampling=four, reward=lambda _, text: len(text)) as engine:
        assert engine("?") == "ccc"
        assert [one.text for one in engine.samples("?")] == ["a", "ccc", "bb", "ddd"]
        assert engine.generate("?", n=1) == "a"


def test_several_samples_without_a_reward_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scripted: n is 3, .* give a reward"):
        PolicyEngine(ScriptedPolicy(), name="scripted", sampling=Sampling(n=3))
    with PolicyEngine(ScriptedPolicy("yes"), name="scripted") as engine:
        with pytest.raises(ConfigError, match="n is 2; give the engine a reward"):
            engine("?", n=2)
        assert len(engine.samples("?", n=2)) == 2


def test_it_works_inside_a_running_loop_and_from_many_threads_at_once() -> None:
    with PolicyEngine(ScriptedPolicy(by_seed), name="scripted") as engine:

        async def inside() -> str:
            return engine("inside")

        assert asyncio.run(inside())
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: engine(f"{number % 4}"), range(32)))
    assert len(set(answers)) == 32  # a prompt asked again has a seed of its own


def test_the_same_question_is_answered_anew_each_time_and_the_same_way_in_another_session() -> None:
    sessions = []
    for _ in range(2):
        with PolicyEngine(ScriptedPolicy(by_seed), name="scripted") as engine:
            sessions.append([engine("?"), engine("?"), engine("!")])
    assert sessions[0] == sessions[1]
    assert len(set(sessions[0][:2])) == 2


def test_a_finished_call_is_answered_from_the_journal(tmp_path: Path) -> None:
    first, second = ScriptedPolicy(by_seed), ScriptedPolicy(by_seed)
    with PolicyEngine(first, name="scripted", journal=tmp_path) as engine:
        answers = [engine("?"), engine("?")]
    with PolicyEngine(second, name="scripted", journal=tmp_path) as engine:
        assert [engine("?"), engine("?")] == answers
        assert second.calls == []
        assert engine("?") not in answers
    assert len(second.calls) == 1


def test_another_name_is_another_model_to_the_journal(tmp_path: Path) -> None:
    with PolicyEngine(ScriptedPolicy("small"), name="small", journal=tmp_path) as engine:
        engine("?")
    with PolicyEngine(ScriptedPolicy("large"), name="large", journal=tmp_path) as engine:
        assert engine("?") == "large"


def test_samples_and_scores_that_were_there_before_a_failure_are_not_paid_for_twice(tmp_path: Path) -> None:
    def third_fails(call: PolicyCall, index: int) -> str | Exception:
        return PolicyError("gone") if index == 2 else "a" * index

    reward = ScriptedReward()
    options: dict[str, Any] = {"name": "s", "sampling": Sampling(n=3), "reward": reward, "journal": tmp_path}
    with (
        PolicyEngine(ScriptedPolicy(third_fails), **options) as engine,
        pytest.raises(PolicyError, match="gone"),
    ):
        engine("?")
    policy = ScriptedPolicy("aaaa")
    with PolicyEngine(policy, **options) as engine:
        assert engine("?") == "aaaa"
    assert [call.sampling.n for call in policy.calls] == [1]
    scored = len(reward.calls)
    with PolicyEngine(policy, **options) as engine:
        assert engine("?") == "aaaa"
    assert len(reward.calls) == scored
    assert len(policy.calls) == 1


def test_a_call_that_failed_is_made_again_in_its_own_place(tmp_path: Path) -> None:
    broken = ScriptedPolicy(PolicyError("gone"))
    with PolicyEngine(broken, name="scripted") as engine:
        for _ in range(2):
            with pytest.raises(PolicyError, match="gone"):
                engine("?")
    first, second = broken.calls
    assert first == second


def test_a_call_that_failed_in_the_reward_is_made_again_in_its_own_place(tmp_path: Path) -> None:
    class OnceDown(ScriptedReward):
        async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
            if not self.calls:
                self.calls.append(RewardCall(tuple(messages), response, scope))
                raise RewardError("down")
            return await super().score(messages, response, scope)

    policy = ScriptedPolicy(by_seed)
    options: dict[str, Any] = {"name": "s", "sampling": Sampling(n=2), "journal": tmp_path}
    with PolicyEngine(policy, reward=OnceDown(), **options) as engine:
        with pytest.raises(RewardError, match="down"):
            engine("?")
        answer = engine("?")
    first, again = policy.calls
    assert first == again
    with PolicyEngine(policy, reward=ScriptedReward(), **options) as engine:
        assert engine("?") == answer
    assert len(policy.calls) == 2


def test_a_journal_serves_one_engine_at_a_time_and_is_free_after_it(tmp_path: Path) -> None:
    with (
        PolicyEngine(ScriptedPolicy(), name="scripted", journal=tmp_path) as engine,
        pytest.raises(StoreBusy, match="another engine uses this journal"),
    ):
        PolicyEngine(ScriptedPolicy(), name="scripted", journal=tmp_path)
    engine.close()
    PolicyEngine(ScriptedPolicy(), name="scripted", journal=tmp_path).close()


def test_a_journal_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot use .*file/journal"):
        PolicyEngine(ScriptedPolicy(), name="scripted", journal=tmp_path / "file" / "journal")


def test_a_damaged_journal_costs_its_calls_only(tmp_path: Path) -> None:
    with PolicyEngine(ScriptedPolicy(by_seed), name="scripted", journal=tmp_path) as engine:
        answers = [engine("?"), engine("!")]
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    policy = ScriptedPolicy(by_seed)
    with PolicyEngine(policy, name="scripted", journal=tmp_path) as engine:
        assert [engine("?"), engine("!")] == answers
    assert len(policy.calls) == 1


class Closable(ScriptedPolicy):
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


def test_closing_the_engine_closes_its_policy_once() -> None:
    policy = Closable("yes")
    with PolicyEngine(policy, name="scripted") as engine:
        engine("?")
        assert policy.closed == 0
    engine.close()
    assert policy.closed == 1


def test_a_prompt_that_is_no_text_is_refused() -> None:
    with (
        PolicyEngine(ScriptedPolicy(), name="scripted") as engine,
        pytest.raises(PolicyError, match="takes text, not list"),
    ):
        engine([b"image", "?"])  # type: ignore[arg-type]  # as TextGrad's multimodal calls do


def test_what_passes_is_tried_again_by_the_policy() -> None:
    tries: list[float] = []

    async def waited(seconds: float) -> None:
        tries.append(seconds)

    def busy_at_first(body: dict[str, Any], index: int) -> str:
        if not tries:
            raise web.HTTPServiceUnavailable
        return "at last"

    clock = Clock(now=lambda: 0.0, sleep=waited, jitter=lambda: 0.0)
    with OpenAIServer(busy_at_first) as server:
        policy = OpenAIPolicy(server.url, server.model, retry=RetryPolicy(), clock=clock)
        with PolicyEngine(policy, name=server.model) as engine:
            assert engine("?") == "at last"
    assert tries
