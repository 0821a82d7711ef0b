from tests.experiments.bench.scripted import DATA
from tpo.experiments.bench.math500 import MATH_500, REQUEST
from tpo.experiments.bench.query_set import load_query_set


def test_a_problem_is_asked_with_steps_and_a_box_and_its_answer_is_the_reference() -> None:
    query = load_query_set(MATH_500, str(DATA / "math_500.jsonl")).queries[1]
    assert query.id == "test/algebra/2.json"
    assert query.text == f"Where is $x^2 \\le 4$?\n\n{REQUEST}"
    assert query.reference == "[-2,2]"
    assert query.metadata == {"subject": "Algebra", "level": 2, "position": 1}
