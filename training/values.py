"""The words that fill the slots of a notice: people, events, days, places and so on.

Every value is one word that becomes one token, written after a space wherever it is copied: so copying is one
token, and comparing two values is comparing two tokens. Neighbours in a list are the mistakes that the
policy learns to make by itself.
"""

from __future__ import annotations

import random


def listed(text: str, mark: str | None = "|") -> tuple[str, ...]:
    """The entries of *text*, which stand between marks (None: between spaces)."""
    return tuple(" ".join(entry.split()) for entry in text.split(mark))


NAMES = listed(
    """
    Mia Leo Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Liam Maria Noah Olga Paul
    Quinn Rosa Sam Tara Uma Victor Wendy Xavier Yara Zoe Amir Bella Carlos Diana Elias Fiona George
    Hanna Ivan Julia Karim Laura Marco Nina Oscar Petra Robin Sofia Tom Ursula Vera Will Aisha Bruno
    Chloe Dario Elena Frank Gina Hugo Ines Jonas Kim Lena Max Nora Otto Priya Ravi Sara Theo Vikram
    Alice Boris Cora Dylan Edith Farid Greta Hassan Isabel Jorge Katya Lucas Mei Nico Omar Paula
    Rita Stefan Tina Wanda Yusuf Adam Beth Cyril Dora Eric Flora Gus Helen Ida Joel Kofi Lily Mona
    Ned Opal Piet Rhea Sven Tess Ulf Viola Walt Yan Zara
    """,
    None,
)

TOPICS: dict[str, tuple[str, ...]] = {
    "invitation": listed("picnic dinner party barbecue brunch wedding birthday breakfast lunch feast", None),
    "announcement": listed(
        "concert lecture exhibition opera festival parade fair reading premiere quiz", None
    ),
    "reminder": listed(
        "meeting rehearsal exam appointment training inspection lesson choir yoga seminar", None
    ),
    "plan": listed("hike cruise safari excursion tour sailing climb ride expedition outing", None),
    "programme": listed(
        "course workshop tournament camp congress contest retreat auction dance marathon", None
    ),
}

POOLS: dict[str, tuple[str, ...]] = {
    "name": NAMES,
    "day": listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday", None),
    "date": tuple(str(number) for number in range(1, 29)),
    "month": listed(
        "January February March April May June July August September October November December", None
    ),
    "time": tuple(f"{hour}{half}" for half in ("am", "pm") for hour in range(1, 12)),
    "place": listed(
        """
        garden harbour library museum bakery school cinema theatre beach park station market bridge lake
        farm barn church zoo castle forest kitchen office hospital bookshop terrace stadium island tower
        """,
        None,
    ),
    "host": NAMES,
    "guests": tuple(str(number) for number in range(30, 60)),
    "price": tuple(str(number) for number in range(60, 96)),
    "food": listed(
        """
        soup pizza salad pasta curry bread cheese fish rice stew cake pancakes sandwiches noodles
        dumplings fruit olives potatoes sausages waffles
        """,
        None,
    ),
    "drink": listed("tea coffee juice lemonade wine beer water cider milk cocoa punch cola", None),
    "music": listed("jazz folk rock blues techno soul swing disco samba gospel reggae tango", None),
    "colour": listed(
        "red blue green yellow white black purple orange pink grey brown silver golden turquoise", None
    ),
    "gift": listed(
        """
        blanket lamp map torch camera umbrella chair basket candle guitar notebook pillow
        ladder kite rope bottle ball hat drum mirror
        """,
        None,
    ),
    "sender": NAMES,
}


def pool(slot: str, family: str) -> tuple[str, ...]:
    """The values that *slot* can have in a notice of *family*."""
    return TOPICS[family] if slot == "topic" else POOLS[slot]


def mistake(slot: str, family: str, right: str, rng: random.Random, neighbours: float = 0.5) -> str:
    """Another value than *right*: its neighbour in a share of the draws, else any."""
    values = pool(slot, family)
    if right in values and rng.random() < neighbours:
        return values[(values.index(right) + 1) % len(values)]
    other = rng.choice(values)
    return other if other != right else mistake(slot, family, right, rng, neighbours)
