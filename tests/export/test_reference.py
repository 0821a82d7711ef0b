"""The reference's result file, held against what its readers expect."""

import json
from dataclasses import replace
from pathlib import Path

from tests.export.trajectories import candidate, failed, finished
from tests.steps import first_step
from tpo.export import Exported, export_reference


def test_the_shape_is_the_references(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert export_reference([finished()], path) == Exported(1, 0)
    expected = [
        {
            "INDEX-1<SEP>Why?<SEP>because": -1.0,
            "INDEX-1<SEP>Why?<SEP>no idea": -3.0,
            "INDEX0<SEP>Why?<SEP>because of rain": 2.5,
            "INDEX0<SEP>Why?<SEP>because": -1.0,
        }
    ]
    assert path.read_text("utf-8") == json.dumps(expected, indent=4, ensure_ascii=False)


def test_of_equal_responses_in_a_step_the_first_reward_stands(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    twice = (candidate(0, 0, "a", 1.0), candidate(0, 1, "a", 2.0))
    export_reference([replace(finished(), first=first_step(twice), steps=())], path)
    assert json.loads(path.read_text()) == [{"INDEX-1<SEP>Why?<SEP>a": 1.0}]


def test_a_failed_query_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert export_reference([failed("a"), finished(), failed("b")], path) == Exported(1, 2)
    assert len(json.loads(path.read_text())) == 1


def test_no_query_is_an_empty_list(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert export_reference([], path) == Exported(0, 0)
    assert json.loads(path.read_text()) == []


def test_a_separator_in_the_texts_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    export_reference([finished(prompt="a<SEP>b")], path)
    assert "INDEX-1<SEP>a<SEP>b<SEP>because" in json.loads(path.read_text())[0]
