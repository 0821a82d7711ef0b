import asyncio

import pytest

from tests.experiments.bench.scripted import answer
from tpo.experiments.bench.graders.base import GradingContext
from tpo.experiments.bench.graders.mathematics import compare_with_reference, grade_mathematics

CORRECT = [
    # equivalent forms
    (r"\frac{1}{2}", r"\boxed{0.5}"),
    (r"\frac{1}{2}", r"So it is $\frac{2}{4}$."),
    (r"\frac{1}{2}", "The answer is 1/2."),
    (r"\frac{3}{2}", r"\boxed{1\frac{1}{2}}"),
    ("p - q", r"\boxed{-q+p}"),
    ("y = 2x+3", r"\boxed{2x+3}"),
    (r"1 \pm \sqrt{19}", r"\boxed{1+\sqrt{19}, 1-\sqrt{19}}"),
    ("1,-2", r"\boxed{-2, 1}"),
    (r"11,\! 111,\! 100", r"\boxed{11111100}"),
    # boxed or not, and what else stands there
    ("70", "First 20, then 50; in total 70 ways."),
    ("4", "**Final answer: 4**"),
    ("4", r"The answer is \boxed{4}. So \boxed{4}"),
    (r"\text{Evelyn}", r"\boxed{Evelyn}"),
    (r"\text{(C)}", r"\boxed{C}"),
    # intervals and tuples
    ("[-2,7]", r"\boxed{x \in [-2,7]}"),
    (r"x \in [-2,7]", r"\boxed{[-2,7]}"),
    (r"(-\infty, 0] \cup [1, \infty)", r"\boxed{(-\infty,0]\cup[1,\infty)}"),
    (r"(3, \frac{\pi}{2})", r"\boxed{\left( 3, \frac{\pi}{2} \right)}"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\boxed{\begin{bmatrix} 1 \\ 2 \end{bmatrix}}"),
    # relations that describe an interval
    (r"(2,\infty)", r"\boxed{x > 2}"),
    ("[1,3]", r"\boxed{1 \le x \le 3}"),
    (r"[ \frac{\pi}{2}, \frac{5 \pi}{3} )", r"\boxed{\frac{\pi}{2} \le t < \frac{5\pi}{3}}"),
    # what is taken back does not count
    ("5", r"So \boxed{3}. Wait, that is wrong. It is \boxed{5}."),
    ("5", r"\boxed{3}. On checking, the correct answer is \boxed{5}."),
    ("1,-2", r"\boxed{3}. Correction: \boxed{1} and \boxed{-2}"),
    ("3", r"\boxed{3}. Wait, is that right? It is."),
    ("6", r"So x is \boxed{5}. Wait, that is wrong. The answer is 6."),
    ("6", "\\boxed{5}. Wait, 2 + 3 is wrong.\n\nSo the final answer is: **$6$**."),
    ("-6", r"\boxed{5}. On checking, the correct answer is -6 cm."),
    ("5", r"\boxed{5}. Wait, is that right? Yes, the answer is correct."),
    ("5", r"\boxed{5}. Wait, without the first one the answer is 6. But it counts."),
    ("5", r"\boxed{5}. The answer is 6 less one."),
    ("6", r"\boxed{5}. Wait, I made an error. The correct answer is **6**."),
    ("6", r"\boxed{5}. Wait, that is wrong. **The correct answer is: 6**"),
    ("6", r"\boxed{5}. Wait, that is wrong. The answer is 6!"),
    ("6", r"\boxed{5}. Sorry, the answer is 6 - I miscounted."),
    ("6-t", r"\boxed{6-t}. Wait, that is right, the answer is 6 - t."),
    ("2x", r"\boxed{2x}. Thus the correct answer is 2x."),
    (r"12\pi", r"\boxed{12\pi}. Actually, checking again: the answer is 12π square units."),
    ("3+i", r"\boxed{3+i}. Thus the correct answer is 3 + i."),
    ("7!", r"\boxed{7!}. Wait, that is right, the answer is 7!."),
    ("1,2", r"\boxed{1, 2}. Wait, is that right? Yes, the answer is 1 and 2."),
    ("1,2", r"\boxed{1, 2}. Wait, is that right? Yes, the answer is $1, 2$."),
    (r"\frac{1}{2}", r"\boxed{\frac{1}{2}}. Actually, I checked it: the answer is 1/2."),
    (r"90^\circ", r"\boxed{90}. Correction of the unit: the answer is $90^\circ$."),
    ("1234.5", r"\boxed{1234.5}. Sorry, with a comma the answer is 1,234.5"),
    # units
    (r"90^\circ", r"\boxed{90}"),
    ("10", r"\boxed{10 \text{ cm}^2}"),
    (r"\$18.90", r"\boxed{18.90}"),
    (r"10\%", r"\boxed{10}"),
    (r"5.4 \text{ cents}", r"\boxed{5.4}"),
]

WRONG = [
    ("[-2,7]", r"\boxed{(-2,7)}"),
    ("[-2,7]", r"\boxed{(-2,7]}"),
    ("1,-2", r"\boxed{1}"),
    (r"(2,\infty)", r"\boxed{x \ge 2}"),
    ("(2,3)", r"\boxed{x > 2}"),
    ("3", r"So \boxed{3}. Wait, that is wrong. It is \boxed{5}."),
    ("5", r"So x is \boxed{5}. Wait, that is wrong. The answer is 6."),
    ("3", r"\boxed{4} and then 3"),
    ("4", r"first \boxed{3}, then \boxed{4}"),
    (r"\sqrt{51}", r"\boxed{7.141}"),
    (r"\text{(C)}", r"\boxed{\text{(B)}}"),
    (r"\text{even}", r"\boxed{\text{odd}}"),
    ("3x+2", r"\boxed{3x+2=0}"),
]


@pytest.mark.parametrize(("gold", "text"), CORRECT)
def test_equal_results_are_correct(gold: str, text: str) -> None:
    assert compare_with_reference(gold, text).verdict == "correct"


@pytest.mark.parametrize(("gold", "text"), WRONG)
def test_other_results_are_wrong(gold: str, text: str) -> None:
    grade = compare_with_reference(gold, text)
    assert (grade.score, grade.verdict) == (0.0, "wrong")


def test_no_result_is_wrong_and_called_so() -> None:
    grade = compare_with_reference("4", "I do not know.")
    assert (grade.score, grade.verdict) == (0.0, "no result")
    assert compare_with_reference("4", "").verdict == "no result"


# The signal may fall into a callback of the interpreter, which loses what it raises and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_answer_that_would_keep_the_library_busy_is_wrong_and_called_so() -> None:
    tower = "".join(["\\boxed{", "(" * 60, "2", ")" * 60, "}"])
    compare_with_reference("2", r"\boxed{2}")
    grade = compare_with_reference("2", tower, seconds=0.5)
    assert (grade.score, grade.verdict) == (0.0, "took too long")


def test_what_was_read_is_kept() -> None:
    assert compare_with_reference("4", r"\boxed{2+2}").details == {"gold": "4", "result": "2+2"}


def test_a_reference_that_cannot_be_read_grades_nobody() -> None:
    grade = compare_with_reference("", r"\boxed{4}")
    assert (grade.score, grade.verdict) == (None, "ungraded")


def test_answers_are_compared_in_processes_of_their_own() -> None:
    answers = [answer(r"\boxed{4}", reference="4"), answer(r"\boxed{5}", reference="4")]

    async def grades() -> dict[int, float | None]:
        return {at: grade.score async for at, grade in grade_mathematics(answers, GradingContext())}

    assert asyncio.run(grades()) == {0: 1.0, 1: 0.0}
