"""The sentences of the world: how each line of a message, and each query, is built and read back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

ROLES = ("greeting", "main", "when", "where", "warmth", "closing")
SLOTS = ("name", "topic", "day", "time", "place", "sender")
SLOTS_OF_ROLE: dict[str, tuple[str, ...]] = {
    "greeting": ("name",),
    "main": ("topic",),
    "when": ("day", "time"),
    "where": ("place",),
    "warmth": (),
    "closing": ("sender",),
}
ROLE_OF_SLOT = {slot: role for role, slots in SLOTS_OF_ROLE.items() for slot in slots}

GREETINGS = ("Dear {name},", "Hello {name},", "Hi {name},")
CLOSINGS = ("Best wishes, {sender}", "Warm regards, {sender}", "Yours, {sender}", "Take care, {sender}")
TIME = " at {time}"


@dataclass(frozen=True)
class Family:
    """The lines of one kind of message; ``ask`` and ``noun`` build its queries."""

    ask: tuple[str, ...]
    noun: str
    main: tuple[str, ...]
    when: tuple[str, ...]
    where: tuple[str, ...]
    warmth: tuple[str, ...]


FAMILIES: dict[str, Family] = {
    "invitation": Family(
        ask=("invite {name} to {topic}", "ask {name} to come to {topic}"),
        noun="an invitation to {name} for {topic}",
        main=(
            "I would like to invite you to {topic}.",
            "You are invited to {topic}.",
            "Would you like to come to {topic}?",
        ),
        when=("It is on {day}{at}.", "We start on {day}{at}.", "Join us on {day}{at}."),
        where=("We meet {place}.", "You will find us {place}.", "It takes place {place}."),
        warmth=(
            "It would be lovely to see you there.",
            "I really hope that you can come.",
            "It will be much more fun with you.",
            "We all look forward to seeing you.",
        ),
    ),
    "thanks": Family(
        ask=("thank {name} for {topic}", "tell {name} how grateful I am for {topic}"),
        noun="a thank you note to {name} for {topic}",
        main=("Thank you so much for {topic}.", "Many thanks for {topic}.", "I am so grateful for {topic}."),
        when=(
            "Let me buy you a coffee on {day}{at}.",
            "I would love to cook for you on {day}{at}.",
            "May I take you out on {day}{at}?",
        ),
        where=("We could meet {place}.", "I will wait for you {place}.", "Let us meet {place}."),
        warmth=(
            "It made me very happy.",
            "You are such a kind person.",
            "I will not forget it.",
            "It means a lot to me.",
        ),
    ),
    "apology": Family(
        ask=("apologise to {name} for {topic}", "tell {name} that I am sorry for {topic}"),
        noun="an apology to {name} for {topic}",
        main=(
            "I am very sorry for {topic}.",
            "Please forgive me for {topic}.",
            "I want to apologise for {topic}.",
        ),
        when=(
            "I would like to make up for it on {day}{at}.",
            "Could we talk on {day}{at}?",
            "I will call you on {day}{at}.",
        ),
        where=("We could meet {place}.", "I will be there for you {place}.", "Let us sit down {place}."),
        warmth=(
            "You mean a lot to me.",
            "I feel bad about it and will do better.",
            "Your trust matters to me.",
            "I hope we stay friends.",
        ),
    ),
    "reminder": Family(
        ask=("remind {name} about {topic}", "make sure that {name} does not forget {topic}"),
        noun="a reminder to {name} about {topic}",
        main=(
            "This is a friendly reminder about {topic}.",
            "Please do not forget {topic}.",
            "I want to remind you about {topic}.",
        ),
        when=("It is on {day}{at}.", "Please be ready on {day}{at}.", "The date is set for {day}{at}."),
        where=("It takes place {place}.", "I will be waiting {place}.", "Please come to us {place}."),
        warmth=(
            "Thank you for thinking of it.",
            "I know how busy you are, so thank you.",
            "Let me know if I can help.",
            "It is always a pleasure with you.",
        ),
    ),
    "request": Family(
        ask=("ask {name} to lend me {topic}", "ask {name} if I may borrow {topic}"),
        noun="a request to {name} to borrow {topic}",
        main=(
            "Could you please lend me {topic}?",
            "May I borrow {topic}?",
            "I would be glad to borrow {topic}.",
        ),
        when=("I need it on {day}{at}.", "It would help me on {day}{at}.", "I could fetch it on {day}{at}."),
        where=("We could meet {place}.", "I will wait for you {place}.", "You could leave it {place}."),
        warmth=(
            "I would be very grateful.",
            "You would help me a great deal.",
            "I will take good care of it.",
            "I understand if it does not suit you.",
        ),
    ),
    "congratulation": Family(
        ask=("congratulate {name} on {topic}", "tell {name} how happy I am about {topic}"),
        noun="congratulations to {name} on {topic}",
        main=("Congratulations on {topic}!", "Well done on {topic}!", "I am so happy to hear about {topic}!"),
        when=(
            "Let us celebrate on {day}{at}.",
            "We should raise a glass on {day}{at}.",
            "The cake will be ready on {day}{at}.",
        ),
        where=("The party is {place}.", "We meet {place}.", "Your friends will wait {place}."),
        warmth=(
            "You have really earned it.",
            "I am so proud of you.",
            "Nobody deserves it more than you.",
            "What a great success.",
        ),
    ),
    "good wishes": Family(
        ask=("wish {name} well after {topic}", "cheer up {name} after {topic}"),
        noun="good wishes to {name} after {topic}",
        main=(
            "I was sorry to hear about {topic}.",
            "I hope you are better after {topic}.",
            "I have just heard about {topic}.",
        ),
        when=(
            "I will visit you on {day}{at}.",
            "May I call you on {day}{at}?",
            "I will bring soup on {day}{at}.",
        ),
        where=("We could meet {place}.", "I will wait for you {place}.", "Let us sit together {place}."),
        warmth=(
            "Get well soon.",
            "I am thinking of you.",
            "You will be fine very soon.",
            "I am sending you a big hug.",
        ),
    ),
}

RUDE = (
    "Hurry up, I have no time for you.",
    "Do not be so slow again.",
    "You always make such a fuss.",
    "Honestly, you are a pain.",
    "Do not waste my time.",
    "I do not care what you think.",
    "Even you should manage that.",
    "Stop complaining for once.",
)
RAMBLING = (
    "By the way, my cat sleeps all day.",
    "It rained here all morning.",
    "I had soup for lunch yesterday.",
    "The new bus is green and very loud.",
    "My neighbour paints his fence again.",
    "I cannot find my left shoe.",
    "Some people say that carrots help.",
    "Last year I saw a very big pumpkin.",
    "My uncle once owned a small boat.",
    "The radio plays the same song all week.",
    "I still have to buy some light bulbs.",
    "There was a funny cloud on the way home.",
)


@dataclass(frozen=True)
class Line:
    """One line of a message: what it does (``role``), the details that it holds, and its words."""

    role: str
    text: str
    values: Mapping[str, str] = field(default_factory=dict)


def templates(family: str, role: str) -> tuple[str, ...]:
    """The sentences that fill *role* in *family*; those of ``when`` may lack the time."""
    if role == "greeting":
        return GREETINGS
    return CLOSINGS if role == "closing" else tuple(getattr(FAMILIES[family], role))


def fill(template: str, values: Mapping[str, str]) -> str:
    """*template* with its slots filled; a missing time leaves no trace."""
    at = TIME.format(time=values["time"]) if "time" in values else ""
    return template.format(**values, at=at)


@cache
def _readers(family: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    readers = []
    for role in ROLES:
        for template in templates(family, role):
            pattern = re.escape(template).replace(r"\{at\}", "(?: at (?P<time>.+?))?")
            readers.append((role, template, re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", pattern))))
    return tuple(readers)


def read_line(family: str, text: str) -> tuple[Line, str]:
    """The line that *text* is in *family*, and the sentence that it was built from ("" when it was none)."""
    if text in RUDE:
        return Line("rude", text), ""
    if text in RAMBLING:
        return Line("rambling", text), ""
    for role, template, pattern in _readers(family):
        if found := pattern.fullmatch(text):
            return Line(
                role, text, {slot: value for slot, value in found.groupdict().items() if value}
            ), template
    return Line("unknown", text), ""
