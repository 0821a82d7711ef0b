"""A few fixed conversations with a good and a poor answer each, to try a reward on before it is trusted.

They serve three ends: to see that a server gives raw scores, to see that a reward prefers sense to nonsense,
and to give the members of an ensemble a common scale. They never change within a version.
"""

from __future__ import annotations

from dataclasses import dataclass

from tpo.types import Messages, user


@dataclass(frozen=True, slots=True)
class _Probe:
    """A conversation, an answer that anyone would prefer, and one that nobody would."""

    messages: Messages
    good: str
    poor: str


def _probe(question: str, good: str, poor: str) -> _Probe:
    return _Probe((user(question),), good, poor)


PROBES = (
    _probe(
        "What is the capital of France?",
        "The capital of France is Paris.",
        "banana banana banana banana",
    ),
    _probe(
        "Write a short thank-you note to Maria for the flowers.",
        "Dear Maria, thank you so much for the beautiful flowers. They brighten the whole room. Warmly, Tom",
        "no. whatever. no. whatever. no. whatever.",
    ),
    _probe(
        "How do I boil an egg?",
        "Put the egg into boiling water, wait eight minutes, then cool it under cold water and peel it.",
        "Go away and stop asking stupid things.",
    ),
    _probe(
        "Please explain in one sentence why the sky looks blue.",
        "Air scatters blue light more strongly than red, so blue reaches our eyes from all over the sky.",
        "The sky the sky the sky the sky the sky is is is is is.",
    ),
    _probe(
        "Remind Anna that the meeting moved to Friday at ten.",
        "Hi Anna, a quick reminder: our meeting has moved to Friday at ten o'clock. See you there!",
        "Meeting was cancelled forever, do not come on Monday at three, Peter.",
    ),
    _probe(
        "What is 12 times 12?",
        "12 times 12 is 144.",
        "12 times 12 is a kind of fish.",
    ),
)
