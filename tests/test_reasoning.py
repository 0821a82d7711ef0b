"""Reasoning that stands in the content of a reply is found, and nothing else is taken for it."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.reasoning import Answer, opens_reasoning, split_reasoning


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Four.", Answer("Four.")),
        ("<think>2+2</think>\n\nFour.", Answer("Four.", "2+2")),
        ("<think>\n\n</think>\n\nFour.", Answer("Four.")),
        ("  \n<THINK>2+2</THINK>Four.", Answer("Four.", "2+2")),
        ("2+2 is easy.\n</think>\n\nFour.", Answer("Four.", "2+2 is easy.")),
        ("<think>2+2, let me see", Answer("", "2+2, let me see", ended=False)),
        ("<think>a</think>Four.<think>b</think> Or 4.", Answer("Four. Or 4.", "a\n\nb")),
        ("<think>a <think> b</think> c</think>Four.", Answer("Four.", "a <think> b\n\nc")),
        ("Four.\n<think>or is it", Answer("Four.", "or is it", ended=False)),
        ("[THINK]2+2[/THINK]Four.", Answer("Four.", "2+2")),
        ("<seed:think>2+2</seed:think>Four.", Answer("Four.", "2+2")),
        ("<thinking>a</think> b</thinking>Four.", Answer("Four.", "a</think> b")),
        (
            "<|channel|>analysis<|message|>2+2<|end|><|start|>assistant<|channel|>final<|message|>Four.",
            Answer("Four.", "2+2"),
        ),
        (
            "<|channel|>commentary<|message|>2+2<|end|><|start|>assistant<|channel|>final<|message|>Four.",
            Answer("Four.", "2+2"),
        ),
        ("<|channel|>final<|message|>Four.", Answer("Four.")),
        ("Write `<think>` and `</think>` around it.", Answer("Write `<think>` and `</think>` around it.")),
        ("```\n<think>x</think>\n```", Answer("```\n<think>x</think>\n```")),
        ("The <think> tag begins it.", Answer("The <think> tag begins it.")),
    ],
)
def test_reasoning_is_split_from_the_answer(text: str, expected: Answer) -> None:
    assert split_reasoning(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2+2 is", Answer("", "2+2 is", ended=False)),
        ("2+2</think>Four.", Answer("Four.", "2+2")),
        ("<think>2+2</think>Four.", Answer("Four.", "2+2")),
        ("", Answer("", None, ended=False)),
    ],
)
def test_a_template_may_have_opened_it(text: str, expected: Answer) -> None:
    assert split_reasoning(text, opened=True) == expected


def test_a_prompt_that_ends_with_an_opening_mark_opens_reasoning() -> None:
    assert opens_reasoning("<|im_start|>assistant\n<think>\n")
    assert not opens_reasoning("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert not opens_reasoning("What is <think>?\nAssistant:")


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "[THINK]", "[/THINK]", "`", "```", "\n", " ", "a", "Four. "]),
    max_size=12,
).map("".join)


@settings(deadline=None)
@given(PIECES)
def test_every_word_is_kept_and_a_split_answer_is_split_no_further(text: str) -> None:
    once = split_reasoning(text)
    assert once.text.count("Four") + (once.reasoning or "").count("Four") == text.count("Four")
    if "THINK" not in text.upper():
        assert once == Answer(text)


@settings(deadline=None)
@given(st.text(alphabet="ab \n"), st.text(alphabet="cd \n"))
def test_no_reasoning_is_left_in_the_answer(thought: str, answer: str) -> None:
    for reply in (f"<think>{thought}</think>{answer}", f"{thought}</think>{answer}"):
        assert split_reasoning(reply) == Answer(answer.strip(), thought.strip() or None)


@pytest.mark.parametrize(
    "mark",
    ["<{}think>", "<{}thinking>", "<{}thought>", "<{}seed:think>", "[{}THINK]", "◁{}think▷"],
)
@pytest.mark.parametrize("change", [str.lower, str.upper, str])
def test_marks_of_each_kind_are_found_in_any_case(mark: str, change: Callable[[str], str]) -> None:
    text = change(mark.format("")) + "hm" + change(mark.format("/")) + "Four."
    assert split_reasoning(text) == Answer("Four.", "hm")
