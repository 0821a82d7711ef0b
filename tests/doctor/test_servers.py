"""Servers that behave, and each of the ways in which they do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doctor.server import Habits, ModelServer
from tests.doctor.values import by_check, make_setup
from tpo.doctor import Finding, no_failures, run_checks
from tpo.policies.openai import OpenAIPolicy

KEY = "sk-very-secret"


async def found_with(habits: Habits, **more: Any) -> dict[str, Finding]:
    with ModelServer(habits) as server:
        return by_check(await run_checks(make_setup(policy_url=server.url, **more)))


async def test_a_server_that_does_all_right_gets_no_complaint() -> None:
    found = await found_with(Habits())
    assert {f.check: f.sentence for f in found.values() if f.status != "good"} == {}
    assert "which accepts up to 32,768 tokens" in found["server"].sentence
    for check in ("n", "seed", "finish reasons", "prefix cache", "iteration", "context", "estimate"):
        assert found[check].status == "good", check


@pytest.mark.parametrize(
    ("habits", "check", "words"),
    [
        (Habits(takes_n=False), "n", "one sample per request"),
        (Habits(most_n=2), "n", "fewer than 5 samples per request"),
        (Habits(seeded=False), "seed", "different texts for the same seed"),
        (Habits(adds_index=False), "seed", "does not use seed + i"),
        (Habits(says_cut=False), "finish reasons", "instead of 'length'"),
        (Habits(caches=False), "prefix cache", "processed the same prompt twice"),
        (Habits(various=False), "first samples", "the same text"),
        (Habits(context=4096), "context", "accepts 4,096"),
    ],
)
async def test_what_a_server_does_otherwise_is_a_warning(habits: Habits, check: str, words: str) -> None:
    with ModelServer(habits) as server:
        found = await run_checks(make_setup(policy_url=server.url))
    assert no_failures(found)
    finding = by_check(found)[check]
    assert finding.status == "warning"
    assert words in finding.sentence
    assert finding.advice


async def test_no_counters_leave_the_cache_unknown() -> None:
    assert (await found_with(Habits(caches=None)))["prefix cache"].status == "unknown"


async def test_a_limit_that_is_not_told_leaves_the_context_unknown() -> None:
    finding = (await found_with(Habits(context=None)))["context"]
    assert finding.status == "unknown"
    assert "does not report its context length" in finding.sentence


async def test_no_server_is_told_once_and_ends_nothing() -> None:
    found = await run_checks(make_setup(policy_url="http://127.0.0.1:1/v1"))
    assert not no_failures(found)
    assert [f.check for f in found if f.status == "failure"] == ["server"]
    assert "Connection refused" in by_check(found)["server"].sentence
    assert by_check(found)["reward"].status == "good"


@pytest.mark.parametrize("given", [None, KEY])
async def test_a_key_that_is_missing_or_wrong_is_told_and_never_shown(given: str | None) -> None:
    found = await found_with(Habits(key="sk-another"), api_key=given, secrets=(KEY,))
    assert found["server"].status == "failure"
    assert "TPO_API_KEY" in found["server"].sentence
    assert KEY not in repr(found)


async def test_several_models_need_a_name() -> None:
    finding = (await found_with(Habits(models=("one", "two"))))["server"]
    assert finding.status == "failure"
    assert "'one', 'two'" in finding.sentence
    assert "--model" in finding.advice
    assert (await found_with(Habits(models=("one", "two")), model="two"))["server"].status == "good"


async def test_an_unknown_model_is_told_with_those_there_are() -> None:
    finding = (await found_with(Habits(), model="other"))["server"]
    assert finding.status == "failure"
    assert "'good'" in finding.sentence


async def test_a_model_that_does_not_keep_to_the_form_is_no_use() -> None:
    finding = (await found_with(Habits(keeps_form=False)))["iteration"]
    assert finding.status == "failure"
    assert "0 of 5 updates could be parsed" in finding.sentence


async def test_best_of_n_needs_no_form() -> None:
    found = await found_with(Habits(keeps_form=False), method="bon")
    assert found["iteration"].status == "good"


DOWN = "http://127.0.0.1:1/v1"


async def test_each_of_several_servers_is_checked() -> None:
    with ModelServer() as one, ModelServer(Habits(caches=False)) as other:
        found = await run_checks(make_setup(policy_url=one.url, policy=served_by(one), also=other.url))
    caches = [(f.status, f.sentence) for f in found if f.check == "prefix cache"]
    assert [status for status, _ in caches] == ["good", "warning"]
    assert other.url in caches[1][1]


async def test_one_of_several_servers_may_be_down_and_the_run_would_work() -> None:
    with ModelServer() as one:
        found = await run_checks(make_setup(policy_url=one.url, policy=served_by(one), also=DOWN))
    assert no_failures(found)
    finding = next(f for f in found if DOWN in f.sentence)
    assert (finding.check, finding.status) == ("server", "warning")


def served_by(server: ModelServer) -> OpenAIPolicy:
    return OpenAIPolicy(server.url, "good")
