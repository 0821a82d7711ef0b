import pytest
from training.held_out import held_out_tasks, hidden_worth
from training.hidden import hidden_score

from tpo.errors import RewardError
from tpo.types import user


def test_a_longer_list_begins_alike_and_no_query_was_trained_on_or_comes_twice() -> None:
    few, many = held_out_tasks(5), held_out_tasks(12)
    assert many[:5] == few
    assert all(task.held_out for task in many)
    assert len({task.prompt for task in many}) == 12


def test_the_hidden_worth_of_an_answer_is_its_query_s_own() -> None:
    task = held_out_tasks(1)[0]
    assert hidden_worth([user(task.prompt)], "Go away!") == hidden_score(task, "Go away!")


def test_another_query_has_no_hidden_worth() -> None:
    with pytest.raises(RewardError, match="none of the held-out queries"):
        hidden_worth([user("What is the capital of France?")], "Paris.")
