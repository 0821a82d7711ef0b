"""Training's own models and sampler compute what transformers computes with the same weights."""

import copy
import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from training.export import as_causal_lm, as_classifier, policy_of
from training.init import new_policy
from training.model import Policy, Shape, sharpened
from training.optimizers import orthogonal
from training.preferences import synthetic_group
from training.protocol import Mix, Protocol
from training.sampler import Sampler
from training.tokenizer import Encoder, train_tokenizer
from training.train_policy import Finish, Plan, PolicyTraining, train
from training.train_reward import RewardPlan, RewardTraining, pad, reward_from, score
from training.world import draw_task


@cache
def encoder() -> Encoder:
    return Encoder(train_tokenizer(seed=1, documents=200))


@cache
def policy() -> Policy:
    return new_policy(
        Shape(vocabulary=len(encoder().tokenizer), layers=4), seed=0, alike=encoder().label_pairs()
    )


def prompts(count: int) -> list[list[int]]:
    rng = random.Random(0)
    return [encoder().prompt([{"role": "user", "content": draw_task(rng).prompt}]) for _ in range(count)]


@torch.no_grad()
def test_the_exported_policy_computes_the_same() -> None:
    tokens = torch.tensor([prompts(1)[0]])
    ours = policy().logits(policy().model(tokens))
    theirs = as_causal_lm(policy(), encoder().tokenizer)(tokens).logits
    assert torch.allclose(ours, theirs, atol=1e-3)


@torch.no_grad()
def test_the_exported_reward_reads_the_last_token_of_padded_rows() -> None:
    reward = reward_from(policy(), layers=2)
    tokens, lengths = pad(prompts(4), encoder().pad)
    mask = (torch.arange(tokens.shape[1]) < lengths[:, None]).long()
    theirs = as_classifier(reward, encoder().tokenizer)(tokens, attention_mask=mask).logits[:, 0]
    assert torch.allclose(reward(tokens, lengths), theirs, atol=1e-4)


def test_a_policy_comes_back_from_its_export() -> None:
    again = policy_of(as_causal_lm(policy(), encoder().tokenizer))
    ours, theirs = policy().model.parameters(), again.model.parameters()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_muon_step_is_nearly_orthogonal_for_tall_and_wide_matrices() -> None:
    torch.manual_seed(0)
    for size in ((2, 24, 40), (2, 40, 24)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(size)))
        assert 0.5 < float(values.min()) <= float(values.max()) < 1.3


def test_training_lowers_the_loss_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    plan = Plan(steps=3, minutes=1000, budget=1024, own_at=())
    first = PolicyTraining(plan, encoder(), tmp_path)
    first.run()
    again = PolicyTraining(replace(plan, steps=4), encoder(), tmp_path)
    assert again.step == 3
    weights = again.policy.model.embed_tokens.weight
    assert torch.equal(weights, first.policy.model.embed_tokens.weight)
    batch = again.batches.draw(Protocol(Mix(details=(2, 3))))
    losses = [train(again.policy, again.optimizers, batch, 0.1)[0] for _ in range(4)]
    assert losses[-1] < losses[0]


def test_the_last_stage_trains_on_drafts_of_the_policy_and_repeats_itself() -> None:
    before = policy().model.embed_tokens.weight.clone()
    finish = Finish(steps=1, own_queries=2)
    first, again = (finish.run(copy.deepcopy(policy()), encoder()) for _ in range(2))
    assert torch.equal(first.model.embed_tokens.weight, again.model.embed_tokens.weight)
    assert not torch.equal(first.model.embed_tokens.weight, before)


def test_a_mix_without_counterfactuals_teaches_right_gradients_alone() -> None:
    mix = Mix(sample=0, judge=0, short=0, independent=0, fused=0, fusion=0, losses=0, textgrad=0, outside=0)
    for share, found in ((0.0, {4}), (1.0, {3})):  # the turns that are taught; a wrong gradient is not
        drawn = Protocol(replace(mix, counterfactual=share, base=1.0)).draw(random.Random(5))
        assert {len(drawn.taught)} == found


def test_the_reward_learns_from_votes_and_comes_back_with_its_best_weights() -> None:
    rng = random.Random(0)
    groups = [synthetic_group(rng) for _ in range(3)]
    plan = RewardPlan(steps=2, minutes=1000, budget=1024, check=1)
    reward = reward_from(policy(), layers=4)
    trained = RewardTraining(plan, encoder(), reward, groups, groups[:2]).run()
    assert len(score(trained, encoder(), groups)) == 3


@torch.no_grad()
def test_the_sampler_follows_the_likeliest_tokens_when_cold() -> None:
    asked = prompts(3)
    drawn = Sampler(policy(), encoder()).draw(
        [asked[0], asked[1], asked[0], asked[2]], limit=12, temperature=1e-4
    )
    for prompt, text in zip((asked[0], asked[1], asked[0], asked[2]), drawn, strict=True):
        tokens = list(prompt)
        for _ in range(12):
            tokens.append(int(policy().logits(policy().model(torch.tensor([tokens])))[0, -1].argmax()))
            if tokens[-1] == encoder().eot:
                break
        assert text == encoder().decode(tokens[len(prompt) :])


@torch.no_grad()
def test_a_sharpened_policy_has_larger_logits_and_leaves_the_other_as_it_is() -> None:
    tokens = torch.tensor([prompts(1)[0]])
    before = policy().logits(policy().model(tokens))
    colder = sharpened(policy(), 1.6)
    assert torch.allclose(colder.logits(colder.model(tokens)), 1.6 * before, atol=1e-4)
    assert torch.equal(policy().logits(policy().model(tokens)), before)


def test_copying_is_laid_into_a_new_policy() -> None:
    half = torch.randint(5, 1000, (4, 60), generator=torch.Generator().manual_seed(0))
    tokens = torch.cat((half, half), 1)
    with torch.no_grad():
        guesses = policy().logits(policy().model(tokens)).argmax(-1)
    assert (guesses[:, 60:-1] == tokens[:, 61:]).float().mean() > 0.5
