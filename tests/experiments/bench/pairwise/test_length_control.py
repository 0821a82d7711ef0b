"""Length control against the package itself, which runs in a process of its own with a made-up hub cache."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.pairwise.judges import answer
from tpo.experiments.bench.graders.base import GradedAnswer, ungraded
from tpo.experiments.bench.pairwise.length_control import (
    ALPACA_EVAL,
    PublishedSet,
    instructions_digest,
    length_controlled_metric,
)

INSTRUCTIONS = ["one", "two", "three"]
MADE_UP = PublishedSet(3, instructions_digest(INSTRUCTIONS), instructions_digest(sorted(INSTRUCTIONS)))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("alpaca_eval")
    home = tmp_path_factory.mktemp("hub")
    program = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.experiments.bench.pairwise.length_control_check",
        str(home),
    ]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_it_is_the_number_that_the_package_gives_from_end_to_end(found: dict[str, Any]) -> None:
    theirs = found["theirs"]
    assert found["ours"]["value"] == pytest.approx(theirs["length_controlled_winrate"], abs=1e-9)
    spread = found["ours"]["high"] - found["ours"]["value"]
    assert spread == pytest.approx(1.96 * theirs["lc_standard_error"], abs=1e-9)


def test_the_judges_taste_for_length_is_taken_out(found: dict[str, Any]) -> None:
    assert 50 < found["ours"]["value"] < found["plain"] - 3


def test_answers_may_come_in_any_order_and_seeds_are_averaged(found: dict[str, Any]) -> None:
    assert found["in_any_order_of_arrival"]["value"] == pytest.approx(found["ours"]["value"], abs=1e-9)
    assert found["two_seeds"]["value"] == pytest.approx(found["ours"]["value"], abs=1e-9)


def test_an_ungraded_row_keeps_its_place(found: dict[str, Any]) -> None:
    assert found["one_ungraded"]["value"] == pytest.approx(found["ours"]["value"], abs=0.1)
    assert found["one_ungraded"]["value"] != found["ours"]["value"]


def test_a_subset_is_refused(found: dict[str, Any]) -> None:
    assert found["subset"]["value"] is None
    assert found["subset"]["note"] == "refused: it needs all 805 rows; 804 were answered"
    assert found["not_whole"]["note"] == "refused: it needs the whole set in its order"


def test_another_order_is_refused_where_the_package_gives_another_number(found: dict[str, Any]) -> None:
    assert found["shuffled"]["value"] is None
    assert "in another order than the published ones" in found["shuffled"]["note"]
    assert abs(found["package_on_shuffled"] - found["ours"]["value"]) > 0.01


def test_without_the_packages_table_it_says_what_to_fetch(found: dict[str, Any]) -> None:
    assert found["without_table"]["value"] is None
    assert (
        "hf download tatsu-lab/alpaca_eval df_gamed.csv --repo-type dataset" in found["without_table"]["note"]
    )


def test_the_published_instructions_are_known_by_order_and_by_text() -> None:
    assert MADE_UP.refusal(["one", " two\n", "three"]) is None
    assert "in another order" in (MADE_UP.refusal(["two", "one", "three"]) or "")
    assert "not the published ones" in (MADE_UP.refusal(["one", "two", "four"]) or "")
    assert "all 3 rows; 2 were answered" in (MADE_UP.refusal(["one", "two"]) or "")


def test_made_up_rows_are_never_taken_for_the_published_set() -> None:
    assert "not the published ones" in (ALPACA_EVAL.refusal([str(i) for i in range(805)]) or "")


def test_nothing_graded_is_no_number_even_on_the_whole_set() -> None:
    rows = []
    for position, text in enumerate(INSTRUCTIONS):
        made = answer(text)
        query = type(made.query)(text, ({"role": "user", "content": text},), metadata={"position": position})
        rows.append(GradedAnswer(type(made)(query, "x", baseline="y"), ungraded("nonsense")))
    made_up = length_controlled_metric(rows, is_whole=True, published=MADE_UP, note="against y")
    assert (made_up.value, made_up.ungraded) == (None, 3)
    assert made_up.note == "refused: nothing could be graded; against y"


# The client of the hub repeats a connection that was closed on it.
@pytest.mark.parametrize(
    ("state", "told"), [("cached", "0 a rate, 0 a rate"), ("missing", "2 OSError, 2 OSError")]
)
def test_a_hub_out_of_reach_is_asked_once_for_a_missing_table_and_never_for_a_cached_one(
    state: str, told: str, tmp_path: Path
) -> None:
    pytest.importorskip("alpaca_eval")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    module = "tests.experiments.bench.pairwise.table_without_hub_check"
    program = [sys.executable, "-W", "ignore", "-m", module, str(tmp_path), str(port), state]
    hub = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": f"http://127.0.0.1:{port}"}
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"} | hub
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.splitlines()[-1:] == [told], done.stderr[-2000:]
