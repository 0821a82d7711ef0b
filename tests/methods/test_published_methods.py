"""Order and content of calls against the published algorithms, each written here as a plain loop.

Checked against the authors' code of recursive self-aggregation (github.com/HyperPotatoNeo/RSA, eval_loop.py)
and of TMPC (github.com/NYCU-RL-Bandits-Lab/Plan2Align, plan2align_hh.py), against an independent program for
Feedback Descent (github.com/JaredJoss/feedback-descent), and against the paper of fusion. The docstrings of
the methods say where they differ on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.report.runs import chance
from tpo.methods.aggregate import aggregate
from tpo.methods.feedback_history import feedback_history
from tpo.methods.fusion import fusion
from tpo.methods.method import Method
from tpo.methods.optimize import Optimizer
from tpo.methods.tmpc import tmpc
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import plain_text

SEEDS = range(6)
NUMBER = re.compile(r"\[(\d+)\]")
"""Every scripted text holds a number of its own in brackets."""


def worth(seed: int) -> Callable[[str], float]:
    return lambda text: chance(seed, text)


def carried_out(method: Method, seed: int, parts: int = 1) -> tuple[list[PolicyCall], list[str], list[str]]:
    """Return the calls of *method*, the texts that it was given in order, and those that were scored."""
    numbers, texts = count(), list[str]()

    def say(call: PolicyCall, index: int) -> str:
        del index
        if call.scope.phase == "feedback":
            return f"remark [{next(numbers)}]."
        text = " ".join(f"Part [{next(numbers)}]." for _ in range(parts))
        texts.append(text)
        return text if call.scope.phase == "sample" else improved(text)

    policy, reward = ScriptedPolicy(say), ScriptedReward(worth(seed))
    trajectory = Optimizer(policy, reward, method, seed=seed).run("Hello?")
    assert trajectory.status == "finished"
    return policy.calls, texts, [call.response for call in reward.calls]


def shown(call: PolicyCall) -> list[int]:
    """Return the numbers of the texts in a prompt, in order."""
    return [int(found) for message in call.messages for found in NUMBER.findall(plain_text(message))]


@pytest.mark.parametrize("seed", SEEDS)
def test_aggregation_draws_n_subsets_of_k_from_the_last_population_alone(seed: int) -> None:
    n, k, loops = 6, 3, 3
    method = aggregate(sample_size=n, max_iterations=loops, subset_size=k)
    calls, texts, _ = carried_out(method, seed)
    first, rest = calls[0], calls[1:]
    assert (first.sampling.n, len(rest), len(texts)) == (n, n * loops, n * (loops + 1))
    for loop in range(loops):
        # Population t is what the N calls of loop t wrote: here the texts' numbers count up.
        population = set(range(n * loop, n * (loop + 1)))
        subsets = [shown(call) for call in rest[n * loop : n * (loop + 1)]]
        assert all(len(each) == k == len(set(each)) and set(each) <= population for each in subsets)
        assert len({frozenset(each) for each in subsets}) > 1, "each call has a subset of its own"
    for call in rest:
        assert plain_text(call.messages[0]) == "Hello?"
        same = (call.sampling.temperature, call.sampling.top_p, call.sampling.max_tokens)
        assert (call.sampling.n, same) == (
            1,
            (first.sampling.temperature, first.sampling.top_p, first.sampling.max_tokens),
        )


def descent(steps: int, value: Callable[[str], float]) -> Iterator[tuple[str, list[int]]]:
    """Feedback Descent with two seeds; yield phase and shown numbers of each call after them.

    A proposal sees the champion and the remarks since it became that; an evaluation compares champion and
    challenger. The one difference to the published loop: the remark on the comparison that made the champion
    is shown, where that loop shows none.
    """
    numbers = count(2)
    champion, challenger = sorted((0, 1), key=lambda number: -value(f"Part [{number}]."))
    remarks: list[int] = []
    for _ in range(steps):
        yield "feedback", [champion, challenger]
        remarks.append(next(numbers))
        yield "update", [champion, *remarks]
        challenger = next(numbers)
        if value(f"Part [{challenger}].") > value(f"Part [{champion}]."):
            champion, challenger, remarks = challenger, champion, []


@pytest.mark.parametrize("seed", SEEDS)
def test_feedback_descent_shows_the_remarks_since_the_last_win(seed: int) -> None:
    calls, _, _ = carried_out(feedback_history(sample_size=2, max_iterations=1), seed)
    assert [call.scope.phase for call in calls] == ["sample", "feedback", "update"]

    def one_challenger(call: PolicyCall, index: int) -> str:
        number = next(numbers) if call.scope.phase != "update" or index == 0 else None
        text = f"remark [{number}]." if call.scope.phase == "feedback" else f"Part [{number}]."
        return text if call.scope.phase != "update" else improved(text) if index == 0 else "unreadable"

    numbers = count()
    policy = ScriptedPolicy(one_challenger)
    method = feedback_history(sample_size=2, max_iterations=8)
    Optimizer(policy, ScriptedReward(worth(seed)), method, seed=seed).run("Hello?")
    assert [(call.scope.phase, shown(call)) for call in policy.calls[1:]] == list(descent(8, worth(seed)))


@pytest.mark.parametrize("seed", SEEDS)
def test_predictive_control_scores_each_new_segment_once_and_shows_the_best_of_all_rounds(seed: int) -> None:
    n, rounds, kept = 2, 3, 3
    calls, texts, scored = carried_out(
        tmpc(sample_size=n, max_iterations=rounds, buffer_size=kept), seed, parts=3
    )
    value = worth(seed)
    buffer: dict[str, float] = {}
    for number, call in enumerate(calls[1:]):
        newest = texts[n * number : n * (number + 1)]
        buffer |= {part: value(part) for text in newest for part in re.findall(r"Part \[\d+\]\.", text)}
        best = sorted(buffer, key=lambda part: -buffer[part])[:kept]
        chosen = max(texts[: n * (number + 1)], key=value)
        assert plain_text(call.messages[1]) == chosen
        assert NUMBER.findall(plain_text(call.messages[-1])) == NUMBER.findall("".join(best))
    segments = [each for each in scored if each not in texts]
    assert sorted(segments) == sorted(buffer), "each segment of a round that is followed by another, once"
    assert len(calls) == 1 + rounds


@pytest.mark.parametrize("seed", SEEDS)
def test_fusion_is_one_call_that_sees_every_sample_once(seed: int) -> None:
    calls, texts, scored = carried_out(fusion(sample_size=5), seed)
    best = max(texts[:5], key=worth(seed))
    ours = int(NUMBER.findall(best)[0])
    assert [call.sampling.n for call in calls] == [5, 1]
    assert shown(calls[1]) == [ours, *(number for number in range(5) if number != ours)]
    assert scored[-1] == texts[-1], "the fused text is scored into the pool"
