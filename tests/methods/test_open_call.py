"""A policy call of a step and its record."""

from __future__ import annotations

from tpo.methods.open_call import OpenCall, hash_of_call, reply_of
from tpo.types import Candidate, Completion, Reply, Sampling, Scope, Score, user

ASKED = (user("q"),)


def call() -> OpenCall:
    opened = OpenCall(
        Scope("q", 1, "update", branch=2, ordinal=3, role="editor"), ASKED, Sampling(3, seed=5), "h"
    )
    opened.candidates[2] = Candidate(1, 2, "c", Score(1.0))
    opened.candidates[0] = Candidate(1, 0, "a", None)
    opened.replies[1] = reply_of(Completion(1, "b", "length", reasoning="r"))
    return opened


def test_responses_stand_in_the_order_of_their_indices_and_some_have_no_score() -> None:
    assert [candidate.text for candidate in call().drawn] == ["a", "c"]
    assert [candidate.text for candidate in call().scored] == ["c"]


def test_the_record_holds_the_place_the_request_and_the_replies() -> None:
    record = call().record()
    assert (record.phase, record.branch, record.ordinal, record.role) == ("update", 2, 3, "editor")
    assert (record.n, record.seed, record.request, record.messages) == (3, 5, "h", ASKED)
    assert record.replies == (Reply(1, "b", "length", "r"),)


def test_a_message_that_json_has_no_form_for_has_no_hash() -> None:
    assert hash_of_call(ASKED, Sampling()) != hash_of_call(ASKED, Sampling(seed=8)) != ""
    odd = {"role": "user", "content": [{"type": "text", "text": "q", "odd": object()}]}
    assert hash_of_call((odd,), Sampling()) == ""  # type: ignore[arg-type]
