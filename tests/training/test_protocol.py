"""Training dialogues and their tokens: the same as the loop sends, copied values token for token."""

import random
from functools import cache

import pytest

pytest.importorskip("torch")

from training.causal import named_flaws, read_orders
from training.critique import examine, fixes, gradient_text, loss_text, obey, short_gradient
from training.grammar import LABELS, SLOTS, detail, named
from training.protocol import Dialogue, Mix, Protocol
from training.tokenizer import Encoder, train_tokenizer
from training.world import Rates, draw_task, flawed, perfect, text_of

from tpo.methods.tags import CLOSING, OPENING
from tpo.types import assistant, system, user


@cache
def encoder() -> Encoder:
    return Encoder(train_tokenizer(seed=1, documents=300))


def tokens_of(text: str) -> list[int]:
    return list(encoder().tokenizer.encode(text, add_special_tokens=False))


def holds(tokens: list[int], part: list[int]) -> bool:
    return any(tokens[i : i + len(part)] == part for i in range(len(tokens) - len(part) + 1))


@pytest.mark.parametrize("seed", range(40))
def test_a_copied_value_has_the_same_tokens_everywhere(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    draft = perfect(task, rng)
    texts = [task.prompt, text_of(draft), loss_text(examine(task, draft))]
    for slot, value in task.values.items():
        value_tokens = tokens_of(f" {value}")
        assert len(value_tokens) == 1, value
        assert all(holds(tokens_of(text), value_tokens) for text in texts), (slot, value)


@pytest.mark.parametrize("seed", range(40))
def test_a_line_has_the_same_tokens_in_a_gradient_and_in_a_message(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    findings = examine(task, flawed(task, Rates(), rng))
    edits = fixes(task, findings, rng)
    for text in (gradient_text(edits, findings), short_gradient(edits, rng)):
        for edit in edits:
            in_gradient, in_message = tokens_of(text), (tokens_of(edit.text), tokens_of(f"\n{edit.text}"))
            assert any(holds(in_gradient, line) for line in in_message)


@pytest.mark.parametrize("seed", range(20))
def test_orders_are_read_back_from_a_gradient(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    draft = flawed(task, Rates(), rng)
    findings = examine(task, draft)
    edits = fixes(task, findings, rng)
    for text in (gradient_text(edits, findings), short_gradient(edits, rng)):
        assert obey(draft, read_orders(text)) == obey(draft, edits)


@pytest.mark.parametrize("seed", range(5))
def test_the_flaws_of_a_loss_are_as_many_as_the_draft_has(seed: int) -> None:
    rng = random.Random(seed)
    task = draw_task(rng)
    findings = examine(task, flawed(task, Rates(), rng))
    assert len(named_flaws(loss_text(findings))) == len(findings.flaws)


def test_a_label_is_one_token_with_the_end_of_line_before_it_and_another_than_the_word_of_the_query() -> None:
    pairs = encoder().label_pairs()
    assert len({token for pair in pairs for token in pair}) == 3 * len(SLOTS)
    for slot, (asked, label), (again, first) in zip(SLOTS, pairs[::2], pairs[1::2], strict=True):
        assert label == again
        assert tokens_of(f" {named(slot)}") == [asked]
        assert tokens_of(f"\n{LABELS[slot]}:") == [label]
        assert tokens_of(f"{LABELS[slot]}:") == [first]


def test_the_line_after_a_value_follows_from_the_value() -> None:
    lines = "To: Mia\nDay: Friday\nEveryone is welcome."
    assert [encoder().decode([token]) for token in tokens_of(lines)][:5] == [
        "To:", " Mia", "\nDay:", " Friday", "\n",
    ]  # fmt: skip


def test_marks_tell_right_details_from_wrong_ones() -> None:
    rng = random.Random(0)
    task = draw_task(rng)
    lines = list(perfect(task, rng))
    lines[1] = detail("topic", "dance")
    dialogue = Dialogue((user(task.prompt), assistant(text_of(lines))), {})
    marks = [mark for mark in encoder().marks(encoder().dialogue(dialogue)[0]) if mark]
    assert marks == [2 if slot == "topic" else 1 for slot in task.values]


def test_verdicts_weigh_most() -> None:
    loss = "Asked day Friday, has Sunday, wrong\nAsked month May, has May, right"
    dialogue = Dialogue((user("Write a plan: day Friday, month May."), assistant(loss)), {1: 1.0})
    tokens, weights = encoder().dialogue(dialogue)
    weighed = {encoder().decode([token]): weight for token, weight in zip(tokens, weights, strict=True)}
    assert weighed[" wrong"] > weighed[" right"] > weighed[" has"] == 1.0


def test_values_on_which_query_and_draft_disagree_weigh_as_asked_in_an_update() -> None:
    query, draft = "Write a plan: day Friday, month May, place lake.", "Day: Sunday\nMonth: May\nPlace: lake"
    update = f"{OPENING}\nDay: Sunday\nMonth: May\nPlace: castle\n{CLOSING}"
    for head in ((), (system("Be brief."),)):
        messages = (*head, user(query), assistant(draft), user("Change it."), assistant(update))
        dialogue = Dialogue(messages, {len(messages) - 1: 2.0})
        tokens, weights = encoder().dialogue(dialogue, 4.0)
        weighed = [encoder().decode([t]) for t, weight in zip(tokens, weights, strict=True) if weight > 2]
        assert weighed == [" Sunday", " castle"]
        assert max(encoder().dialogue(dialogue)[1]) == 2.0


def test_dialogues_end_with_a_taught_reply_and_updates_stand_in_their_tags() -> None:
    rng, protocol = (
        random.Random(0),
        Protocol(Mix(short=0, fused=0.2, fusion=0.1, textgrad=0.1)),
    )
    for _ in range(100):
        dialogue = protocol.draw(rng)
        assert len(dialogue.messages) - 1 in dialogue.taught
        assert all(dialogue.messages[index]["role"] == "assistant" for index in dialogue.taught)
        last = str(dialogue.messages[-1]["content"])
        assert not last.startswith(OPENING) or last.endswith(CLOSING)


def test_the_encoder_agrees_with_the_chat_template() -> None:
    rng, protocol, tokenizer = random.Random(0), Protocol(Mix()), encoder().tokenizer
    for _ in range(30):
        messages = list(protocol.draw(rng).messages)
        expected = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False)
        assert encoder().prompt(messages[:-1]) == expected
        whole = tokenizer.apply_chat_template(messages, return_dict=False)
        assert tokenizer.decode(whole).count(tokenizer.bos_token) == 1


@pytest.mark.parametrize("text", ["你好 🙂", "a  b\t c", "\x00\x7f", "Ünï çødé", "<improved_response>\nx"])
def test_any_text_survives_the_tokenizer(text: str) -> None:
    assert encoder().decode(tokens_of(text)) == text
