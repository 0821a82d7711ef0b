"""Check of the data set: read every row, and choose the query that the method is tried on."""

from __future__ import annotations

from itertools import islice

from tpo.config import data_options, reward_columns
from tpo.data import count_queries, load_queries
from tpo.data.sources import Spec, named
from tpo.doctor.finding import failure, good, warning
from tpo.doctor.setup import CheckState, Setup
from tpo.plurals import queries
from tpo.runs.inputs import missing_column
from tpo.types import Messages, Query, plain_text, user

HUB_ROWS = 200
"""Rows that are read of a data set on the hub; a file is read whole."""

FIRST_ROWS = 101
"""Number of first rows from which the query of median length is tried."""

EXAMPLE = Query("example", (user("Remind Anna that the meeting moved to Friday at ten."),))
"""The query that is tried when no data set is given."""

LONG_QUERY = 100_000
"""Characters of a query that exceeds the context of most models."""


async def check_data(setup: Setup, state: CheckState) -> None:
    """Read the data set; keep the number of queries, the longest length, and a query of median length."""
    settings = setup.settings
    if setup.data is None:
        state.longest = characters(EXAMPLE.messages)
        return
    if _is_on_hub(setup.data):
        state.queries = count_queries(setup.data, data_options(settings))
    seen = _read(setup, state)
    if not _is_on_hub(setup.data):
        state.queries = seen
    missing = None
    if not _is_on_hub(setup.data):
        rows = load_queries(setup.data, data_options(settings))
        missing = missing_column(reward_columns(settings), rows, setup.data)
    if missing is not None:
        state.report(failure("data", missing, "add the column, or set the reward's options"))
        return
    count = queries(state.queries) if state.queries is not None else "queries"
    sentence = f"{named(setup.data)} has {count}; the longest has {state.longest:,} characters"
    values = {"queries": state.queries, "longest_characters": state.longest}
    if state.longest > LONG_QUERY:
        advice = "see the check named context; a query that does not fit fails, and the others continue"
        state.report(warning("data", sentence, advice, **values))
    else:
        state.report(good("data", sentence, **values))


def _read(setup: Setup, state: CheckState) -> int:
    """Read the rows and return their number."""
    assert setup.data is not None  # noqa: S101 - checked by the caller
    settings = setup.settings
    queries = iter(load_queries(setup.data, data_options(settings)))
    if _is_on_hub(setup.data):
        queries = islice(queries, HUB_ROWS)
    first: list[Query] = []
    seen = 0
    for query in queries:
        if seen < FIRST_ROWS:
            first.append(query)
        state.longest = max(state.longest, characters(query.messages))
        seen += 1
    state.query = sorted(first, key=lambda query: characters(query.messages))[(len(first) - 1) // 2]
    return seen


def _is_on_hub(data: Spec) -> bool:
    return isinstance(data, str) and data.startswith("hf:")


def characters(messages: Messages) -> int:
    """Return the number of characters in a conversation."""
    return sum(len(plain_text(message)) for message in messages)
