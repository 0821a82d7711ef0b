"""The recipes: which messages each call sends, and how a reply becomes a response."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.entry_points import METHODS, names
from tpo.errors import ConfigError
from tpo.methods.recipe import CLOSING, OPENING, Recipe
from tpo.methods.recipes import build_recipe
from tpo.types import (
    Candidate,
    Completion,
    Feedback,
    FinishReason,
    Messages,
    Pair,
    Query,
    Score,
    assistant,
    plain_text,
    system,
    user,
)

CHOSEN = Candidate(0, 1, "the chosen one", Score(2.0))
REJECTED = Candidate(0, 2, "the rejected one", Score(-2.0))
PAIR = Pair(CHOSEN, REJECTED)
QUERY = Query("q1", (user("Say $hello {x}."),))
TALK = Query("q2", (system("Be brief."), user("Hi"), assistant("Hello."), user("Again?")))


def calls(recipe: Recipe, query: Query, pair: Pair = PAIR) -> tuple[Messages, Messages, Messages]:
    loss = Feedback(recipe.loss(query, pair), "the loss")
    gradient = Feedback(recipe.gradient(query, pair, loss), "the gradient")
    return loss.messages, gradient.messages, recipe.update(query, pair, loss, gradient)


def told(messages: Messages) -> str:
    return "\n".join(plain_text(m) for m in messages)


@pytest.mark.parametrize("name", names(METHODS))
def test_the_first_sample_carries_the_users_messages_unchanged(name: str) -> None:
    messages = build_recipe(name).sample(TALK)
    assert messages[-len(TALK.messages) :] == TALK.messages


def test_only_the_papers_layout_sends_a_system_text_of_its_own() -> None:
    assert build_recipe("tpo").sample(QUERY) == QUERY.messages
    opening, *rest = build_recipe("paper").sample(QUERY)
    assert opening["role"] == "system"
    assert tuple(rest) == QUERY.messages
    assert build_recipe("paper").sample(TALK) == TALK.messages


@pytest.mark.parametrize("name", ["tpo", "revision"])
@pytest.mark.parametrize("query", [QUERY, TALK])
def test_in_a_conversation_each_prompt_is_a_prefix_of_the_next(name: str, query: Query) -> None:
    recipe = build_recipe(name)
    loss, gradient, update = calls(recipe, query)
    assert loss[: len(query.messages) + 1] == (*query.messages, assistant("the chosen one"))
    assert gradient[: len(loss) + 1] == (*loss, assistant("the loss"))
    assert update[: len(gradient) + 1] == (*gradient, assistant("the gradient"))
    assert update[-1]["role"] == "user"


@pytest.mark.parametrize("query", [QUERY, TALK])
def test_the_papers_calls_share_nothing_and_quote_what_they_need(query: Query) -> None:
    loss, gradient, update = calls(build_recipe("paper"), query)
    assert [len(loss), len(gradient), len(update)] == [2, 2, 2]
    assert {loss[0]["role"], gradient[0]["role"], update[0]["role"]} == {"system"}
    for messages, texts in (
        (loss, ["the chosen one", "the rejected one"]),
        (gradient, ["the chosen one", "the loss"]),
        (update, ["the chosen one", "the gradient"]),
    ):
        assert all(text in told(messages) for text in [query.text, *texts])


@pytest.mark.parametrize("name", ["revision", "paper-revision"])
def test_revision_never_shows_the_rejected_response(name: str) -> None:
    assert all("rejected" not in told(m) for m in calls(build_recipe(name), QUERY))


@pytest.mark.parametrize(("name", "alone"), [("tpo", "revision"), ("paper", "paper-revision")])
def test_with_one_response_only_the_critique_falls_back_to_revision(name: str, alone: str) -> None:
    pair = Pair(CHOSEN, None)
    assert calls(build_recipe(name), QUERY, pair) == calls(build_recipe(alone), QUERY, pair)


def test_best_of_n_is_depth_zero_whatever_depth_is_asked() -> None:
    assert build_recipe("bon", max_iterations=3, sample_size=9).max_iterations == 0


@pytest.mark.parametrize(
    ("text", "finish", "response"),
    [
        (f"{OPENING}\nNew.\n{CLOSING}", "stop", "New."),
        (f"Sure:\n{OPENING}New.{CLOSING} Done.", "stop", "New."),
        (f"{OPENING}New.", "stop", "New."),
        (f"{OPENING}New, but c", "length", None),
        (f"{OPENING}New.{CLOSING} and then it rambl", "length", "New."),
        (f"{OPENING}draft{CLOSING}\n{OPENING}final{CLOSING}", "stop", "final"),
        (f"{OPENING} \n {CLOSING}", "stop", None),
        ("New.", "stop", None),
        ("", "stop", None),
    ],
)
def test_an_update_is_what_stands_between_its_tags(
    text: str, finish: FinishReason, response: str | None
) -> None:
    assert build_recipe("tpo").read_update(Completion(0, text, finish)) == response


@given(st.text())
def test_any_response_comes_back_from_between_the_tags(text: str) -> None:
    if OPENING in text or CLOSING in text:
        return
    completion = Completion(0, f"{OPENING}\n{text}\n{CLOSING}")
    assert build_recipe("tpo").read_update(completion) == (text.strip() or None)


def test_critiques_draw_once_and_samples_n_times() -> None:
    recipe = build_recipe("tpo", sample_size=4, top_p=0.9)
    assert (recipe.sampling("loss", 0).n, recipe.sampling("loss", 0).top_p) == (1, 0.99)
    assert (recipe.sampling("update", 0).n, recipe.sampling("update", 0).top_p) == (4, 0.9)


@pytest.mark.parametrize(
    ("shape", "option"),
    [
        ({"sample_size": 0}, "--sample-size"),
        ({"max_iterations": -1}, "--max-iterations"),
        ({"temperature": -0.1}, "--temperature"),
        ({"top_p": 0.0}, "--top-p"),
        ({"top_p": 1.5}, "--top-p"),
        ({"max_tokens": 0}, "--max-tokens"),
    ],
)
def test_a_value_out_of_range_is_named_by_its_option(shape: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError, match=option):
        build_recipe("tpo", **shape)


def test_an_unknown_method_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"tpoo: unknown; there are tpo, bon, .*paper.* and MODULE:CLASS"):
        build_recipe("tpoo")


def test_what_shapes_the_calls_is_described_for_the_record() -> None:
    described = build_recipe("revision").describe()
    assert described["name"] == "revision"
    assert {"sample_size", "max_iterations", "temperature", "top_p", "shows_rejected", "wording"} <= set(
        described
    )
