from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tpo.errors import AttemptStopped, PolicyError, RewardError
from tpo.policies import ScriptedPolicy
from tpo.policies.base import Policy
from tpo.policies.scripted import PolicyCall
from tpo.rewards.base import Reward
from tpo.rewards.scripted import ScriptedReward
from tpo.store.journal import Journal, request_hash
from tpo.store.journaled_models import JournaledDecisions, JournaledPolicy, JournaledReward
from tpo.types import Completion, Messages, Query, Sampling, Scope, Score, Usage, user

ASKED = (user("a question"),)
SCOPE = Scope("q0", 1, "update")
SAMPLING = Sampling(n=4, seed=1000)


def by_seed(call: PolicyCall, index: int) -> str:
    return f"seed {call.sampling.seed + index}"


async def drawn(policy: Policy, sampling: Sampling = SAMPLING) -> dict[int, Completion]:
    found = [completion async for completion in policy.sample(ASKED, sampling, SCOPE)]
    assert len({completion.index for completion in found}) == len(found)
    return {completion.index: completion for completion in found}


async def journal_with(path: Path, indices: set[int]) -> Journal:
    journal = Journal(path)
    request = request_hash(ASKED, asdict(SAMPLING))
    for index in indices:
        await journal.append(SCOPE, request, Completion(index, f"seed {1000 + index}"))
    await journal.close()
    return Journal(path)


async def test_an_empty_journal_asks_once_for_the_whole(tmp_path: Path) -> None:
    policy = ScriptedPolicy(by_seed)
    journal = Journal(tmp_path / "j")
    await drawn(JournaledPolicy(policy, journal))
    await journal.close()
    assert [call.sampling for call in policy.calls] == [SAMPLING]


