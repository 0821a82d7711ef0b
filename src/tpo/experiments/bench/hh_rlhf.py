r"""HH-RLHF: 500 dialogues of the test split; the mean reward of the answers (Bai et al. 2022).

The paper drew 500 rows and did not publish which. The rows used here are defined by a rule: the 500 of the
8,552 positions, counted from 0, with the lowest SHA-256 of ``tpo/hh-rlhf/POSITION``. ``tpo bench ids
hh-rlhf`` prints them.
"""

from __future__ import annotations

import re

from tpo.data.hub import HubSource
from tpo.data.row import Row
from tpo.errors import DataError
from tpo.experiments.bench.benchmark import Benchmark
from tpo.experiments.bench.columns import column
from tpo.experiments.bench.graders.reward import FSFAIRX, grade_by_reward, mean_reward
from tpo.experiments.bench.subset import hash_subset
from tpo.types import Messages, Query, assistant, user

ROWS = 8552
"""Number of rows of the published test split."""

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


def _read(row: Row, position: int) -> Query:
    """Return the dialogue of ``chosen`` up to its last answer; ``rejected`` is required but not used."""
    column(row, "rejected")
    return Query(f"hh-rlhf-{position}", dialogue(column(row, "chosen"), row.place))


def dialogue(text: str, place: str) -> Messages:
    """Return the turns of *text* up to the last ``Human:`` turn; the answer after it may have several turns.

    Empty turns are dropped and adjacent turns of one role joined, because chat templates require alternating
    roles.

    Raises:
        DataError: *text* is not a dialogue that ends with an answer.
    """
    before, *rest = _TURN.split(text)
    roles, texts = rest[::2], [part.strip() for part in rest[1::2]]
    if before.strip() or not roles or roles[-1] != "Assistant":
        raise DataError(
            f"{place}: 'chosen' must be turns of 'Human:' and 'Assistant:', an Assistant's the last"
        )
    turns: list[tuple[str, str]] = []
    for role, content in zip(roles[:-1], texts[:-1], strict=True):
        if content and turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n\n{content}")
        elif content:
            turns.append((role, content))
    while turns and turns[-1][0] == "Assistant":  # a few published rows end in two of them
        turns.pop()
    if not turns:
        raise DataError(f"{place}: 'chosen' has no turn of 'Human:' before its last answer")
    return tuple(user(content) if role == "Human" else assistant(content) for role, content in turns)


HH_RLHF = Benchmark(
    name="hh-rlhf",
    title="HH-RLHF",
    hub=HubSource("Anthropic/hh-rlhf", split="test"),
    licence="MIT; dialogues that may offend",
    size=500,
    metric="mean reward of the answers (the paper: FsfairX, on 500 rows of its own)",
    read=_read,
    grade=grade_by_reward,
    summarize=mean_reward,
    pick=hash_subset("tpo/hh-rlhf", 500),
    paper=(("mean_reward", "hh_rlhf"),),
    paper_reward=FSFAIRX,
    published_rows=ROWS,
)
