from dataclasses import replace

import pytest

from tests.steps import first_step, tpo_step
from tests.store.values import trajectory
from tpo.report.measures import measure
from tpo.types import Call, Candidate, Pair, Phase, Score, Step, Usage, user


def test_a_trajectory_in_numbers() -> None:
    measures = measure(trajectory("q", reward=1.5))
    assert [step.rewards for step in measures.steps] == [(-1.0, 0.0), (1.5,)]
    assert [step.best for step in measures.steps] == [0.0, 1.5]
    assert [step.drawn for step in measures.steps] == [2, 2]  # one of the updates was malformed
    assert [step.characters for step in measures.steps] == [len("poor") + len("fair"), len("better")]
    assert (measures.answer, measures.answer_step, measures.malformed) == (1.5, 1, 1)
    assert measures.gain == 1.5
    assert measures.seconds == 2.5


def test_updates_that_are_all_worse_give_a_gain_below_zero_though_the_answer_stays() -> None:
    measures = measure(trajectory("q", reward=-4.0))
    assert measures.gain == -4.0
    assert (measures.answer, measures.answer_step) == (0.0, 0)


def test_without_an_improved_response_there_is_no_gain() -> None:
    assert measure(replace(trajectory("q"), steps=())).gain is None


def test_an_empty_pool_has_neither_best_nor_answer() -> None:
    measures = measure(replace(trajectory("q", error="gone"), first=first_step(()), steps=()))
    assert (measures.steps[0].best, measures.answer, measures.finished) == (None, None, False)


def test_tokens_of_a_record_without_the_calls_own_are_shared_out_by_the_length_of_the_texts() -> None:
    one = trajectory("q")
    better = Candidate(2, 0, "better", Score(1.0))
    pair = Pair(*one.initial)
    long = tpo_step(2, pair, [better], loss=((user("c" * 21),), "x" * 27))
    usage: dict[Phase, Usage] = {
        "sample": Usage(1, 10, 0, 20),
        "loss": Usage(2, 280, 0, 36),
        "gradient": Usage(2, 100, 0, 50),
    }
    first = Step(0, (), one.initial)
    measures = measure(replace(one, first=first, steps=(one.steps[0], long), usage=usage))
    # loss: 7 and 21 characters went in, 9 and 27 came out; gradient: as much in each step
    assert [step.read for step in measures.steps] == pytest.approx([10, 10 + 70 + 50, 10 + 280 + 100])
    assert [step.written for step in measures.steps] == pytest.approx([20, 20 + 9 + 25, 20 + 36 + 50])


def test_tokens_by_step_are_those_of_its_calls() -> None:
    one = trajectory("q")
    steps = [
        tpo_step(number, Pair(*one.initial), usage=[Usage(1, read, 0, 7), Usage(1, 10, 0, 8), Usage()])
        for number, read in ((1, 30), (2, 50))
    ]
    usage = {"sample": Usage(1, 2, 0, 2), "loss": Usage(2, 80, 0, 14), "gradient": Usage(2, 20, 0, 16)}
    measures = measure(replace(one, steps=tuple(steps), usage=usage))
    assert [step.read for step in measures.steps] == pytest.approx([2, 42, 102])
    assert [step.written for step in measures.steps] == pytest.approx([2, 17, 32])


def test_samples_that_a_later_step_draws_are_no_first_samples() -> None:
    one = trajectory("q")
    wider = Call("sample", (user("a question"),), n=2, branch=1, reads=True, usage=Usage(1, 5, 0, 40))
    steps = (replace(one.steps[0], calls=(*one.steps[0].calls, wider)),)
    first = first_step(one.initial, Usage(1, 5, 4, 20))
    measures = measure(replace(one, first=first, steps=steps, usage={"sample": Usage(2, 10, 4, 60)}))
    assert (measures.sample_read, measures.sample_written) == (5, 20)
    assert (measures.sample_cached, measures.sample_requests) == (4, 1)


def test_the_digest_tells_questions_apart() -> None:
    one = trajectory("q")
    other = replace(one, query=replace(one.query, messages=(user("another question"),)))
    assert measure(one).digest == measure(one).digest
    assert measure(one).digest != measure(other).digest


def test_the_check_of_the_best_and_the_members_disagreement_by_step() -> None:
    def candidate(step: int, index: int, *members: float) -> Candidate:
        score = Score(sum(members), parts=dict(zip("ab", members, strict=True)), check=10.0 * sum(members))
        return Candidate(step, index, "x", score)

    first = [candidate(0, 0, 0.0, 0.0), candidate(0, 1, 1.0, 1.0)]
    step = tpo_step(1, Pair(first[1], first[0]), [candidate(1, 0, 3.0, -1.0)])
    measures = measure(replace(trajectory("q"), first=first_step(first), steps=(step,))).steps
    assert [each.best_check for each in measures] == [20.0, 20.0]  # rewards 0, 2 and 2: the first one stays
    assert measures[0].disagreement == pytest.approx((0.5345 + 0.7460) / 2, abs=1e-4)  # half of z(a) - z(b)
    assert measures[1].disagreement == pytest.approx(1.2805, abs=1e-4)


def test_similarity_is_the_share_of_word_pairs_that_a_first_sample_has() -> None:
    first = [Candidate(0, 0, "a b c", Score(0.0)), Candidate(0, 1, "B c d", Score(1.0))]
    step = tpo_step(1, Pair(first[1], first[0]), [Candidate(1, 0, "a b x c d", Score(2.0))])
    measures = measure(replace(trajectory("q"), first=first_step(first), steps=(step,))).steps
    assert measures[0].similarity == pytest.approx(0.5)  # "b c" of two pairs, in each
    assert measures[1].similarity == pytest.approx(0.5)  # "a b" and "c d" of four pairs
    assert (measures[0].best_check, measures[0].disagreement) == (None, None)
