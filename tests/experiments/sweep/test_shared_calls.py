import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.experiments.sweep.scripted import GUIDE, OTHER, carried_out, models, plan, say, trajectories, worth
from tests.report.runs import questions
from tpo.errors import PolicyError
from tpo.experiments.sweep.run_cells import run_cells
from tpo.experiments.sweep.shared_calls import SharedSampling, first_samples
from tpo.methods.catalog import build_method
from tpo.methods.seeds import base_seed
from tpo.policies.scripted import PolicyCall, ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Completion, Query, Sampling, Scope, Usage, user

QUERY = Query("q", (user("Why?"),))
AT = Scope("q", 0, "sample")


@pytest.mark.parametrize(
    ("order", "samples"), [(iter, (2, 4)), (reversed, (4, 2))], ids=["in order", "last first"]
)
def test_shared_and_unshared_cells_have_equal_trajectories(
    tmp_path: Path, order: Callable[[Sequence[int]], Iterable[int]], samples: tuple[int, int]
) -> None:
    shape: dict[str, Any] = {"methods": ("tpo", "bon", "paper"), "samples": samples, "iterations": (1, 2)}
    shared = plan(tmp_path / "shared", **shape, queries=2)
    alone = plan(tmp_path / "alone", **shape, queries=2, shares=False)
    carried_out(shared, models(shared, order=order))
    carried_out(alone, models(alone, order=order))
    assert len(shared.cells) == 10
    for one, other in zip(shared.cells, alone.cells, strict=True):
        # Text, rewards, steps and what it cost: all but when it was made.
        assert trajectories(shared, one) == trajectories(alone, other)


def test_first_samples_are_drawn_once_for_all_cells_of_a_seed_and_a_layout(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("revision", "bon", "paper-bon"), samples=(2, 3), seeds=(7, 8), queries=1)
    policy = ScriptedPolicy(say)
    carried_out(of, models(of, policy))
    drawn = [call for call in policy.calls if call.scope.phase == "sample"]
    # Two seeds, two layouts: one draw of the widest each.
    assert [call.sampling.n for call in drawn] == [3] * 4
    assert len({(call.sampling.seed, call.messages[0]["role"]) for call in drawn}) == 4


def test_a_deeper_cell_goes_on_where_the_shallower_one_ended(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("tpo",), samples=(3,), iterations=(1, 2), queries=1)
    policy = ScriptedPolicy(say)
    carried_out(of, models(of, policy))
    asked = [(call.scope.phase, call.scope.step) for call in policy.calls]
    assert sorted(asked) == sorted(
        [("sample", 0), *((phase, step) for step in (1, 2) for phase in ("loss", "gradient", "update"))]
    )


def test_scores_are_shared_under_one_reward_and_never_between_two(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2, 4), rewards=(GUIDE, OTHER), queries=1)
    rewards = {GUIDE: ScriptedReward(worth), OTHER: ScriptedReward(lambda text: -worth(text))}
    carried_out(of, models(of, rewards=rewards))
    assert [len(reward.calls) for reward in rewards.values()] == [4, 4]
    best = {cell.reward: trajectories(of, cell)[0].best for cell in of.cells}
    first, other = best[GUIDE], best[OTHER]
    assert first is not None
    assert other is not None
    assert first.text != other.text


def test_calls_of_another_policy_are_never_answered_from(tmp_path: Path) -> None:
    one = plan(tmp_path)
    other = replace(one, settings=replace(one.settings, policy=("hf:made/another",)))
    assert one.shared_folder() != other.shared_folder()
    assert one.shared_folder() != replace(one, digest="sha256:another").shared_folder()


def test_what_failed_is_asked_again_and_what_came_is_not(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2, 4), queries=1)
    failing = ScriptedPolicy(say, failures={Scope("q0", 0, "sample", 2): PolicyError("gone")})
    record = carried_out(of, models(of, failing))
    assert [cell["failed"] for cell in record["cells"]] == [1, 0]
    # One draw of four, of which two came; the second cell asks for the other two, each with its own seed.
    base = failing.calls[0].sampling.seed
    assert [(call.sampling.n, call.sampling.seed - base) for call in failing.calls] == [
        (4, 0),
        (1, 2),
        (1, 3),
    ]
    policy = ScriptedPolicy(say)
    assert carried_out(of, models(of, policy))["cells"][0]["finished"] == 1
    assert policy.calls == []


def asked(n: int, method: str = "tpo", **more: Any) -> Sampling:
    built = build_method(method, sample_size=n, **more)
    return replace(built.sampling, seed=base_seed(7, AT, n))


def test_samples_of_a_later_step_are_no_larger_draw() -> None:
    query = questions(1)[0]
    methods = tuple(build_method("bon", sample_size=n) for n in (2, 60))
    shared = SharedSampling(methods, {query.id: query}, 7)
    later = Scope(query.id, 1, "sample")
    sampling = replace(methods[0].sampling, seed=base_seed(7, later, 2))
    assert shared.largest_draw(query.messages, sampling, later).n == 2


