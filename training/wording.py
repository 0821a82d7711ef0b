"""Other wordings of the recipes' texts, mixed into training so that a changed sentence needs no new model."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache

from tpo.methods.wording import Wording, load_wording

COMPARE = (
    "You compare two responses to a request. The user shows you the better one. Explain what is right "
    "and wrong with it, and why the rejected one is worse."
)
JUDGE = "Judge the response that the user shows you. Name point by point what is right and wrong."
COACH = "You instruct a writer. From the assessment of a response, derive short instructions."
AGAINST = (
    "The response above lost against yours. Explain point by point the strengths and weaknesses. "
    "Give no new response."
)
WHY = "Why is yours better, and what is wrong with it? Do not write a new one."
REJECTED = "<rejected_response>\n$rejected\n</rejected_response>"
REQUEST = "<request>\n$query\n</request>"
RESPONSE = "<response>\n$chosen\n</response>"
TAGS = "<improved_response> and </improved_response>"

OTHER_CONVERSATION: dict[str, tuple[str, ...]] = {
    "loss": (
        f"This response was rejected:\n\n{REJECTED}\n\n{WHY}",
        f"{REJECTED}\n\n{AGAINST}",
        f"Compare your response with the rejected one. Name what is right and what is wrong.\n\n{REJECTED}",
    ),
    "loss_single": (
        "What is right and what is wrong with your response? Do not write a new one.",
        "Check your response point by point. Give no new response.",
        "Name the strengths and the weaknesses of your response, one by one.",
    ),
    "gradient": (
        "Now give clear and short instructions that would improve your response. Do not rewrite it.",
        "Which changes would make your response better? List them briefly.",
        "Write down, one a line, what should be changed in your response. Do not write it anew.",
    ),
    "update": (
        f"Now rewrite your response by these instructions. Put it between {TAGS}.",
        f"Apply the instructions, change nothing else, and write only the new response between {TAGS}.",
        f"Write the improved response between the tags {TAGS}, following the instructions.",
    ),
}
OTHER_INDEPENDENT: dict[str, tuple[str, ...]] = {
    "sample_system": (
        "You are a helpful assistant.",
        "You are an assistant that is kind, creative and clear.",
    ),
    "loss_system": (COMPARE + f"\n\n{REQUEST}\n\n{REJECTED}",),
    "loss_single_system": (JUDGE + f"\n\n{REQUEST}",),
    "loss_user": (f"The chosen response:\n\n{RESPONSE}",),
    "gradient_system": (COACH,),
    "gradient_user": (
        "Request:\n$query\n\nResponse:\n$chosen\n\nAssessment:\n$loss",
        f"{REQUEST}\n\n<assessment>\n$loss\n</assessment>\n\n{RESPONSE}",
    ),
    "update_system": (f"Follow the instructions, rewrite the response, and put it between {TAGS}.",),
    "update_user": (
        "Request:\n$query\n\nResponse:\n$chosen\n\nInstructions:\n$gradient",
        f"{RESPONSE}\n\n<instructions>\n$gradient\n</instructions>",
    ),
}
SHARE = 0.3


@cache
def shipped(layout: str) -> Wording:
    """The shipped texts of *layout*, in an order that no file system decides."""
    return Wording(dict(sorted(load_wording(layout).texts.items())))


@cache
def _others(layout: str) -> Mapping[str, tuple[str, ...]]:
    if layout == "independent":
        return OTHER_INDEPENDENT
    losses = shipped("multi_loss").texts
    updates = tuple(shipped(name).texts["update"] for name in ("rubric", "multi_loss", "ab_mcts"))
    more = {"update": updates, "loss": (losses["loss"],), "loss_single": (losses["loss_single"],)}
    return {name: (*texts, *more.get(name, ())) for name, texts in OTHER_CONVERSATION.items()}


def drawn(layout: str, rng: random.Random) -> Wording:
    """The shipped wording, or in a share of the draws one in which any text may be another."""
    if rng.random() > SHARE:
        return shipped(layout)
    texts, others = shipped(layout).texts, _others(layout)
    return Wording({name: rng.choice((text, *others.get(name, ()))) for name, text in texts.items()})
