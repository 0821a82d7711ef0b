"""The model of random words: what it writes is read again as the same tokens, as long as was drawn."""

from pathlib import Path

import pytest
from benchmarks.simulation.models import Lengths
from benchmarks.words import EXTRA, NO_WORDS, ByPlace, OfLengths, questions, save_words
from transformers import AutoTokenizer

from tpo.methods.tags import CLOSING, OPENING
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Sampling, Scope, user

LENGTHS = Lengths(answer=20, critique=9)


def test_what_is_written_is_read_again_as_the_same_tokens(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(save_words(tmp_path))
    written = [len(NO_WORDS) + at * 37 % 2_000 for at in range(300)]
    assert tokenizer(tokenizer.decode(written))["input_ids"] == written
    (question,) = questions(1, LENGTHS)
    asked = tokenizer.apply_chat_template(question.messages, add_generation_prompt=True, return_dict=False)
    answer = {"role": "assistant", "content": tokenizer.decode(written)}
    again = tokenizer.apply_chat_template([*question.messages, answer], return_dict=False)
    assert again[: len(asked) + 300] == [*asked, *written]


def test_no_token_is_drawn_that_is_no_word() -> None:
    bias = EXTRA["logit_bias"]
    assert isinstance(bias, dict)
    assert set(bias) == {str(token) for token in range(len(NO_WORDS))}


@pytest.mark.parametrize("phase", ["sample", "update"])
async def test_replies_are_as_long_as_was_drawn(phase: str) -> None:
    scripted = ScriptedPolicy(lambda call, _: "w1 " * call.sampling.max_tokens)
    scope, sampling = Scope("q1", 1, phase), Sampling(n=3, seed=1024, max_tokens=500)
    replies = [one async for one in OfLengths(scripted, LENGTHS).sample((user("Hi"),), sampling, scope)]
    words = {reply.index: reply.text.count("w1") for reply in replies}
    assert words == {at: LENGTHS.of_reply(scope, 1024 + at) for at in range(3)}
    assert len(set(words.values())) > 1
    assert all((reply.text[0] == OPENING[0]) == (phase == "update") for reply in replies)
    assert all(reply.text.endswith(CLOSING) == (phase == "update") for reply in replies)


async def test_a_reward_hangs_on_the_place_alone() -> None:
    one, other = Scope("q1", 1, "reward", 2), Scope("q1", 1, "reward", 3)
    scores = [(await ByPlace().score((), text, place)).value for place in (one, other) for text in "ab"]
    assert scores[0] == scores[1] != scores[2] == scores[3]