def test_a_rule_that_draws_in_rounds_draws_no_more_for_a_larger_pool(tmp_path: Path) -> None:
    policies = [ScriptedPolicy(say) for _ in range(2)]
    for policy, shares in zip(policies, (True, False), strict=True):
        of = plan(tmp_path / str(shares), methods=("bon",), samples=(60,), queries=1, shares=shares)
        settings = replace(of.settings, sample_cost=0.05)
        cells = tuple(replace(cell, settings=replace(cell.settings, sample_cost=0.05)) for cell in of.cells)
        of = replace(of, settings=settings, cells=cells)
        carried_out(of, models(of, policy))
    shared, alone = ([call.sampling.n for call in policy.calls] for policy in policies)
    assert shared == alone
    assert 0 < sum(alone) < 60


@pytest.mark.parametrize(
    ("n", "more", "drawn"),
    [
        (3, {}, 8),
        (8, {}, 8),
        (3, {"temperature": 1.0}, 3),  # another distribution
        (3, {"max_tokens": 9}, 3),  # cut elsewhere
        (20, {}, 20),  # nobody asks for more
    ],
)
def test_only_a_draw_of_the_same_samples_is_widened(n: int, more: dict[str, Any], drawn: int) -> None:
    demand = SharedSampling([build_method("bon", sample_size=8)], {"q": QUERY}, 7)
    assert demand.largest_draw(QUERY.messages, asked(n, **more), AT).n == drawn


def test_beyond_the_stride_of_seeds_nothing_is_widened() -> None:
    demand = SharedSampling([build_method("bon", sample_size=2000)], {"q": QUERY}, 7)
    # Were the base seeds alike by chance, these would be the same samples.
    assert base_seed(7, AT, 5) != base_seed(7, AT, 2000)
    assert demand.largest_draw(QUERY.messages, asked(5), AT).n == 5


def test_neither_critiques_nor_other_prompts_nor_unknown_queries_are_widened() -> None:
    demand = SharedSampling([build_method("bon", sample_size=8)], {"q": QUERY}, 7)
    for messages, scope in [
        (QUERY.messages, Scope("q", 1, "loss")),
        ((user("Who?"),), AT),
        (QUERY.messages, Scope("another", 0, "sample")),
    ]:
        assert demand.largest_draw(messages, asked(3), scope).n == 3


def drawn(*usages: Usage, lengths: Sequence[int] = ()) -> list[Completion]:
    sizes = lengths or [4] * len(usages)
    return [
        Completion(i, "x" * size, usage=usage)
        for i, (usage, size) in enumerate(zip(usages, sizes, strict=True))
    ]


def cost(completions: Iterable[Completion]) -> Usage:
    return sum((each.usage for each in completions), Usage())


def test_the_prompt_goes_with_the_first_of_the_kept_whoever_came_first() -> None:
    late = drawn(Usage(completion_tokens=2), Usage(completion_tokens=3), Usage(1, 40, 8, 5))
    assert cost(first_samples(late, 2)) == Usage(1, 40, 8, 5)
    assert cost(first_samples(late[::-1], 3)) == Usage(1, 40, 8, 10)


def test_each_request_of_its_own_is_counted_for_itself() -> None:
    singles = drawn(*[Usage(1, 40, 0, 5)] * 3)
    assert cost(first_samples(singles, 2)) == Usage(2, 80, 0, 10)


def test_what_a_server_tells_for_a_request_is_shared_out_by_length() -> None:
    together = drawn(Usage(1, 40, 0, 100), Usage(), Usage(), lengths=[10, 30, 60])
    assert cost(first_samples(together, 1)) == Usage(1, 40, 0, 10)
    assert cost(first_samples(together, 2)) == Usage(1, 40, 0, 40)


def test_a_server_that_tells_nothing_is_not_made_up_for() -> None:
    assert cost(first_samples(drawn(Usage(1), Usage(), Usage()), 2)) == Usage(1)


@given(total=st.integers(0, 10_000), lengths=st.lists(st.integers(0, 500), min_size=1, max_size=12))
def test_shares_add_up_to_the_whole_and_rise_with_the_pool(total: int, lengths: list[int]) -> None:
    together = drawn(Usage(1, 7, 0, total), *[Usage()] * (len(lengths) - 1), lengths=lengths)
    written = [cost(first_samples(together, n)).completion_tokens for n in range(1, len(lengths) + 1)]
    assert written[-1] == total
    assert written == sorted(written)
    assert all(cost(first_samples(together, n)).calls == 1 for n in range(1, len(lengths) + 1))


def test_a_policy_that_ignores_its_seed_is_still_shared_by_the_first_of_the_pool(tmp_path: Path) -> None:
    count = iter(range(10_000))

    def unseeded(call: PolicyCall, index: int) -> str:
        return f"sample {index} {next(count)}"

    of = plan(tmp_path, methods=("bon",), samples=(2, 4), queries=2)
    carried_out(of, models(of, ScriptedPolicy(unseeded)))
    small, large = (trajectories(of, cell) for cell in of.cells)
    for few, many in zip(small, large, strict=True):
        assert [each.text for each in few.initial] == [each.text for each in many.initial[:2]]


def test_a_cell_that_is_left_early_lets_its_journals_go(tmp_path: Path) -> None:
    of = plan(tmp_path, methods=("bon",), samples=(2,), queries=1)
    asked, never = asyncio.Event(), asyncio.Event()

    async def hold(call: PolicyCall, index: int) -> None:
        asked.set()
        await never.wait()

    async def whole() -> None:
        task = asyncio.create_task(run_cells(of, of.cells, models(of, ScriptedPolicy(say, before=hold))))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await run_cells(of, of.cells, models(of)) == {}

    asyncio.run(whole())
    assert len(trajectories(of, of.cells[0])) == 1
