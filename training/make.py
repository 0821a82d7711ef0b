"""Make the embedded pair from its seed: ``python -m training.make --out src/tpo/tiny``.

Each stage keeps its product in the work folder and is passed over when that is there already, so an
interrupted run goes on where it was. Delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

import torch

from training.cards import write_cards
from training.examples import write_examples
from training.export import as_causal_lm, as_classifier, save
from training.model import Policy, Reward
from training.own import own_drafts
from training.preferences import own_group
from training.tokenizer import Encoder, load_tokenizer, train_tokenizer
from training.train_policy import Plan, PolicyTraining, load_checkpoint, save_checkpoint
from training.train_reward import RewardPlan, RewardTraining, reward_from

SEED = 7


def tokenizer_stage(work: Path) -> Encoder:
    """The tokenizer, made or found."""
    folder = work / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(SEED).save_pretrained(folder)
    return Encoder(load_tokenizer(folder))


def policy_stage(work: Path, encoder: Encoder, plan: Plan, first: Path | None = None) -> Policy:
    """The policy, trained (from the checkpoint *first* on, where given) or found."""
    path = work / "policy.pt"
    if not path.exists():
        began = load_checkpoint(first) if first else None
        policy = PolicyTraining(plan, encoder, work / "training", began).run()
        save_checkpoint(policy, path)
    return load_checkpoint(path)


def reward_stage(
    work: Path, encoder: Encoder, policy: Policy, plan: RewardPlan, queries: int, first: Path | None = None
) -> Reward:
    """The reward, trained on synthetic responses and the policy's own, or found."""
    path = work / "reward.pt"
    if not path.exists():
        groups = [own_group(draft) for draft in own_drafts(policy, encoder, queries, plan.seed, samples=4)]
        random.Random(plan.seed).shuffle(groups)
        cut = max(1, len(groups) // 5)
        began = _load_reward(policy, plan, first) if first else reward_from(policy, plan.layers, plan.hidden)
        reward = RewardTraining(plan, encoder, began, groups[cut:], groups[:cut]).run()
        torch.save(reward.state_dict(), path)
    return _load_reward(policy, plan, path)


def _load_reward(policy: Policy, plan: RewardPlan, path: Path) -> Reward:
    reward = reward_from(policy, plan.layers, plan.hidden)
    reward.load_state_dict(torch.load(path, weights_only=True))
    return reward


def main() -> None:
    """Read the command line and run every stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--reward-steps", type=int, default=RewardPlan.steps)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--own-queries", type=int, default=600)
    parser.add_argument(
        "--continue-from", type=Path, help="a policy checkpoint to train on from, at a lower rate"
    )
    parser.add_argument("--continue-reward-from", type=Path, help="a reward checkpoint to train on from")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = tokenizer_stage(args.work)
    plan = Plan(steps=args.steps, seed=args.seed)
    if args.continue_from:
        plan = replace(plan, rate=0.7, late=0.0, decay=0.95)
    policy = policy_stage(args.work, encoder, plan, args.continue_from)
    reward_plan, first = RewardPlan(steps=args.reward_steps), args.continue_reward_from
    reward = reward_stage(args.work, encoder, policy, reward_plan, args.own_queries, first)
    save(as_causal_lm(policy, encoder.tokenizer), encoder.tokenizer, args.out / "policy")
    save(as_classifier(reward, encoder.tokenizer), encoder.tokenizer, args.out / "reward")
    write_cards(args.out)
    write_examples(args.out / "examples.jsonl")


if __name__ == "__main__":
    main()
