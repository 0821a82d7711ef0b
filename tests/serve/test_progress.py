"""Events of an attempt as lines of progress."""

from tests.cli.values import candidate, query
from tpo.events import CandidateScored, PairChosen, RunEnded, StepStarted
from tpo.serve.progress import progress_line
from tpo.types import Pair

QUERY = query("q")


def test_each_kind_of_progress_is_one_line() -> None:
    best, worst = candidate(0, 1, "b", 1.25), candidate(0, 0, "a", -1.0)
    assert progress_line(StepStarted(QUERY, 2)) == "Step 2\n"
    assert progress_line(CandidateScored(QUERY, best)) == "0.1: reward +1.250\n"
    assert progress_line(PairChosen(QUERY, 1, Pair(best, worst))) == "chosen 0.1, rejected 0.0\n"
    assert progress_line(PairChosen(QUERY, 1, Pair(best, None))) == "chosen 0.1\n"


def test_what_is_no_progress_is_not_shown() -> None:
    assert progress_line(RunEnded(1, 0, interrupted=False)) is None
