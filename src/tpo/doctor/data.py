"""The data set: every row of it can be read; and the query to try the method on."""

from __future__ import annotations

from itertools import islice

from tpo.config import data_options
from tpo.counting import queries
from tpo.data import count_queries, load_queries
from tpo.doctor.finding import good, warning
from tpo.doctor.patient import Notes, Patient
from tpo.types import Messages, Query, plain_text, user

HUB_ROWS = 200
"""Of a data set on the hub only so many rows are looked at; of a file, all."""

FIRST_ROWS = 101
"""Of these, the query of middle length is tried, so that no outlier stands for all."""

EXAMPLE = Query("example", (user("Remind Anna that the meeting moved to Friday at ten."),))
"""What the method is tried on where there is no data."""

SMALL_CONTEXT = 100_000
"""Characters: more than most models read at once."""


async def check_data(patient: Patient, notes: Notes) -> None:
    """Read it all, and keep how many there are, how long the longest is, and one of middle length."""
    settings = patient.settings
    if patient.data is None:
        notes.longest = characters(EXAMPLE.messages)
        return
    if patient.data.startswith("hf:"):
        notes.queries = count_queries(patient.data, data_options(settings))
    seen = _look(patient, notes)
    if not patient.data.startswith("hf:"):
        notes.queries = seen
    count = queries(notes.queries) if notes.queries is not None else "queries"
    sentence = f"{patient.data} holds {count}, the longest of {notes.longest:,} characters"
    values = {"queries": notes.queries, "longest_characters": notes.longest}
    if notes.longest > SMALL_CONTEXT:
        advice = "see under context whether the model can read it; a query that is too long fails alone"
        notes.tell(warning("data", sentence, advice, **values))
    else:
        notes.tell(good("data", sentence, **values))


def _look(patient: Patient, notes: Notes) -> int:
    """Go through the rows; how many there were."""
    assert patient.data is not None  # noqa: S101 - the caller has made sure
    settings = patient.settings
    queries = iter(load_queries(patient.data, data_options(settings)))
    first: list[Query] = []
    seen = 0
    for query in islice(queries, HUB_ROWS) if patient.data.startswith("hf:") else queries:
        if seen < FIRST_ROWS:
            first.append(query)
        notes.longest = max(notes.longest, characters(query.messages))
        seen += 1
    notes.query = sorted(first, key=lambda query: characters(query.messages))[(len(first) - 1) // 2]
    return seen


def characters(messages: Messages) -> int:
    """The length of a conversation's texts."""
    return sum(len(plain_text(message)) for message in messages)
