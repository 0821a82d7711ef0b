"""Several losses a step, and the middle response as the rejected one."""

from tpo.methods.multi_loss import median_contrast, multi_loss, worst_texts
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Candidate, Score, plain_text

SAMPLES = ["a", "bb", "ccc", "dddd", "eeeee"]


def test_the_best_is_contrasted_with_each_of_the_worst_and_one_gradient_reads_all_losses() -> None:
    policy = ScriptedPolicy(
        {
            "sample": SAMPLES,
            "loss": lambda call, _: f"loss {call.scope.branch}",
            "gradient": "change it",
            "update": improved("the better one"),
        }
    )
    method = multi_loss(max_iterations=1)
    trajectory = Optimizer(policy, ScriptedReward(), method).run("Hello?")
    phases = [call.scope.phase for call in policy.calls]
    assert phases == ["sample", "loss", "loss", "loss", "gradient", "update"]
    assert len(phases) == method.cost(5, 1).calls
    shown = [plain_text(call.messages[-1]) for call in policy.calls]
    for text, loss in zip(SAMPLES, shown[1:4], strict=False):
        assert f">\n{text}\n<" in loss
    assert all(f"loss {k}" in shown[4] for k in (1, 2, 3))
    assert trajectory.answer == "the better one"


def test_equal_responses_leave_one_loss_without_a_rejected_one() -> None:
    policy = ScriptedPolicy({"sample": "same", "loss": "l", "gradient": "g", "update": improved("x")})
    Optimizer(policy, ScriptedReward(), multi_loss(max_iterations=1)).run("Hello?")
    assert [call.scope.phase for call in policy.calls].count("loss") == 1


def test_worst_texts_are_different_and_without_the_best() -> None:
    rewards = (("b", 1.0), ("a", 0.0), ("best", 9.0), ("a", 0.0), ("c", 2.0))
    pool = [Candidate(0, k, text, Score(value)) for k, (text, value) in enumerate(rewards)]
    assert [(each.text, each.index) for each in worst_texts(pool, 9)] == [("a", 3), ("b", 0), ("c", 4)]


def test_the_median_is_the_rejected_response() -> None:
    policy = ScriptedPolicy({"sample": SAMPLES, "loss": "l", "gradient": "g", "update": improved("x")})
    trajectory = Optimizer(policy, ScriptedReward(), median_contrast(max_iterations=1)).run("Hello?")
    pair = trajectory.steps[0].pair
    assert pair is not None
    assert pair.rejected is not None
    assert (pair.chosen.text, pair.rejected.text) == ("eeeee", "bb")
    assert ">\nbb\n<" in plain_text(policy.calls[1].messages[-1])
