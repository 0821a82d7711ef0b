"""Best-of-N."""

from tpo.methods.catalog import bon, paper_bon
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import ScriptedPolicy
from tpo.rewards.scripted import ScriptedReward
from tpo.types import system, user


def test_it_draws_n_first_samples_and_answers_with_the_best() -> None:
    policy = ScriptedPolicy({"sample": ["a", "the longest", "bb"]})
    trajectory = Optimizer(policy, ScriptedReward(), bon(sample_size=3)).run("Hello?")
    assert [(call.scope.phase, call.sampling.n) for call in policy.calls] == [("sample", 3)]
    assert (trajectory.answer, trajectory.steps) == ("the longest", ())


def test_the_papers_system_text_stands_before_it_unless_the_query_has_one() -> None:
    policy = ScriptedPolicy()
    optimizer = Optimizer(policy, ScriptedReward(), paper_bon(sample_size=1))
    optimizer.run("Hello?")
    optimizer.run([system("Be brief."), user("Hello?")])
    first, second = (call.messages for call in policy.calls)
    assert [message["role"] for message in first] == ["system", "user"]
    assert second == (system("Be brief."), user("Hello?"))
