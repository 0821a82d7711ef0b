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
from training.batches import pad
from training.cases import counterfactual
from training.critique import examine
from training.export import as_causal_lm, as_classifier, policy_of
from training.init import new_policy
from training.model import Policy, Shape, sharpened
from training.optimizers import orthogonal
from training.protocol import Mix, Protocol
from training.sampler import Sampler
from training.tokenizer import Encoder, train_tokenizer
from training.train_policy import FINISH, Plan, PolicyTraining, gradients_right, held_out_gradients, train
from training.train_reward import RewardPlan, RewardTraining, reward_from, score
from training.world import Rates, draw_task, flawed


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
    reward = reward_from(policy())
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


def test_training_lowers_the_loss() -> None:
    training = PolicyTraining(Plan(steps=1, budget=1024), encoder(), Path("unused"))
    batch = training.batches.draw(Protocol(Mix(details=(2, 3))))
    losses = [train(training.policy, training.optimizers, batch, 0.1, 0.4)[0] for _ in range(4)]
    assert losses[-1] < losses[0]


def test_an_interrupted_training_goes_on_and_a_finished_one_is_its_product(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(steps=3, minutes=1000, budget=1024, own_at=(), check=2)
    made = PolicyTraining(plan, encoder(), tmp_path / "a.pt")
    saved = made._save
    monkeypatch.setattr(made, "_save", lambda: [saved(), exit("killed")])
    with pytest.raises(SystemExit, match="killed"):
        made.run()
    again = PolicyTraining(plan, encoder(), tmp_path / "a.pt")
    assert again.step == 2
    weights = again.run().model.embed_tokens.weight
    assert again.step == 3
    found = PolicyTraining(plan, encoder(), tmp_path / "a.pt")
    assert found.share == 1
    assert torch.equal(weights, found.run().model.embed_tokens.weight)


def test_a_product_of_another_plan_or_of_other_weights_is_refused(tmp_path: Path) -> None:
    plan = Plan(steps=1, minutes=1000, budget=1024, own_at=())
    policy = PolicyTraining(plan, encoder(), tmp_path / "a.pt").run()
    with pytest.raises(SystemExit, match=r"a\.pt: written with another seed or plan.* Delete it"):
        PolicyTraining(replace(plan, seed=8), encoder(), tmp_path / "a.pt")
    with pytest.raises(SystemExit, match="from other weights"):
        PolicyTraining(plan, encoder(), tmp_path / "a.pt", policy)
    PolicyTraining(replace(plan, minutes=5), encoder(), tmp_path / "a.pt")  # only a limit


def test_the_last_stage_trains_on_drafts_of_the_policy_and_repeats_itself(tmp_path: Path) -> None:
    before = policy().model.embed_tokens.weight.clone()
    plan = replace(FINISH, steps=1, own_queries=2, budget=1024)
    first, again = (
        PolicyTraining(plan, encoder(), tmp_path / name, copy.deepcopy(policy())) for name in ("a.pt", "b.pt")
    )
    assert torch.equal(first.run().model.embed_tokens.weight, again.run().model.embed_tokens.weight)
    assert [len(draft.texts) for draft in first.own] == [3, 3]
    assert PolicyTraining(plan, encoder(), tmp_path / "a.pt", copy.deepcopy(policy())).own == first.own
    assert not torch.equal(first.policy.model.embed_tokens.weight, before)


def test_held_out_gradients_are_right_as_far_as_each_of_their_tokens_is_the_likeliest() -> None:
    batch = held_out_gradients(encoder(), 4)
    again = held_out_gradients(encoder(), 4)
    assert torch.equal(batch.tokens, again.tokens)
    taught = encoder().decode(batch.tokens[0][batch.taught[0] > 0].tolist())
    assert {line.partition(":")[0] for line in taught.split("\n")} > {"To", "From"}
    assert gradients_right(policy(), batch) == 0.0
    likeliest = policy().logits(policy().model(batch.tokens)).argmax(-1)
    row = batch.taught[2].nonzero().flatten()
    short = replace(batch, taught=torch.zeros_like(batch.taught))
    short.taught[:, row[0]] = 1.0
    hit = likeliest[:, row[0] - 1] == batch.tokens[:, row[0]]
    assert gradients_right(policy(), short) == pytest.approx(hit.float().mean().item())


def test_a_mix_without_counterfactuals_teaches_right_gradients_alone() -> None:
    mix = Mix(sample=0, judge=0, short=0, independent=0, fused=0, fusion=0, losses=0, textgrad=0, outside=0)
    for share, found in ((0.0, {4}), (1.0, {3})):  # the turns that are taught; a wrong gradient is not
        drawn = Protocol(replace(mix, counterfactual=share, base=1.0)).draw(random.Random(5))
        assert {len(drawn.taught)} == found


def test_the_share_of_wrong_orders_is_the_one_that_a_mix_names() -> None:
    rng, wrong = random.Random(0), 0
    for _ in range(400):
        task = draw_task(rng)
        findings = examine(task, flawed(task, Rates(wrong=0, missing=0), rng))
        edits = counterfactual(task, findings, (), rng, wrong_share=0.8)
        wrong += any(edit.kind == "write" for edit in edits)  # nothing is to be mended by writing a line
    assert 0.75 < wrong / 400 < 0.88


def test_the_reward_learns_from_votes_and_an_interrupted_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = RewardPlan(steps=2, minutes=1000, budget=1024, check=1, own_queries=3)
    made = RewardTraining(plan, encoder(), policy(), tmp_path / "reward.pt")
    made._draw_own()
    monkeypatch.setattr("training.train_reward.own_drafts", lambda *_: pytest.fail("written twice"))
    again = RewardTraining(plan, encoder(), policy(), tmp_path / "reward.pt")
    assert again.own == made.own
    reward = again.run()
    assert len(score(reward, encoder(), again.own)) == 3
    found = RewardTraining(plan, encoder(), policy(), tmp_path / "reward.pt")
    assert torch.equal(found.run().score.weight, reward.score.weight)
    assert found.best == again.best


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
