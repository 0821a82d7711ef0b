import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.bench.scripted import answer, judge
from tpo.errors import PolicyRefused, TpoError
from tpo.experiments.bench.beavertails import BEAVERTAILS
from tpo.experiments.bench.grade_store import FILE, GradeStore, grade_key, read_grades
from tpo.experiments.bench.graders.base import Answer, Grade, GradingContext, async_grader, ungraded


class Grader:
    """Grades by length; fails at the texts it is told to, and at all of them once it has died."""

    def __init__(self, *failing: str, dies_at: str | None = None) -> None:
        self.asked: list[str] = []
        self.failing = failing
        self.dies_at = dies_at
        self.is_dead = False

    async def __call__(self, one: Answer, _: GradingContext) -> Grade:
        self.asked.append(one.text)
        self.is_dead = self.is_dead or one.text == self.dies_at
        if self.is_dead or one.text in self.failing:
            raise PolicyRefused("the judge is gone" if self.is_dead else f"{one.text} is filtered")
        return ungraded("nonsense") if one.text == "?" else Grade(float(len(one.text)), "scored")


def kept_by(grader: Grader, folder: Path) -> GradeStore:
    return GradeStore(replace(BEAVERTAILS, grade=async_grader(grader)), folder)


async def test_equal_answers_are_graded_once_and_never_again(tmp_path: Path) -> None:
    grader = Grader()
    answers = [answer("aa"), answer("aa"), answer("b")]
    for _ in range(2):
        grades = await kept_by(grader, tmp_path).grade_all(answers, GradingContext())
        assert [grade.score for grade in grades] == [2.0, 2.0, 1.0]
    assert sorted(grader.asked) == ["aa", "b"]


async def test_what_was_graded_before_a_judge_died_is_kept(tmp_path: Path) -> None:
    answers = [answer(text, name=text) for text in ("a", "ccc", "bb")]
    with pytest.raises(PolicyRefused, match=r"the judge is gone \(2 of 3 answers were graded and are kept"):
        await kept_by(Grader(dies_at="bb"), tmp_path).grade_all(answers, GradingContext())
    again = Grader()
    grades = await kept_by(again, tmp_path).grade_all(answers, GradingContext())
    assert [grade.score for grade in grades] == [1.0, 3.0, 2.0]
    assert again.asked == ["bb"]


async def test_a_question_that_a_living_judge_refuses_is_ungraded_with_its_own_reason(tmp_path: Path) -> None:
    answers = [answer(text, name=text) for text in ("a", "bb", "ccc", "dddd")]
    grades = await kept_by(Grader("bb", "dddd"), tmp_path).grade_all(answers, GradingContext())
    assert [grade.score for grade in grades] == [1.0, None, 3.0, None]
    assert [grades[n].details["reason"] for n in (1, 3)] == ["bb is filtered", "dddd is filtered"]
    # The next invocation asks for these alone, and takes a grade that is kept for the judge's pulse.
    again = Grader("bb")
    grades = await kept_by(again, tmp_path).grade_all(answers, GradingContext())
    assert [grade.score for grade in grades] == [1.0, None, 3.0, 4.0]
    assert set(again.asked) == {"bb", "dddd"}


async def test_a_judge_that_grades_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="a is filtered"):
        await kept_by(Grader("a", "bb"), tmp_path).grade_all([answer("a"), answer("bb")], GradingContext())


async def test_what_could_not_be_graded_is_asked_for_again_by_the_next(tmp_path: Path) -> None:
    grades = await kept_by(Grader(), tmp_path).grade_all([answer("?")], GradingContext())
    assert grades[0].verdict == "ungraded"
    again = Grader()
    await kept_by(again, tmp_path).grade_all([answer("?")], GradingContext())
    assert again.asked == ["?"]


