"""Uses of the public API as programs write them. mypy checks this file; it is never run.

``assert_type`` holds the type of a result. A wrong use carries an ignore with mypy's code of the error: in
strict mode mypy reports each ignore that is not needed, so that a wrong use which passes is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

import tpo


def write(messages: Sequence[tpo.Message], sampling: tpo.Sampling) -> str:
    return str(messages[-1]["content"]) * sampling.max_tokens


async def write_later(messages: Sequence[tpo.Message], sampling: tpo.Sampling) -> str:
    return write(messages, sampling)


def length(messages: Sequence[tpo.Message], response: str) -> float:
    return float(len(messages) + len(response))


def many_queries() -> None:
    assert_type(tpo.__version__, str)
    run = tpo.run("prompts.jsonl", policy=write, reward=length, out=Path("out"), fresh=True, sample_size=3)
    assert_type(run, tpo.Run)
    assert_type(run.failed, dict[str, str])
    assert_type(run.trajectories(), Iterator[tpo.Trajectory])
    assert_type(tpo.load_run("out"), tpo.Run)
    tpo.run(["Why?", {"prompt": "How?"}, tpo.Query("a", (tpo.user("When?"),))], policy="tiny", reward="tiny")
    tpo.run([Path("a.jsonl"), Path("b.csv")], method=tpo.Tpo(), config="run.toml")
    tpo.run([1, 2])  # type: ignore[list-item]
    tpo.run(policy=5)  # type: ignore[arg-type]
    tpo.run(out=3)  # type: ignore[arg-type]
    tpo.load_run()  # type: ignore[call-arg]


async def many_queries_later(plan: tpo.RunPlan) -> None:
    assert_type(await tpo.arun("prompts.jsonl", policy=write_later, reward=length), tpo.Run)
    assert_type(plan.is_complete(), bool)
    assert_type(plan.path, Path)


async def one_query(policy: tpo.Policy, reward: tpo.Reward) -> None:
    optimizer = tpo.Optimizer(write, length, tpo.build_method("tpo"), seed=1, stopping=[tpo.Deadline(5.0)])
    assert_type(optimizer.run("Why?"), tpo.Trajectory)
    assert_type(await optimizer.optimize([tpo.system("Be brief."), tpo.user("Why?")]), tpo.Trajectory)
    tpo.Optimizer(policy, reward, selection=tpo.HighestReward())
    tpo.Optimizer(tpo.ScriptedPolicy(), tpo.ScriptedReward(), stopping=(tpo.TargetReward(1.0),))
    tpo.Optimizer(tpo.load_policy("tiny"), tpo.load_reward(["tiny", "tiny"]))
    tpo.Optimizer(write)  # type: ignore[call-arg]
    tpo.Optimizer(write, length, sede=1)  # type: ignore[call-arg]
    tpo.Optimizer(write, length, seed="1")  # type: ignore[arg-type]
    tpo.Optimizer(write, length, stopping=tpo.Deadline(5.0))  # type: ignore[arg-type]
    tpo.Optimizer(reward, policy)  # type: ignore[arg-type]
    optimizer.run(5)  # type: ignore[arg-type]


def results(trajectory: tpo.Trajectory, run: tpo.Run) -> None:
    assert_type(trajectory.answer, str)
    assert_type(trajectory.best, tpo.Candidate | None)
    assert_type(trajectory.pool, tuple[tpo.Candidate, ...])
    assert_type(trajectory.steps, tuple[tpo.Step, ...])
    assert_type(trajectory.first.calls, tuple[tpo.Call, ...])
    assert_type(trajectory.query, tpo.Query)
    assert_type(run.totals, Mapping[str, Any])
    for candidate in trajectory.pool:
        assert_type(candidate.text, str)
        assert_type(candidate.score, tpo.Score | None)
    trajectory.answer = "other"  # type: ignore[misc]
    trajectory.anser  # type: ignore[attr-defined]  # noqa: B018 - that it does not exist is the point


def values() -> None:
    assert_type(tpo.user("Why?"), tpo.Message)
    assert_type(tpo.assistant("So."), tpo.Message)
    tpo.Query("a", (tpo.user("Why?"),), reference="So.", metadata={"topic": "x"})
    tpo.Sampling(n=2, temperature=0.5, max_tokens=16, seed=3)
    tpo.Scope("a", 1, "update")
    tpo.Completion(0, "text", usage=tpo.Usage())
    tpo.Delta(0, "te")
    tpo.Query("a")  # type: ignore[call-arg]
    tpo.Query("a", "Why?")  # type: ignore[arg-type]
    tpo.Sampling(temprature=0.5)  # type: ignore[call-arg]
    tpo.Sampling(n="2")  # type: ignore[arg-type]
    tpo.Score("9")  # type: ignore[arg-type]
    tpo.Completion("text")  # type: ignore[arg-type, call-arg]


async def models(messages: tpo.Messages, reply: tpo.Reply) -> None:
    served = tpo.OpenAIPolicy("http://127.0.0.1:8000/v1", "model", extra={"top_k": 20})
    scope = tpo.Scope("a", 0, "sample")
    async for completion in served.sample(messages, tpo.Sampling(), scope):
        assert_type(completion, tpo.Completion)
    assert_type(tpo.load_policy("tiny"), tpo.Policy)
    assert_type(tpo.load_reward("tiny"), tpo.Reward)
    assert_type(await tpo.load_reward("tiny").score(messages, reply.text, scope), tpo.Score)
    kinds: tuple[type[tpo.Policy], type[tpo.Reward]] = (tpo.HFPolicy, tpo.HFReward)
    assert kinds
    tpo.OpenAIPolicy("http://127.0.0.1:8000/v1", modell="model")  # type: ignore[call-arg]
    await tpo.load_reward("tiny").score("Why?", "So.", scope)  # type: ignore[arg-type]


class Own(tpo.Method):
    """A method of a user."""

    async def optimize(self, attempt: tpo.Attempt) -> None:
        assert_type(attempt.query, tpo.Query)
        await attempt.sample(self.first_prompt(attempt.query), n=self.sample_size)
        async with attempt.step() as step:
            assert_type(step.branch(0), tpo.Branch)
            pair = tpo.contrast(attempt.pool)
            assert_type(pair, tpo.Pair)
            prompt = (tpo.user(pair.chosen.text),)
            assert_type(await step.ask("loss", prompt), tpo.Call)
            await step.sample("update", prompt, n=2, read=tpo.tagged_response)
            await step.ask("loss", prompt, m=2)  # type: ignore[call-arg]
            await step.ask(prompt, "loss")  # type: ignore[arg-type]

    def step_calls(self, n: int) -> Sequence[tpo.StepCall]:
        return (tpo.StepCall("loss", 1), tpo.StepCall("update", n))


class Never:
    """A stopping rule without its method is none; nor is a selection."""


def values_of_methods() -> None:
    tpo.Tpo(sample_size=3, max_iterations=1)
    tpo.Tpo(samples=3)  # type: ignore[call-arg]
    rules: list[tpo.StoppingRule] = [tpo.Plateau(2), tpo.TokenBudget(1000), tpo.SampleCost(0.1)]
    tpo.Optimizer(write, length, stopping=rules, selection=tpo.Consensus())
    tpo.BestOfNFallback()
    tpo.RevisionFallback()
    tpo.Plateau("2")  # type: ignore[arg-type]
    tpo.TokenBudget()  # type: ignore[call-arg]
    rule: tpo.StoppingRule = Never()  # type: ignore[assignment]
    selection: tpo.Selection = Never()  # type: ignore[assignment]
    assert rule
    assert selection


def errors(error: tpo.TpoError) -> None:
    assert_type(error.fatal, bool)
    kinds: list[type[tpo.TpoError]] = [
        *(tpo.ConfigError, tpo.DataError, tpo.MissingExtra, tpo.PolicyError, tpo.PolicyRefused),
        *(tpo.RewardError, tpo.RewardRefused, tpo.StoreBusy, tpo.StoreError, tpo.StoreMismatch),
    ]
    assert kinds
