"""The choices of a reply."""

from tests.cli.values import candidate
from tpo.serve.outcome import best_of
from tpo.types import Query, RewardUsage, Step, Timing, Trajectory, user


def trajectory(rewards: dict[str, float], selected: str | None = None) -> Trajectory:
    pool = tuple(candidate(0, i, text.split()[0], reward) for i, (text, reward) in enumerate(rewards.items()))
    return Trajectory(
        query=Query("q", (user("?"),)),
        method="bon",
        first=Step(0, (), pool),
        steps=(),
        status="finished",
        stop_reason="max_iterations",
        error=None,
        usage={},
        reward_usage=RewardUsage(),
        timing=Timing(0, 0),
        selected=selected,
    )


def test_choices_are_different_texts_best_first_as_long_as_there_are_some() -> None:
    pool = {"a 1": 1.0, "b": 3.0, "a 2": 2.0}
    assert [each.text for each in best_of(trajectory(pool).pool, 2)] == ["b", "a"]
    assert [each.reward for each in best_of(trajectory(pool).pool, 5)] == [3.0, 2.0, 1.0]


def test_the_selected_answer_comes_first_whatever_its_reward() -> None:
    selected = trajectory({"a": 1.0, "b": 3.0}, "0.0")
    assert [each.text for each in best_of(selected.pool, 2, selected.best)] == ["a", "b"]
