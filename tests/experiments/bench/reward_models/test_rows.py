import json
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.bench.scripted import DATA
from tpo.errors import ConfigError, DataError
from tpo.experiments.bench.reward_models.rows import SIZES, load_rows

ROW = {"id": "0", "prompt": "Why?", "chosen": ["a"], "rejected": ["b"], "subset": "Math"}
FILE = str(DATA / "reward_bench.jsonl")


def written(folder: Path, *rows: dict[str, Any]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_rows_have_the_right_responses_first_and_differ_from_the_published_set() -> None:
    found = load_rows(FILE)
    assert [row.query.id for row in found.rows] == [
        *("Math/0", "Math/1", "Precise IF/0", "Ties/ref:0", "Ties/tied:0"),
    ]
    assert found.rows[4].responses == ("red it is", "blue it is", "green", "gray")
    assert found.rows[4].tie == ("tied", 0)
    assert found.notes == ("not the published set, which has 1,865 rows: Math 2, Precise IF 1, Ties 2",)
    assert sum(SIZES.values()) == 1865


def test_a_limit_keeps_both_rows_of_a_prompt_of_ties(tmp_path: Path) -> None:
    ties = [ROW | {"id": f"{kind}:{n}", "subset": "Ties"} for n in range(10) for kind in ("ref", "tied")]
    ties = [row | {"chosen": ["a", "c"]} if str(row["id"]).startswith("tied") else row for row in ties]
    found = load_rows(written(tmp_path, *(ROW | {"id": str(n)} for n in range(20)), *ties), limit=20)
    numbers = [row.tie for row in found.rows if row.tie]
    assert 0 < len(numbers) < 20
    assert {kind for kind, _ in numbers} == {"ref", "tied"}
    assert len(numbers) == 2 * len({number for _, number in numbers})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": []}, "'chosen' must be a list of responses"),
        ({"rejected": "b"}, "'rejected' must be a list of responses"),
        ({"rejected": [1]}, "every response in 'rejected' must be a text"),
        ({"chosen": ["a", "c"]}, "must have one chosen response, not 2"),
        ({"subset": "Ties"}, "must be ref:N or tied:N, not '0'"),
        ({"subset": "Ties", "id": "tied:0"}, "at least two chosen responses, not 1"),
        ({"prompt": " "}, "'prompt' is empty"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl.*2") as caught:
        load_rows(written(tmp_path, ROW | {"id": "first"}, ROW | change))
    assert said in str(caught.value)


def test_an_id_that_comes_twice_and_a_limit_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'Math/0' already occurs at"):
        load_rows(written(tmp_path, ROW, ROW))
    with pytest.raises(ConfigError, match="--limit is 0"):
        load_rows(FILE, limit=0)
