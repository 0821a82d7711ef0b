"""Make the embedded pair from its seed: ``python -m training.make --out src/tpo/tiny``.

Each stage keeps its product in the work folder, with a checkpoint every few minutes, so an interrupted run
goes on where it was. Delete the folder to begin anew.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from training.cards import write_cards
from training.examples import write_examples
from training.export import as_causal_lm, as_classifier, save
from training.model import sharpened
from training.tokenizer import Encoder, load_tokenizer, train_tokenizer
from training.train_policy import FINISH, Plan, PolicyTraining
from training.train_reward import RewardPlan, RewardTraining

SEED = 7


def tokenizer_stage(work: Path) -> Encoder:
    """The tokenizer, made or found; it is the same for every seed, as long as the prompts stay."""
    folder = work / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(SEED).save_pretrained(folder)
    return Encoder(load_tokenizer(folder))


def main() -> None:
    """Read the command line and run every stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--minutes", type=float, default=Plan.minutes, help="the most for each stage")
    parser.add_argument("--finish-steps", type=int, default=FINISH.steps)
    parser.add_argument("--reward-steps", type=int, default=RewardPlan.steps)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    encoder = tokenizer_stage(args.work)
    plan = Plan(steps=args.steps, minutes=args.minutes, seed=args.seed)
    policy = PolicyTraining(plan, encoder, args.work / "trained.pt").run()
    plan = replace(FINISH, steps=args.finish_steps, minutes=args.minutes, seed=args.seed)
    policy = PolicyTraining(plan, encoder, args.work / "finished.pt", policy).run()
    policy = sharpened(policy, Plan.sharpness)
    reward_plan = RewardPlan(args.reward_steps, args.minutes, seed=RewardPlan.seed - SEED + args.seed)
    reward = RewardTraining(reward_plan, encoder, policy, args.work / "reward.pt").run()
    save(as_causal_lm(policy, encoder.tokenizer), encoder.tokenizer, args.out / "policy")
    save(as_classifier(reward, encoder.tokenizer), encoder.tokenizer, args.out / "reward")
    write_cards(args.out)
    write_examples(args.out / "examples.jsonl")


if __name__ == "__main__":
    main()
