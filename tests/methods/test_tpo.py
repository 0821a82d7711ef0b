"""Prompts of TPO and revision, in both layouts."""

from __future__ import annotations

import pytest

from tpo.entry_points import METHODS, names
from tpo.methods.catalog import build_method
from tpo.methods.tpo import Tpo
from tpo.types import (
    Call,
    Candidate,
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


def calls(name: str, query: Query, pair: Pair = PAIR) -> tuple[Messages, Messages, Messages]:
    method = build_method(name)
    assert isinstance(method, Tpo)
    loss = Call.answered("loss", method.loss_prompt(query, pair), "the loss")
    gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), "the gradient")
    return loss.messages, gradient.messages, method.update_prompt(query, pair, loss, gradient)


def told(messages: Messages) -> str:
    return "\n".join(plain_text(m) for m in messages)


@pytest.mark.parametrize("name", ["tpo", "revision"])
@pytest.mark.parametrize("query", [QUERY, TALK])
def test_in_a_conversation_each_prompt_is_a_prefix_of_the_next(name: str, query: Query) -> None:
    loss, gradient, update = calls(name, query)
    assert loss[: len(query.messages) + 1] == (*query.messages, assistant("the chosen one"))
    assert gradient[: len(loss) + 1] == (*loss, assistant("the loss"))
    assert update[: len(gradient) + 1] == (*gradient, assistant("the gradient"))
    assert update[-1]["role"] == "user"


@pytest.mark.parametrize("name", ["revision", "paper-revision"])
def test_revision_never_shows_the_rejected_response(name: str) -> None:
    assert all("rejected" not in told(m) for m in calls(name, QUERY))


@pytest.mark.parametrize(("name", "alone"), [("tpo", "revision"), ("paper", "paper-revision")])
def test_with_one_response_only_the_critique_falls_back_to_revision(name: str, alone: str) -> None:
    pair = Pair(CHOSEN, None)
    assert calls(name, QUERY, pair) == calls(alone, QUERY, pair)


@pytest.mark.parametrize("name", names(METHODS))
def test_the_first_sample_carries_the_users_messages_unchanged(name: str) -> None:
    messages = build_method(name).first_prompt(TALK)
    assert messages[-len(TALK.messages) :] == TALK.messages


def test_only_the_papers_layout_sends_a_system_text_of_its_own() -> None:
    assert build_method("tpo").first_prompt(QUERY) == QUERY.messages
    opening, *rest = build_method("paper").first_prompt(QUERY)
    assert opening["role"] == "system"
    assert tuple(rest) == QUERY.messages
    assert build_method("paper").first_prompt(TALK) == TALK.messages
    told = Query("q", ({"role": "developer", "content": "Be brief."}, *QUERY.messages))
    assert build_method("paper").first_prompt(told) == told.messages


@pytest.mark.parametrize("query", [QUERY, TALK])
def test_the_papers_calls_share_nothing_and_quote_what_they_need(query: Query) -> None:
    loss, gradient, update = calls("paper", query)
    assert [len(loss), len(gradient), len(update)] == [2, 2, 2]
    assert {loss[0]["role"], gradient[0]["role"], update[0]["role"]} == {"system"}
    for messages, texts in (
        (loss, ["the chosen one", "the rejected one"]),
        (gradient, ["the chosen one", "the rejected one", "the loss"]),
        (update, ["the chosen one", "the rejected one", "the loss", "the gradient", "<constraints>"]),
    ):
        assert all(text in told(messages) for text in [query.text, *texts])
