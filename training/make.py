"""Make the embedded pair from its seed: ``python -m training.make --out src/tpo/tiny``.

Each stage keeps its product in the work folder and is passed over when that is there already, so an
interrupted run goes on where it was. Delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from training.cards import write_cards
from training.examples import write_examples
from training.export import as_causal_lm, as_classifier, save
from training.model import Policy, Reward, sharpened
from training.own import own_drafts
from training.preferences import own_group
from training.tokenizer import Encoder, load_tokenizer, train_tokenizer
from training.train_policy import Finish, Plan, PolicyTraining, load_checkpoint, save_checkpoint
from training.train_reward import RewardPlan, RewardTraining, reward_from

SEED = 7


def tokenizer_stage(work: Path) -> Encoder:
    """The tokenizer, made or found."""
    folder = work / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(SEED).save_pretrained(folder)
    return Encoder(load_tokenizer(folder))


def policy_stage(work: Path, encoder: Encoder, plan: Plan) -> Policy:
    """The policy, trained (an interrupted training goes on from its last checkpoint) or found."""
    path = work / "trained.pt"
    if not path.exists():
        save_checkpoint(PolicyTraining(plan, encoder, work / "training").run(), path)
    return load_checkpoint(path)


def finish_stage(work: Path, encoder: Encoder, policy: Policy, finish: Finish) -> Policy:
    """The policy after its last stage, sharpened, or found."""
    path = work / "finished.pt"
    if not path.exists():
        save_checkpoint(sharpened(finish.run(policy, encoder), Plan.sharpness), path)
    return load_checkpoint(path)


def reward_stage(work: Path, encoder: Encoder, policy: Policy, plan: RewardPlan, queries: int) -> Reward:
    """The reward, trained on synthetic responses and the policy's own, or found."""
    path = work / "reward.pt"
    reward = reward_from(policy, plan.layers)
    if not path.exists():
        groups = [own_group(draft) for draft in own_drafts(policy, encoder, queries, plan.seed, samples=4)]
        random.Random(plan.seed).shuffle(groups)
        cut = max(1, len(groups) // 5)
        trained = RewardTraining(plan, encoder, reward, groups[cut:], groups[:cut]).run()
        torch.save(trained.state_dict(), path)
    reward.load_state_dict(torch.load(path, weights_only=True))
    return reward


def main() -> None:
    """Read the command line and run every stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument(
        "--minutes", type=float, default=Plan.minutes, help="longest time of the policy's training"
    )
    parser.add_argument("--finish-steps", type=int, default=Finish.steps)
    parser.add_argument("--reward-steps", type=int, default=RewardPlan.steps)
    parser.add_argument("--reward-minutes", type=float, default=RewardPlan.minutes)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--own-queries", type=int, default=2500)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = tokenizer_stage(args.work)
    policy = policy_stage(args.work, encoder, Plan(steps=args.steps, minutes=args.minutes, seed=args.seed))
    policy = finish_stage(args.work, encoder, policy, Finish(args.finish_steps, args.seed))
    reward_plan = RewardPlan(
        steps=args.reward_steps, minutes=args.reward_minutes, seed=RewardPlan.seed - SEED + args.seed
    )
    reward = reward_stage(args.work, encoder, policy, reward_plan, args.own_queries)
    save(as_causal_lm(policy, encoder.tokenizer), encoder.tokenizer, args.out / "policy")
    save(as_classifier(reward, encoder.tokenizer), encoder.tokenizer, args.out / "reward")
    write_cards(args.out)
    write_examples(args.out / "examples.jsonl")


if __name__ == "__main__":
    main()
