"""Training's own models and sampler compute what transformers computes with the same weights."""

import random
from functools import cache

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from training.export import as_causal_lm, as_classifier, policy_of
from training.init import new_policy
from training.model import Policy, Shape
from training.sampler import Sampler
from training.tokenizer import Encoder, train_tokenizer
from training.train_reward import pad, reward_from
from training.world import draw_task


@cache
def encoder() -> Encoder:
    return Encoder(train_tokenizer(seed=1, documents=200))


@cache
def policy() -> Policy:
    return new_policy(Shape(vocabulary=len(encoder().tokenizer), layers=3), seed=0)


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
    reward = reward_from(policy(), layers=2, hidden=128)
    tokens, lengths = pad(prompts(4), 80, encoder().pad)
    mask = (torch.arange(80) < lengths[:, None]).long()
    theirs = as_classifier(reward, encoder().tokenizer)(tokens, attention_mask=mask).logits[:, 0]
    assert torch.allclose(reward(tokens, lengths), theirs, atol=1e-4)


def test_a_policy_comes_back_from_its_export() -> None:
    again = policy_of(as_causal_lm(policy(), encoder().tokenizer))
    assert all(torch.equal(a, b) for a, b in zip(policy().parameters(), again.parameters(), strict=True))


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


def test_copying_is_laid_into_a_new_policy() -> None:
    half = torch.randint(5, 1000, (4, 60), generator=torch.Generator().manual_seed(0))
    tokens = torch.cat((half, half), 1)
    with torch.no_grad():
        guesses = policy().logits(policy().model(tokens)).argmax(-1)
    assert (guesses[:, 60:-1] == tokens[:, 61:]).float().mean() > 0.5
