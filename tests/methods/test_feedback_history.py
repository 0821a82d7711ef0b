"""Feedback Descent (arXiv 2511.07919): remarks accumulate until a win clears them."""

from tpo.methods.feedback_history import feedback_history
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import PolicyCall, Reply, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Phase, plain_text


def calls(*updates: str) -> list[PolicyCall]:
    """Run a step for each of *updates*; return the calls."""
    script: dict[Phase | tuple[Phase, int], Reply] = {
        ("update", step): text for step, text in enumerate(updates, 1)
    }
    script["sample"] = ["ok", "the first best"]
    script["feedback"] = lambda call, _: f"remark of step {call.scope.step}"
    policy = ScriptedPolicy(script)
    method = feedback_history(sample_size=2, max_iterations=len(updates))
    Optimizer(policy, ScriptedReward(), method).run("Hello?")
    return policy.calls


def remarks(call: PolicyCall) -> list[int]:
    text = plain_text(call.messages[-1])
    return [step for step in range(1, 6) if f"remark of step {step}" in text]


def test_remarks_are_shown_together_until_a_response_wins() -> None:
    made = calls(improved("loses"), improved("loses, too"), improved("it wins at last"), improved("x"))
    updates = [call for call in made if call.scope.phase == "update"]
    assert [remarks(call) for call in updates] == [[1], [1, 2], [1, 2, 3], [4]]
    assert [plain_text(call.messages[1]) for call in updates] == ["the first best"] * 3 + ["it wins at last"]


def test_the_best_is_compared_with_the_last_challenger_and_after_a_win_with_the_former_best() -> None:
    made = calls(improved("loses"), improved("it wins at last"), improved("x"))
    shown = [plain_text(call.messages[-1]) for call in made if call.scope.phase == "feedback"]
    assert "ok" in shown[0]
    assert "loses" in shown[1]
    assert "the first best" in shown[2]


def test_a_step_that_cannot_be_read_brings_no_remark() -> None:
    made = calls("no tags", improved("x"))
    assert [call.scope.phase for call in made] == ["sample", "feedback", "update", "update"]
    assert remarks(made[-1]) == [1]
