"""The words that fill the slots of a message: people, topics, days, times and places.

Every value is written after a space and before a character that is no letter, so it keeps the same tokens
wherever it is copied. Neighbours in a list are the mistakes that the policy learns to make by itself.
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
SYLLABLES = listed(
    "ba da fa ga ka la ma na pa ra sa ta va za bel dor fen gan kel lin mor nel rin sel tor vin wes zan",
    None,
)

DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday", None)
MONTHS = listed(
    "January February March April May June July August September October November December",
    None,
)
TIMES = tuple(
    [f"{hour} {half}" for half in ("am", "pm") for hour in range(1, 12)]
    + [f"{hour}:{minute} {half}" for half in ("am", "pm") for hour in range(5, 12) for minute in (15, 30, 45)]
    + ["noon"]
)

PLACES = listed(
    """
    in the garden | at the harbour | in the library | at the town hall | by the old bridge |
    at the market | in the park | at the station | in the museum | at the bakery | by the lake |
    at the school | in the tea room | at the cinema | on the roof terrace | at the sports club |
    in the small hall | at the corner cafe | by the river | at the farm | in the barn | at the theatre |
    on the beach | at my house | in the red tent | at the swimming pool | by the fountain |
    at the bus stop | in the church hall | at the pizza place | in room 12 | at the north gate |
    in the kitchen | at the book shop | on the green hill | at the zoo
    """
)

TOPICS: dict[str, tuple[str, ...]] = {
    "invitation": listed(
        """
    dinner | a picnic | my birthday party | the book club | a film night | our garden party |
    a concert | the summer feast | a game night | breakfast | a boat trip | our wedding |
    the school play | a tea party | a barbecue | the opening of my shop | a dance evening | a hike |
    the chess club | a pottery class | the house warming | a quiz night | lunch | a poetry reading
        """
    ),
    "thanks": listed(
        """
    the flowers | the warm scarf | your help with the move | the lovely dinner | the birthday cake |
    looking after my cat | the good advice | the concert tickets | your long letter | fixing my bike |
    the box of pears | the ride home | the painting | your patience | the old photos | the blue vase |
    watering my plants | the great weekend | the recipe | the jar of honey | your visit |
    the piano lesson | the winter coat | your kind words
        """
    ),
    "apology": listed(
        """
    missing the rehearsal | the broken cup | being late | forgetting your birthday | the loud music |
    losing your umbrella | my angry words | the burnt cake | not calling back |
    the scratch on your car | cancelling the trip | the wrong address | breaking the window |
    the mix up | the long silence | spilling the coffee | the lost keys | missing your party |
    the late reply | the muddy carpet | forgetting the tickets | the bad joke | the delayed parcel |
    waking you up
        """
    ),
    "reminder": listed(
        """
    the dentist appointment | the team meeting | the choir practice | the parents evening | the rent |
    the piano exam | the vaccine for the dog | the garden work | the flight to Rome |
    the car inspection | the library books | the eye test | the tax papers | the school trip |
    the yoga class | the bake sale | the job interview | the swimming lesson | the fire drill |
    the phone call with the bank | the French course | the blood test | the house viewing |
    the staff lunch
        """
    ),
    "request": listed(
        """
    the ladder | your tent | the big pot | your camera | the sewing machine | a sleeping bag |
    your bike | the power drill | a suitcase | the projector | your guitar | the lawn mower |
    a long table | your car | the cake tin | a warm blanket | your dictionary | the chess board |
    a tool box | the baby seat | your skis | the garden chairs | a fan | your umbrella
        """
    ),
    "congratulation": listed(
        """
    the new job | passing the exam | your wedding | the new house | winning the race | the baby |
    your first book | the driving licence | the gold medal | your anniversary | the promotion |
    finishing the course | the prize | your exhibition | the perfect score | opening the shop |
    the scholarship | your great speech | the record | moving in together | the new puppy |
    your degree | the engagement | your retirement
        """
    ),
    "good wishes": listed(
        """
    the broken arm | your bad cold | the operation | the flu | your sore back | the fever |
    the sprained ankle | your headache | the fall | the accident | your stay in hospital |
    the toothache | your cough | the burn | the sick day | your knee trouble | the long illness |
    the allergy | your tired eyes | the ear infection | the stiff neck | your broken toe |
    the bad night | your surgery
        """
    ),
}


def invented_name(rng: random.Random) -> str:
    """A name of random syllables, so that copying cannot rest on known names."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()


def draw_name(rng: random.Random) -> str:
    """A known name, or in 15 of 100 draws an invented one."""
    return invented_name(rng) if rng.random() < 0.15 else rng.choice(NAMES)


def draw_day(rng: random.Random) -> str:
    """A weekday, or a date such as ``12 May``."""
    return rng.choice(DAYS) if rng.random() < 0.7 else f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"


def draw(slot: str, family: str, rng: random.Random) -> str:
    """A value for *slot* in a message of *family*."""
    match slot:
        case "name" | "sender":
            return draw_name(rng)
        case "topic":
            return rng.choice(TOPICS[family])
        case "day":
            return draw_day(rng)
        case "time":
            return rng.choice(TIMES)
        case _:
            return rng.choice(PLACES)


def mistake(slot: str, family: str, right: str, rng: random.Random, neighbours: float = 0.5) -> str:
    """Another value than *right*: its neighbour in a share of the draws (when it has one), else any."""
    pools = {"name": NAMES, "sender": NAMES, "day": DAYS, "time": TIMES, "place": PLACES}
    pool = pools.get(slot) or TOPICS[family]
    if right in pool and rng.random() < neighbours:
        return pool[(pool.index(right) + 1) % len(pool)]
    other = draw(slot, family, rng)
    return other if other != right else mistake(slot, family, right, rng, neighbours)
