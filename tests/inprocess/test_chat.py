"""Conversations as token ids: the start token once, whatever template and tokenizer do."""

from typing import Any

import pytest

from tests.models import BOS, EOS, EOT, HEAD, HEAD_END, TEMPLATE, make_tokenizer
from tpo.errors import PolicyRefused
from tpo.inprocess.chat import ChatTokenizer, Detokenizer
from tpo.reasoning import Answer, ReasoningSplitter
from tpo.types import Messages, assistant, system, user

MESSAGES: Messages = (user("Dear Anna"), assistant("Friday"))
WITHOUT_START = TEMPLATE.replace("{{ bos_token }}", "")


def chat(**options: Any) -> tuple[ChatTokenizer, Any]:
    tokenizer = make_tokenizer(**options)
    return ChatTokenizer(tokenizer, "model", PolicyRefused), tokenizer


@pytest.mark.parametrize(
    ("template", "adds_start", "expected"),
    [(TEMPLATE, True, 1), (TEMPLATE, False, 1), (WITHOUT_START, True, 1), (WITHOUT_START, False, 0)],
)
def test_a_conversation_has_its_start_token_once(template: str, adds_start: bool, expected: int) -> None:
    reader, tokenizer = chat(template=template, adds_start=adds_start)
    ids = reader.conversation_ids(MESSAGES)
    assert ids.count(tokenizer.bos_token_id) == expected
    assert ids[0] == tokenizer.convert_tokens_to_ids(BOS if expected else HEAD)


@pytest.mark.parametrize("adds_start", [True, False])
def test_a_prompt_is_the_template_and_nothing_else(adds_start: bool) -> None:
    reader, tokenizer = chat(adds_start=adds_start)
    assert tokenizer.decode(reader.prompt_ids((user("Dear Anna"),))) == (
        f"{BOS}{HEAD}user{HEAD_END}\n\nDear Anna{EOT}{HEAD}assistant{HEAD_END}\n\n"
    )


def test_the_templates_turn_end_and_the_tokenizers_end_both_end_an_answer() -> None:
    reader, tokenizer = chat()
    assert reader.turn_ends() == {tokenizer.convert_tokens_to_ids(token) for token in (EOT, EOS)}


def test_special_tokens_are_no_text() -> None:
    reader, tokenizer = chat()
    assert (
        reader.text(tokenizer(f"Dear{HEAD} Anna{EOT}", add_special_tokens=False)["input_ids"]) == "Dear Anna"
    )


CHANNELS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>")
ANALYSIS = "<|channel|>analysis<|message|>Dear<|end|><|start|>assistant<|channel|>final<|message|>Anna"


@pytest.mark.parametrize(
    ("special", "written", "expected"),
    [
        (CHANNELS, ANALYSIS, Answer("Anna", "Dear")),
        (CHANNELS, "<|channel|>final<|message|>Anna", Answer("Anna")),
        (("[THINK]", "[/THINK]"), "[THINK]Dear[/THINK]Anna", Answer("Anna", "Dear")),
        (("<|end|>", "<|start|>"), "Anna<|end|>", Answer("Anna")),
    ],
)
def test_marks_of_reasoning_that_are_special_tokens_are_read(
    special: tuple[str, ...], written: str, expected: Answer
) -> None:
    reader, tokenizer = chat()
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    ids = tokenizer(written + EOT, add_special_tokens=False)["input_ids"]
    assert reader.answer(ids) == expected
    detokenizer, splitter = Detokenizer(reader), ReasoningSplitter()
    pieces = [each for token in ids for each in splitter.take(detokenizer.add(token))] + splitter.end()
    assert "".join(text for text, is_reasoning in pieces if not is_reasoning) == expected.text


def test_cutting_takes_from_the_beginning_but_not_the_start_token() -> None:
    reader, tokenizer = chat()
    start = tokenizer.bos_token_id
    assert reader.cut_start([start, 11, 12, 13], 2) == (start, 13)
    assert reader.cut_start([11, 12, 13], 2) == (13,)
    assert reader.cut_start([start, 11], 0) == (start, 11)


def test_text_parts_are_joined_and_images_are_refused() -> None:
    reader, _ = chat()
    parts: Messages = (
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    )
    assert reader.prompt_ids(parts) == reader.prompt_ids((user("a\nb"),))
    with pytest.raises(ValueError, match="image_url"):
        reader.prompt_ids(({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},))


