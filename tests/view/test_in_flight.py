from pathlib import Path
from typing import Any

from tpo.store.journal import Journal
from tpo.types import Completion, Scope, Score, Usage
from tpo.view.in_flight import MAX_SHOWN, InFlightQueries


def listed(queries: InFlightQueries, *ended: str) -> list[dict[str, Any]]:
    assert not queries.refresh()
    return queries.listed(ended)


async def test_progress_follows_the_calls_of_the_journal(tmp_path: Path) -> None:
    queries, journal = InFlightQueries([tmp_path]), Journal(tmp_path / "journal.jsonl")
    for index, reward in enumerate((1.5, -2.0)):
        await journal.append(
            Scope("a", 0, "sample"), "r", Completion(index, "x", usage=Usage(completion_tokens=7))
        )
        await journal.append(Scope("a", 0, "reward", index=index), "s", Score(reward))
    await journal.append(Scope("b", 1, "loss"), "r", Completion(0, "x", usage=Usage(completion_tokens=5)))
    first, second = listed(queries)
    assert second == {"id": "a", "step": 0, "phase": "reward", "calls": 4, "tokens": 14, "best": 1.5}
    assert first == {"id": "b", "step": 1, "phase": "loss", "calls": 1, "tokens": 5, "best": None}
    assert queries.queries(()) == (2, 19)
    assert [query["id"] for query in listed(queries, "b")] == ["a"]
    await journal.close()


async def test_a_query_that_was_stopped_is_not_in_flight(tmp_path: Path) -> None:
    queries, journal = InFlightQueries([tmp_path]), Journal(tmp_path / "journal.jsonl")
    await journal.append(Scope("a", 0, "sample"), "r", Completion(0, "x"))
    assert len(listed(queries)) == 1
    await journal.decide("a", 0, "stopped", "abandoned")
    assert listed(queries) == []
    await journal.close()


async def test_the_queries_that_began_last_are_listed_first_and_not_all(tmp_path: Path) -> None:
    queries, journal = InFlightQueries([tmp_path]), Journal(tmp_path / "journal.jsonl")
    for number in range(MAX_SHOWN + 5):
        await journal.append(Scope(f"q{number}", 0, "sample"), "r", Completion(0, "x"))
    found = listed(queries)
    assert len(found) == MAX_SHOWN
    assert found[0]["id"] == f"q{MAX_SHOWN + 4}"
    await journal.close()
