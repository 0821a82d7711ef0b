"""The checks of IFEval: rows in the authors' schema, and what a row may lack."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("if_verifiable")

import langdetect
import nltk

from tpo.errors import RewardRefused
from tpo.rewards.verify import ifeval
from tpo.rewards.verify.ifeval import followed_instructions, follows, ifeval_checks, load_checks
from tpo.rewards.verify.reward import VerifierReward
from tpo.types import Query, Scope, user

GERMAN = "Das ist ein deutscher Satz über ein Fest, und er ist lang genug."
PROMPT = "Write a letter. Repeat this request first."


def row(*instructions: tuple[str, dict[str, Any]], prompt: str = PROMPT) -> Query:
    ids = [name for name, _ in instructions]
    arguments = [given for _, given in instructions]
    return Query("q", (user(prompt),), metadata={"instruction_id_list": ids, "kwargs": arguments})


def test_there_are_twenty_five() -> None:
    assert len(load_checks()) == 25


KEYWORD = {"keyword": "party", "frequency": 2, "relation": "at least"}
LETTER = {"letter": "z", "let_frequency": 2, "let_relation": "less than"}
SENTENCES = {"num_sentences": 2, "relation": "at least"}
CAPITALS = {"capital_frequency": 2, "capital_relation": "at least"}
FIRST = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "dear"}
SECTIONS = {"section_spliter": "SECTION", "num_sections": 2}
LANGUAGE = "This is a long and plain sentence of the English language, about a party."


@pytest.mark.parametrize(
    ("name", "arguments", "follows", "fails"),
    [
        ("keywords:existence", {"keywords": ["party", "Anna"]}, "Anna, a party!", "Anna!"),
        ("keywords:frequency", KEYWORD, "party party", "party"),
        ("keywords:forbidden_words", {"forbidden_words": ["party"]}, "parties", "a party"),
        ("keywords:letter_frequency", LETTER, "zoo", "zigzag"),
        (
            "language:response_language",
            {"language": "en"},
            LANGUAGE,
            "Das ist ein deutscher Satz über ein Fest.",
        ),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb", "a\n\nb"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "a b c", "a b"),
        ("length_constraints:nth_paragraph_first_word", FIRST, "Hi\n\nDear Tom", "Hi\n\nMy dear Tom"),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a]"),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi\nP.S. bye", "Hi"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n* b", "* a\n* b\n* c"),
        ("detectable_format:constrained_response", {}, "My answer is yes.", "Yes."),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* *b*", "*a*"),
        ("detectable_format:multiple_sections", SECTIONS, "SECTION 1\na\nSECTION 2\nb", "SECTION 1\na"),
        ("detectable_format:json_format", {}, '{"a": 1}', "a"),
        ("detectable_format:title", {}, "<<A party>>\nHi", "A party\nHi"),
        ("combination:two_responses", {}, "a\n******\nb", "a\n******\na"),
        ("combination:repeat_prompt", {"prompt_to_repeat": PROMPT}, f"{PROMPT} Dear Tom", "Dear Tom"),
        (
            "startend:end_checker",
            {"end_phrase": "Any questions?"},
            "Hi. Any questions?",
            "Any questions? No.",
        ),
        ("startend:quotation", {}, '"Hi"', "Hi"),
        ("change_case:english_capital", {}, LANGUAGE.upper(), LANGUAGE),
        ("change_case:english_lowercase", {}, LANGUAGE.lower(), LANGUAGE),
        ("punctuation:no_comma", {}, "Hi Tom", "Hi, Tom"),
    ],
)
async def test_each_check_tells_a_response_that_follows_from_one_that_fails(
    name: str, arguments: dict[str, Any], follows: str, fails: str
) -> None:
    query = row((name, arguments))
    assert await ifeval_checks(follows, query) == {name: True}
    assert await ifeval_checks(fails, query) == {name: False}


@pytest.fixture
def sentence_data(tmp_path: Path) -> Any:
    """NLTK's sentence data without an abbreviation: its own format, empty tables."""
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    for name in ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab"):
        (folder / name).write_text("", "utf-8")
    nltk.data.path.insert(0, str(tmp_path))
    yield tmp_path
    nltk.data.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "arguments", "follows", "fails"),
    [
        (
            "length_constraints:number_sentences",
            {"num_sentences": 2, "relation": "at least"},
            "Hi. Bye.",
            "Hi.",
        ),
        (
            "change_case:capital_word_frequency",
            {"capital_frequency": 2, "capital_relation": "at least"},
            "A BIG party",
            "a big PARTY",
        ),
    ],
)
async def test_the_two_checks_that_count_sentences_and_words(
    sentence_data: Path, name: str, arguments: dict[str, Any], follows: str, fails: str
) -> None:
    query = row((name, arguments))
    assert await ifeval_checks(follows, query) == {name: True}
    assert await ifeval_checks(fails, query) == {name: False}