def test_a_tokenizer_without_a_template_is_refused_by_name() -> None:
    with pytest.raises(PolicyRefused, match="model: its tokenizer has no chat template"):
        chat(template=None)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{% for m in messages %}",
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    ],
    ids=["unsafe", "unfinished", "deep"],
)
def test_a_template_that_cannot_be_used_is_one_sentence(template: str) -> None:
    with pytest.raises(PolicyRefused, match=r"^model: its chat template fails \([^\n]+\)$"):
        chat(template=template)[0].turn_ends()


LLAMA_DATE = (
    "{%- if not date_string is defined %}{% if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{% endif %}{% endif %}{{ date_string }}"
)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ('{% set form = "%A, %-d %B %Y" %}{{ strftime_now(form) }}', "Friday, 26 July 2024"),
        (
            "{% macro head() %}{{ strftime_now('%Y-%m-%d %H:%M:%S') }}{% endmacro %}{{ head() }}",
            "2024-07-26 00:00:00",
        ),
        ("\n  {% if strftime_now is defined %} {{ strftime_now('%y%j') }} {% endif %}", "\n 24208 "),
        (LLAMA_DATE, "26 Jul 2024"),
    ],
)
def test_a_template_reads_the_same_date_every_day(template: str, shown: str) -> None:
    reader, tokenizer = chat(template=template + TEMPLATE.replace("{{ bos_token }}", ""))
    prompt = tokenizer.decode(reader.prompt_ids((user("Dear Anna"),)))
    assert prompt.startswith(f"{shown}{HEAD}user{HEAD_END}")
    assert tokenizer.decode(reader.conversation_ids(MESSAGES)).startswith(f"{BOS}{shown}{HEAD}user")


def test_a_date_among_the_values_of_the_template_is_shown() -> None:
    tokenizer = make_tokenizer(template=LLAMA_DATE)
    reader = ChatTokenizer(tokenizer, "model", PolicyRefused, {"date_string": "1 Jan 2031"})
    assert tokenizer.decode(reader.prompt_ids((user("Dear Anna"),))) == "1 Jan 2031"


REFUSES_SYSTEM = (
    "{%% if messages[0]['role'] == 'system' %%}{{ raise_exception('%s') }}{%% endif %%}"
    + TEMPLATE.replace("%", "%%")
)


@pytest.mark.parametrize(
    "reason",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Only user and assistant roles are supported!",
    ],
)
def test_a_system_turn_that_the_template_refuses_goes_into_the_first_user_turn(reason: str) -> None:
    reader, _ = chat(template=REFUSES_SYSTEM % reason)
    merged = user("Be brief.\n\nDear Anna")
    for _ in range(2):
        assert reader.prompt_ids((system("Be brief."), user("Dear Anna"))) == reader.prompt_ids((merged,))
    whole = (system("Be brief."), *MESSAGES)
    assert reader.conversation_ids(whole) == reader.conversation_ids((merged, MESSAGES[1]))


def test_a_conversation_that_fails_either_way_does_not_change_those_after_it() -> None:
    strict = "{% if messages | selectattr('role', 'equalto', 'assistant') | list | length > 1 %}"
    reason = "Conversation roles must alternate user/assistant"
    reader, _ = chat(template=strict + "{{ raise_exception('" + reason + "') }}{% endif %}" + TEMPLATE)
    fine = (system("Be brief."), user("Dear Anna"))
    before = reader.prompt_ids(fine)
    with pytest.raises(Exception, match="must alternate"):
        reader.prompt_ids((system("Be brief."), user("a"), assistant("b"), assistant("c"), user("d")))
    assert reader.prompt_ids(fine) == before


def test_another_refusal_of_a_template_stays_an_error() -> None:
    reader, _ = chat(template=REFUSES_SYSTEM % "no tools here")
    with pytest.raises(Exception, match="no tools here"):
        reader.prompt_ids((system("Be brief."), user("Dear Anna")))


@pytest.mark.parametrize(
    "text", ["Dear Anna, until Friday.", "Füße 海 🙂 e\u0301", "  spaces  and\nlines \n"]
)
def test_tokens_one_by_one_give_the_text_of_all(text: str) -> None:
    reader, tokenizer = chat()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    detokenizer = Detokenizer(reader)
    pieces = [detokenizer.add(token) for token in ids]
    assert "".join(pieces) == reader.text(ids)
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
