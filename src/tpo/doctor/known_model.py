"""Check of the reward against its row in the table of known reward models."""

from __future__ import annotations

from tpo.config import reward_specs
from tpo.doctor.finding import good, unknown, warning
from tpo.doctor.golden import served_model_name
from tpo.doctor.setup import CheckState, Setup
from tpo.inprocess.chat import ChatTokenizer
from tpo.rewards.known_models import KnownModel, find_known
from tpo.rewards.probes import PROBES
from tpo.types import assistant

CHECK = "known reward model"


async def check_known_model(setup: Setup, state: CheckState) -> None:
    """Compare what is known of the reward model with how it is used; report nothing of an unknown model."""
    spec, *others = reward_specs(setup.settings.reward)
    if state.reward is None or others or not spec.gives_logits:
        return
    name = await served_model_name(setup, state, spec) if spec.urls else spec.location
    row = None if name is None else find_known(name)
    if row is None:
        return
    refusal = row.refusal(spec.kind) if spec.urls else None
    if refusal is not None:
        advice = "see the page on reward models for what works"
        state.report(warning(CHECK, f"{row.name} is not for --reward {spec.kind}: {refusal}", advice))
        return
    _report_layout(row, getattr(state.reward, "chat", None), state)
    _report_system_turn(row, state)


def _report_layout(row: KnownModel, chat: ChatTokenizer | None, state: CheckState) -> None:
    scores = ", ".join(f"{score:g}" for score in row.card_scores)
    advice = (
        f"--golden FILE with the example of its card, which scores {scores}, checks the numbers"
        if scores
        else ""
    )
    if chat is None or row.layout is None:
        why = (
            "its conversations go as messages" if row.layout else "no source tells how its conversations look"
        )
        state.report(unknown(CHECK, f"{row.name}: {why}, so their tokens were not checked", advice))
        return
    fault = layout_fault(row, chat)
    if fault is None:
        sentence = f"{row.name}: conversations start and end as its table row says"
        state.report(good(CHECK, f"{sentence}; {advice}" if advice else sentence, model=row.name))
    else:
        repair = "use the tokenizer and the chat template that came with the model (--reward-tokenizer)"
        state.report(warning(CHECK, f"{row.name}: {fault}", repair, model=row.name))


def layout_fault(row: KnownModel, chat: ChatTokenizer) -> str | None:
    """Return how a probe's tokens differ from the layout of *row*; None if they agree or none is known."""
    if row.layout is None:
        return None
    ids = chat.conversation_ids((*PROBES[0].messages, assistant(PROBES[0].good)))
    starts = ids.count(chat.start) if chat.start is not None else 0
    if starts != row.layout.start:
        return f"a conversation has {starts} start tokens instead of {row.layout.start}"
    last = (chat.special_tokens(ids) or ["none"])[-1]
    if last != row.layout.end:
        return f"the last special token of a conversation is {last} instead of {row.layout.end}"
    return None


def _report_system_turn(row: KnownModel, state: CheckState) -> None:
    turns = state.query.messages if state.query is not None else ()
    if not row.takes_system and any(turn["role"] == "system" for turn in turns):
        sentence = f"{row.name} was made for conversations without a system turn, and the data has one"
        state.report(
            warning(CHECK, sentence, f"source: {row.sources[0]}; take another reward, or move its text")
        )