async def test_a_line_that_was_cut_or_changed_is_graded_again(tmp_path: Path) -> None:
    answers = [answer("a", name="a"), answer("bb", name="bb")]
    await kept_by(Grader(), tmp_path).grade_all(answers, GradingContext())
    file = tmp_path / FILE
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first.replace(b"1.0", b"9.0") + second[:20])
    again = Grader()
    grades = await kept_by(again, tmp_path).grade_all(answers, GradingContext())
    assert [grade.score for grade in grades] == [1.0, 2.0]
    assert sorted(again.asked) == ["a", "bb"]


def test_a_grade_depends_on_judge_query_answer_and_options() -> None:
    one, plain = answer("a"), GradingContext()
    keys = [
        grade_key(BEAVERTAILS, one, plain),
        grade_key(BEAVERTAILS, replace(one, text="b"), plain),
        grade_key(BEAVERTAILS, replace(one, reward=1.0), plain),
        grade_key(BEAVERTAILS, replace(one, baseline="x"), plain),
        grade_key(BEAVERTAILS, answer("a", prompt="else?"), plain),
        grade_key(BEAVERTAILS, one, GradingContext(judge=judge("7"))),
        grade_key(BEAVERTAILS, one, GradingContext(options={"prompt": "x"})),
        grade_key(BEAVERTAILS, one, GradingContext(held_out_name="x")),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == grade_key(BEAVERTAILS, replace(one, seed=8, generator="other"), plain)


def test_a_grade_depends_on_a_files_content_and_a_rewards_weights(tmp_path: Path) -> None:
    one, file = answer("a"), tmp_path / "prompt.txt"
    file.write_text("Judge.")
    context = GradingContext(options={"prompt": str(file)})
    before = grade_key(BEAVERTAILS, one, context)
    file.write_text("Judge well.")
    assert grade_key(BEAVERTAILS, one, context) != before
    (tmp_path / "moved.txt").write_text("Judge.")
    moved = GradingContext(options={"prompt": str(tmp_path / "moved.txt")})
    assert grade_key(BEAVERTAILS, one, moved) == before
    weighed = [GradingContext(held_out_name="x", held_out_weights=weights) for weights in ("", "a", "b")]
    assert len({grade_key(BEAVERTAILS, one, each) for each in weighed}) == 3


@pytest.mark.parametrize(
    ("grades", "why"),
    [
        ([(0, Grade(1.0, "x")), (0, Grade(2.0, "x"))], "repeated or invalid"),
        ([(5, Grade(1.0, "x"))], "position 5 of 1 is repeated or invalid"),
        ([(0, Grade(float("nan"), "x"))], "the score nan is not finite"),
    ],
)
async def test_a_grader_that_breaks_its_promise_gives_no_number(
    tmp_path: Path, grades: list[tuple[int, Grade]], why: str
) -> None:
    async def broken(answers: Sequence[Answer], context: GradingContext) -> AsyncIterator[tuple[int, Grade]]:
        for each in grades:
            yield each

    with pytest.raises(TpoError, match=why):
        await GradeStore(replace(BEAVERTAILS, grade=broken), tmp_path).grade_all(
            [answer("a")], GradingContext()
        )


async def test_an_answer_that_a_grader_forgets_is_ungraded(tmp_path: Path) -> None:
    async def lazy(answers: Sequence[Answer], context: GradingContext) -> AsyncIterator[tuple[int, Grade]]:
        yield 0, Grade(1.0, "x")

    grades = GradeStore(replace(BEAVERTAILS, grade=lazy), tmp_path)
    assert [g.verdict for g in await grades.grade_all([answer("a"), answer("b")], GradingContext())] == [
        "x",
        "ungraded",
    ]


async def test_the_file_tells_who_graded_what(tmp_path: Path) -> None:
    await kept_by(Grader(), tmp_path).grade_all([answer("a")], GradingContext(judge=judge("7", "gpt-9")))
    record = json.loads((tmp_path / FILE).read_text())
    assert (record["benchmark"], record["id"], record["judge"]) == ("beavertails", "q0", "gpt-9")


def test_no_file_holds_no_grades(tmp_path: Path) -> None:
    assert read_grades(tmp_path / "nowhere") == {}
