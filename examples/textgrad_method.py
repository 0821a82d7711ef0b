"""TPO in TextGrad's words: `--method textgrad` as a library call, and what its calls say.

python examples/textgrad_method.py                                    # scripted, no model needed
python examples/textgrad_method.py http://127.0.0.1:8000/v1 hf:ID     # a server's model and a reward model

Needs the extra: pip install 'tpo[textgrad]'
"""

from __future__ import annotations

import sys

from tpo import (
    Optimizer,
    Policy,
    Reward,
    ScriptedPolicy,
    ScriptedReward,
    Trajectory,
    build_method,
    load_policy,
    load_reward,
)
from tpo.policies.scripted import Script

DRAFTS = ["Thanks for the scarf.", "Dear Mia, thank you."]
REWRITES = [
    "<IMPROVED_VARIABLE>Dear Mia, thank you for the blue scarf.</IMPROVED_VARIABLE>",
    "<IMPROVED_VARIABLE>Dear Mia, thank you for the blue scarf. It kept me warm.</IMPROVED_VARIABLE>",
]


def scripted() -> tuple[Policy, Reward]:
    """A policy that says what it was told to, and a reward that likes length."""
    script: Script = {
        "sample": DRAFTS,
        "loss": "It greets her by name, but never says what for.",
        "gradient": "Name the gift, and say what it meant to you.",
        "update": REWRITES,
    }
    return ScriptedPolicy(script), ScriptedReward(len)


def improve(policy: Policy, reward: Reward, request: str) -> Trajectory:
    """Two iterations of two samples, asked for in TextGrad's words."""
    return Optimizer(policy, reward, build_method("textgrad", sample_size=2)).run(request)


def main(arguments: list[str]) -> None:
    """Show every step, and the best answer."""
    policy, reward = (load_policy(arguments[0]), load_reward(arguments[1])) if arguments else scripted()
    trajectory = improve(policy, reward, "Write a thank-you note to Mia for the blue scarf.")
    for step in trajectory.steps:
        if step.pair is not None:
            print(f"step {step.number}: chosen {step.pair.chosen.text!r}")
        for call in step.calls:
            print(f"  {call.phase}: {call.text}")
        print(f"  {len(step.candidates)} responses, {len(step.unreadable)} without TextGrad's tags")
    print("best:", trajectory.answer)


if __name__ == "__main__":
    main(sys.argv[1:])