@given(present=st.sets(st.integers(0, 3)), backwards=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
async def test_only_missing_samples_are_asked_for_and_all_come_out_the_same(
    tmp_path: Path, present: set[int], backwards: bool
) -> None:
    (tmp_path / "j").unlink(missing_ok=True)
    journal = await journal_with(tmp_path / "j", present)
    policy = ScriptedPolicy(by_seed, order=reversed if backwards else iter)
    found = await drawn(JournaledPolicy(policy, journal))
    await journal.close()
    assert {index: completion.text for index, completion in found.items()} == {
        index: f"seed {1000 + index}" for index in range(4)
    }
    asked = [SAMPLING] if not present else [SAMPLING.only(i) for i in range(4) if i not in present]
    assert [call.sampling for call in policy.calls] == asked
    again = Journal(tmp_path / "j")
    assert await drawn(JournaledPolicy(ScriptedPolicy(PolicyError("asked again")), again)) == found
    await again.close()


async def test_a_resumed_usage_is_the_original(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    first = await drawn(JournaledPolicy(ScriptedPolicy(by_seed), journal))
    await journal.close()
    journal = Journal(tmp_path / "j")
    again = await drawn(JournaledPolicy(ScriptedPolicy(PolicyError("asked again")), journal))
    await journal.close()
    assert again == first
    assert sum((c.usage for c in again.values()), Usage()).calls == 1


async def test_what_came_before_a_failure_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    policy = ScriptedPolicy(by_seed, failures={replace(SCOPE, index=2): PolicyError("gone")})
    with pytest.raises(PolicyError, match="gone"):
        await drawn(JournaledPolicy(policy, journal))
    await journal.close()
    journal = Journal(tmp_path / "j")
    policy = ScriptedPolicy(by_seed)
    assert len(await drawn(JournaledPolicy(policy, journal))) == 4
    await journal.close()
    assert [call.sampling.seed for call in policy.calls] == [1002, 1003]


async def test_a_policy_that_gives_nothing_for_a_missing_sample_is_named(tmp_path: Path) -> None:
    class Silent:
        async def sample(
            self, messages: Messages, sampling: Sampling, scope: Scope
        ) -> AsyncIterator[Completion]:
            return
            yield

    journal = await journal_with(tmp_path / "j", {0, 1, 3})
    with pytest.raises(PolicyError, match="query 'q0', update of step 1, sample 2: the policy gave no"):
        await drawn(JournaledPolicy(Silent(), journal))
    await journal.close()


async def test_an_abandoned_draw_leaves_no_call_behind(tmp_path: Path) -> None:
    journal = await journal_with(tmp_path / "j", {3})
    policy = ScriptedPolicy(by_seed)
    source = JournaledPolicy(policy, journal).sample(ASKED, SAMPLING, SCOPE)
    await anext(source)
    await anext(source)
    await source.aclose()  # type: ignore[attr-defined]  # it is a generator
    await journal.close()
    assert policy.in_flight == 0


async def test_surrogate_pairs_are_the_same_before_and_after(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    odd = ScriptedPolicy(Completion(0, "\ud83c\udf0d\ud800", reasoning="\ud83c\udf0d"))
    first = await drawn(JournaledPolicy(odd, journal), Sampling(n=1))
    await journal.close()
    journal = Journal(tmp_path / "j")
    again = await drawn(JournaledPolicy(ScriptedPolicy(PolicyError("asked again")), journal), Sampling(n=1))
    await journal.close()
    assert again == first
    assert (first[0].text, first[0].reasoning) == ("🌍\ud800", "🌍")


async def test_a_call_after_a_stop_is_not_made_and_one_before_it_is(tmp_path: Path) -> None:
    journal, policy = Journal(tmp_path / "j"), ScriptedPolicy()
    await JournaledDecisions(journal).keep("q0", 2, "deadline")

    async def asked_at(step: int) -> int:
        source = JournaledPolicy(policy, journal).sample(ASKED, SAMPLING, replace(SCOPE, step=step))
        return len([completion async for completion in source])

    assert await asked_at(1) == 4
    for step in (2, 3):
        with pytest.raises(AttemptStopped, match="deadline"):
            await asked_at(step)
    await journal.close()
    assert len(policy.calls) == 1


async def scored(reward: Reward, response: str = "yes") -> Score:
    return await reward.score(ASKED, response, Scope("q0", 1, "reward", 2))


async def test_a_score_is_asked_for_once(tmp_path: Path) -> None:
    reward = ScriptedReward(len)
    journal = Journal(tmp_path / "j")
    first = await scored(JournaledReward(reward, journal))
    await journal.close()
    journal = Journal(tmp_path / "j")
    assert await scored(JournaledReward(reward, journal)) == first
    assert await scored(JournaledReward(reward, journal), "another response") != first
    await journal.close()
    assert [call.response for call in reward.calls] == ["yes", "another response"]


async def test_a_score_is_asked_for_again_where_a_column_that_it_reads_has_changed(tmp_path: Path) -> None:
    reward = ScriptedReward(len)
    for row in ({"tests": 1}, {"tests": 1, "other": 2}, {"tests": 3}):
        journal = Journal(tmp_path / "j")
        scope = Scope("q0", 1, "reward", 2, data=Query("q0", ASKED, metadata=row))
        await JournaledReward(reward, journal, ["tests"]).score(ASKED, "yes", scope)
        await journal.close()
    assert len(reward.calls) == 2


@pytest.mark.parametrize(
    "given_score",
    [Score(float("nan")), Score(float("inf")), Score(0.0, parts={"a": float("nan")}), None, Score("x")],  # type: ignore[arg-type]
)
async def test_a_score_that_is_no_finite_number_is_refused_and_not_kept(
    tmp_path: Path, given_score: Score
) -> None:
    class Odd:
        async def score(self, messages: Messages, response: str, scope: Scope) -> Score:
            return given_score

    journal = Journal(tmp_path / "j")
    with pytest.raises(RewardError, match=r"query 'q0', response 1\.2: .* must return a finite number"):
        await scored(JournaledReward(Odd(), journal))
    await journal.close()
    assert (tmp_path / "j").read_bytes() == b""


async def test_a_failed_score_is_asked_for_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with pytest.raises(RewardError, match="down"):
        await scored(JournaledReward(ScriptedReward(failures={"yes": RewardError("down")}), journal))
    assert await scored(JournaledReward(ScriptedReward(len), journal)) == Score(3.0, 1)
    await journal.close()