async def test_an_instruction_that_occurs_twice_is_numbered_and_null_arguments_are_left_out() -> None:
    words = {"num_words": 3, "relation": "at least", "keywords": None}
    query = row(("length_constraints:number_words", words), ("length_constraints:number_words", words))
    name = "length_constraints:number_words"
    assert await ifeval_checks("a b", query) == {name: False, f"{name} (2)": False}


def test_loosely_a_first_line_does_not_count() -> None:
    query = row(("startend:quotation", {}))
    response = 'Here it is:\n"Hi"'
    assert followed_instructions(response, query) == {"startend:quotation": False}
    assert followed_instructions(response, query, loose=True) == {"startend:quotation": True}


@pytest.mark.parametrize(
    ("instructions", "fault"),
    [
        ([("keywords:none", {})], "unknown instruction 'keywords:none'"),
        ([("keywords:existence", {})], "'keywords:existence': its kwargs lack keywords"),
        ([("keywords:existence", "x")], "its kwargs are no object"),
    ],
)
async def test_a_row_that_does_not_say_what_to_check_is_told(instructions: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        await ifeval_checks("Hi", row(*instructions))


async def test_a_row_without_the_columns_is_told() -> None:
    with pytest.raises(ValueError, match="no column 'instruction_id_list'; it has none"):
        await ifeval_checks("Hi", Query("q", (user("Hi"),)))


async def test_a_blank_response_follows_nothing() -> None:
    assert await ifeval_checks(" \n", row(("punctuation:no_comma", {}))) == {"punctuation:no_comma": False}


class WithoutData:
    """Fails as NLTK does where its data are not installed."""

    id = "change_case:capital_word_frequency"

    def check_following(self, text: str) -> bool:
        raise LookupError("Resource 'punkt_tab' not found. >>> nltk.download('punkt_tab')")


def test_missing_sentence_data_are_told_with_the_command() -> None:
    with pytest.raises(RewardRefused, match=r"capital_word_frequency .*python -m nltk\.downloader punkt_tab"):
        follows(WithoutData(), "A B")


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), ImportError("no langdetect")])
def test_what_is_no_fault_of_the_text_is_raised(error: Exception) -> None:
    class Failing:
        id = "language:response_language"

        def check_following(self, text: str) -> bool:
            raise error

    with pytest.raises(type(error)):
        follows(Failing(), "A B")


async def test_responses_that_come_together_at_first_are_checked_as_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Langdetect loads its languages at its first call, one by one, and other threads would see a part."""
    add = langdetect.DetectorFactory.add_profile

    def slowly(*args: Any) -> None:
        time.sleep(0.005)
        add(*args)

    monkeypatch.setattr(langdetect.DetectorFactory, "add_profile", slowly)
    monkeypatch.setattr(langdetect.detector_factory, "_factory", None)
    ifeval._registry.cache_clear()
    english = row(("language:response_language", {"language": "en"}))
    found = await asyncio.gather(*(ifeval_checks(GERMAN, english) for _ in range(8)))
    assert found == [{"language:response_language": False}] * 8


BREAKS = '"a" "b"\n\n---'
"""The authors' check of quotes raises an IndexError on its last line, which the loose form also reads."""


def test_a_text_that_breaks_an_authors_check_does_not_follow_it(caplog: pytest.LogCaptureFixture) -> None:
    ifeval._warn.cache_clear()
    query = row(("format:quote_unquote", {}))
    assert followed_instructions(BREAKS, query) == {"format:quote_unquote": False}
    assert followed_instructions(BREAKS, query, loose=True) == {"format:quote_unquote": False}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "format:quote_unquote: the check fails on some texts (IndexError), which count as not followed"
    ]


async def test_a_text_that_breaks_an_authors_check_has_a_score() -> None:
    query = row(("format:quote_unquote", {}), ("punctuation:no_comma", {}))
    reward = VerifierReward(ifeval_checks, "verify:ifeval")
    found = await reward.score(query.messages, "---", Scope("q", 0, "sample", data=query))
    assert (found.value, found.criteria) == (0.5, {"format:quote_unquote": 0.0, "punctuation:no_comma": 1.0})
