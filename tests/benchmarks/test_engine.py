"""The simulated engine keeps its own arithmetic."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from benchmarks.simulation import Engine, Hardware, Served, run_virtual
from benchmarks.simulation.texts import block_keys, length, mark, prompt_runs
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.errors import ConfigError
from tpo.types import assistant, user

PLAIN = Hardware(
    weights=1.0, context=0.0, token=0.0, host=0.0, host_sequence=0.0, sequences=4, batch_tokens=100, block=4
)


def served(hardware: Hardware, jobs: Sequence[tuple[float, int, int, float]]) -> tuple[list[Served], Engine]:
    """Each job (arrival, prompt, reply, priority) on one engine."""

    async def main() -> tuple[list[Served], Engine]:
        engine = Engine(hardware)

        async def one(number: int, at: float, prompt: int, reply: int, priority: float) -> Served:
            await asyncio.sleep(at)
            return await engine.submit([(f"p{number}", prompt)], [(f"r{number}", reply)], priority)

        jobs_ = [one(number, *job) for number, job in enumerate(jobs)]
        return list(await asyncio.gather(*jobs_)), engine

    return run_virtual(main())


def test_alone_a_sequence_takes_a_step_a_token() -> None:
    (only,), engine = served(PLAIN, [(0.0, 10, 7, 0.0)])
    assert only.ended == pytest.approx(7.0)
    assert (engine.totals.steps, engine.totals.written_tokens, engine.totals.computed_tokens) == (7, 7, 10)


def test_who_arrives_joins_at_the_next_step() -> None:
    first, second = served(PLAIN, [(0.0, 4, 10, 0.0), (3.5, 4, 2, 0.0)])[0]
    assert first.ended == pytest.approx(10.0)
    assert second.started == pytest.approx(4.0)
    assert second.ended == pytest.approx(6.0)


def test_who_finds_no_place_waits_for_one_by_priority_then_in_order() -> None:
    jobs = [(0.0, 4, 5, 0.0)] * 4 + [(0.1, 4, 5, 1.0), (0.2, 4, 5, 1.0), (0.3, 4, 5, 0.0)]
    done, _ = served(replace(PLAIN, sequences=4), jobs)
    assert [s.started for s in done[:4]] == [0.0] * 4
    last = served(replace(PLAIN, sequences=1), jobs)[0]
    started = sorted(range(7), key=lambda i: last[i].started)
    assert started == [0, 1, 2, 3, 6, 4, 5]


def test_a_long_prompt_is_read_in_pieces_beside_those_who_write() -> None:
    hardware = replace(PLAIN, batch_tokens=10)
    (writer, reader), engine = served(hardware, [(0.0, 4, 20, 0.0), (1.5, 30, 1, 0.0)])
    assert writer.ended == pytest.approx(20.0)
    assert reader.ended == pytest.approx(2 + 4)  # nine tokens a step beside one that writes
    assert engine.totals.computed_tokens == 34


def test_what_was_read_or_written_before_is_not_read_again() -> None:
    async def main() -> list[int]:
        engine = Engine(PLAIN)
        text = mark("a", 21)
        conversations = (
            [user(mark("q", 12))],
            [user(mark("q", 12)), assistant(text), user(mark("ask", 9))],
            [user(mark("other", 12)), assistant(text)],
        )
        return [
            (await engine.submit(prompt_runs(messages), [(text, 21)])).cached_tokens
            for messages in conversations
        ]

    # 4 + 12 + 4 of the first prompt and 21 of its reply, in whole blocks of 4; nothing after
    # another start but the turn's own header, a block long.
    assert run_virtual(main()) == [0, 40, 4]


def test_the_least_recently_used_blocks_go_first() -> None:
    async def main() -> list[int]:
        engine = Engine(replace(PLAIN, cache_tokens=40, sequences=1))
        return [
            (await engine.submit([(name, 16)], [(f"{name}r", 1)])).cached_tokens
            for name in ("a", "b", "a", "c", "d", "a")
        ]

    assert run_virtual(main()) == [0, 0, 12, 0, 0, 0]


def test_what_running_sequences_share_is_held_once_and_who_has_no_room_waits() -> None:
    async def main(names: str) -> tuple[list[float], int]:
        engine = Engine(replace(PLAIN, cache_tokens=30))
        sequences = [engine.submit([(name, 16)], [(f"{name}{i}", 6)]) for i, name in enumerate(names)]
        done = await asyncio.gather(*sequences)
        return [it.started for it in done], engine.totals.most_held

    assert run_virtual(main("aa")) == ([0.0, 0.0], 16 + 2 * 6)
    assert run_virtual(main("aab")) == ([0.0, 0.0, 6.0], 16 + 2 * 6)


def test_an_engine_that_would_preempt_stops_with_an_error() -> None:
    async def main() -> None:
        engine = Engine(replace(PLAIN, cache_tokens=40))
        await asyncio.gather(*(engine.submit([(name, 16)], [(f"{name}r", 30)]) for name in "ab"))

    with pytest.raises(RuntimeError, match="would preempt"):
        run_virtual(main())


@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.integers(1, 60), st.integers(1, 30), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=60)
def test_every_token_is_computed_once_and_no_step_is_shorter_than_its_formula(
    jobs: list[tuple[float, int, int, float]], sequences: int
) -> None:
    hardware = Hardware(
        weights=0.5,
        context=0.01,
        token=0.02,
        host=0.1,
        host_sequence=0.001,
        sequences=sequences,
        batch_tokens=16,
    )
    done, engine = served(hardware, jobs)
    totals = engine.totals
    assert totals.computed_tokens == sum(prompt for _, prompt, _, _ in jobs)
    assert totals.written_tokens == sum(reply for _, _, reply, _ in jobs)
    for job, it in zip(jobs, done, strict=True):
        alone = served(hardware, [(0.0, *job[1:])])[0][0].ended
        assert it.started >= job[0] - 1e-6
        assert it.ended - it.started >= alone - 1e-6
    assert engine.running == 0
    assert totals.busy_seconds <= max(it.ended for it in done) + 1e-6


@given(st.integers(0, 40), st.integers(0, 300), st.integers(0, 200), st.integers(1, 50), st.booleans())
def test_many_steps_at_once_take_as_long_as_one_by_one(
    decoding: int, context: int, prompt: int, steps: int, overlaps: bool
) -> None:
    hardware = Hardware(
        weights=1.0, context=0.013, token=0.11, host=0.3, host_sequence=0.01, overlaps=overlaps
    )
    each = sum(hardware.seconds(decoding, context + j * decoding, prompt) for j in range(steps))
    assert hardware.seconds(decoding, context, prompt, steps) == pytest.approx(each)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"sequences": 0}, "sequences is 0"),
        ({"block": 0}, "block is 0"),
        ({"batch_tokens": 4}, "no token left to read a prompt with"),
    ],
)
def test_an_engine_that_could_not_work_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(PLAIN, **wrong)


def test_blocks_are_told_apart_by_all_that_comes_before_them() -> None:
    one, other = [("a", 6), ("b", 6)], [("a", 6), ("c", 6)]
    assert block_keys(one, 4)[:1] == block_keys(other, 4)[:1]
    assert block_keys(one, 4)[1] != block_keys(other, 4)[1]
    assert len(block_keys(one, 4)) == length(one) // 4
