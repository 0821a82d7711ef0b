"""The method's calls are those that TextGrad itself makes; the package is imported here for that."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tpo.contrib.textgrad import PolicyEngine, import_textgrad
from tpo.methods.textgrad.method import textgrad
from tpo.methods.textgrad.templates import in_short, load_templates
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Call, Candidate, Completion, Messages, Pair, Query, Score, plain_text, user

ROLE = "answer to a user's request"
TEXT = st.text(st.sampled_from("ab{} $\n<>"), min_size=1, max_size=120)
REPLY = st.lists(
    st.sampled_from(["<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>", " ", "a", "{b}", "\n"]), max_size=9
).map("".join)


def what_textgrad_sends(instruction: str, response: str, said: list[str]) -> list[Messages]:
    """The messages of TextGrad's own loss, backward and step, answered by the texts of *said* in turn."""
    tg: Any = import_textgrad()
    replies = iter(said)
    policy = ScriptedPolicy(lambda call, index: next(replies))
    with PolicyEngine(policy, name="scripted") as engine:
        variable = tg.Variable(response, role_description=ROLE)
        loss = tg.TextLoss(instruction, engine=engine)(variable)
        loss.backward(engine)
        constraints = textgrad().wording.fill("constraints").splitlines()
        tg.TGD([variable], engine=engine, constraints=constraints).step()
    return [call.messages for call in policy.calls]


@settings(max_examples=15)
@given(request=TEXT, chosen=TEXT, rejected=TEXT, verdict=TEXT, feedback=TEXT)
def test_the_three_calls_are_word_for_word_those_of_textgrad(
    request: str, chosen: str, rejected: str, verdict: str, feedback: str
) -> None:
    method = textgrad()
    query = Query("q", (user(request),))
    pair = Pair(Candidate(0, 0, chosen, Score(1)), Candidate(0, 1, rejected, Score(0)))
    loss = Call.answered("loss", method.loss_prompt(query, pair), verdict)
    gradient = Call.answered("gradient", method.gradient_prompt(query, pair, loss), feedback)
    update = method.update_prompt(query, pair, loss, gradient)
    said = [verdict, feedback, "<IMPROVED_VARIABLE>x</IMPROVED_VARIABLE>"]
    sent = what_textgrad_sends(plain_text(loss.messages[0]), chosen, said)
    assert sent == [loss.messages, gradient.messages, update]


@settings(max_examples=30)
@given(reply=REPLY)
def test_a_reply_is_cut_where_textgrad_cuts_it(reply: str) -> None:
    tg: Any = import_textgrad()
    variable = tg.Variable("before", role_description=ROLE)
    with PolicyEngine(ScriptedPolicy(reply), name="scripted") as engine:
        try:
            tg.TGD([variable], engine=engine).step()
            theirs = variable.value
        except IndexError:
            theirs = None
    assert load_templates().read(reply)[0] == theirs
    assert textgrad().read_update(Completion(0, reply)) == (theirs or None)


@given(text=st.text(st.sampled_from("a \n"), max_size=90))
def test_a_long_text_is_shortened_as_textgrad_does(text: str) -> None:
    tg: Any = import_textgrad()
    assert in_short(text) == tg.Variable(text, role_description=ROLE).get_short_value()


def test_the_tags_are_those_that_textgrad_uses_by_default() -> None:
    tg: Any = import_textgrad()
    with PolicyEngine(ScriptedPolicy(), name="scripted") as engine:
        tags = tg.TGD([tg.Variable("x", role_description=ROLE)], engine=engine).new_variable_tags
    assert [load_templates().opening, load_templates().closing] == tags
