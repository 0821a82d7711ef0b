"""Rubric files: what they may hold, and the line of every fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tpo.errors import ConfigError
from tpo.rewards.rubric.criteria import (
    Criterion,
    RubricFile,
    read_rubric_file,
    row_criteria,
    weighted_degree,
)

TOML = """\
column = "rubrics"

[[criteria]]
name = "polite"
text = "The response is polite."
weight = 2

[[criteria]]
text = "The response states a falsehood."
weight = -1

[[criteria]]
name = "brief"
text = "The response is brief."
levels = ["long", "fair", "brief"]
"""
EXPECTED = RubricFile(
    (
        Criterion("polite", "The response is polite.", 2.0),
        Criterion("The response states a falsehood.", "The response states a falsehood.", -1.0),
        Criterion("brief", "The response is brief.", 1.0, ("long", "fair", "brief")),
    ),
    "rubrics",
)


def written(folder: Path, text: str, name: str = "rubric.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    assert read_rubric_file(written(tmp_path, TOML)) == EXPECTED


def test_a_json_file_is_read(tmp_path: Path) -> None:
    text = """{"column": "rubrics", "criteria": [
      {"name": "polite", "text": "The response is polite.", "weight": 2},
      {"criterion": "The response states a falsehood.", "points": -1},
      {"name": "brief", "text": "The response is brief.", "levels": ["long", "fair", "brief"]}]}"""
    assert read_rubric_file(written(tmp_path, text, "rubric.json")) == EXPECTED


def test_a_json_list_of_texts_is_a_rubric(tmp_path: Path) -> None:
    path = written(tmp_path, '["It is kind.", "It is true."]', "rubric.json")
    assert read_rubric_file(path).criteria == (
        Criterion("It is kind.", "It is kind."),
        Criterion("It is true.", "It is true."),
    )


HEAD = '[[criteria]]\ntext = "It is kind."\n\n[[criteria]]\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"line 1: it has no criteria; write \[\[criteria\]\]"),
        ("\n\ncriteria = []\n", r"line 1: it has no criteria"),
        (f'{HEAD}text = "x"\n\nweight = 0\n', r"line 7: criterion 2: weight is 0, so it counts for nothing"),
        (f'{HEAD}text = "x"\nwieght = 1\n', r"line 6: criterion 2: unknown key 'wieght'; there are crit"),
        ('colum = "x"\n', r"line 1: unknown key 'colum'; there are column, criteria"),
        (f"{HEAD}weight = 1\n", r"line 4: criterion 2: it has no text"),
        (f'{HEAD}text = "x"\nweight = "much"\n', r"line 6: criterion 2: weight is 'much'; it must be a n"),
        (f'{HEAD}text = "x"\nlevels = ["one"]\n', r"line 6: criterion 2: levels has 1; a scale has 2 to 10"),
        (f'{HEAD}text = "It is kind."\n', r"line 4: criterion 2: the name 'It is kind\.' is given twice"),
        ("[[criteria]\n", r"is not valid TOML: .*line 1"),
        ("column = 3\n", r"line 1: column must be the name"),
        ('criteria = [{text = "x", weight = 0}]\n', r"line 1: criterion 1: weight is 0"),
    ],
)
def test_a_fault_of_a_toml_file_is_one_sentence_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"^rubric .*rubric\.toml(, |: ){fault}"):
        read_rubric_file(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[]", r"line 1: it has no criteria"),
        ('{\n"criteria": [\n"a",\n {"text": "x",\n "weight": 0}]}', r"line 5: criterion 2: weight is 0"),
        ('[\n"a",\n {"text": "x",\n "size": 0}]', r"line 4: criterion 2: unknown key 'size'"),
        ('[\n"a",\n\n {"points": 3}]', r"line 4: criterion 2: it has no text"),
        ('[\n"a",', r"is not valid JSON: .*line 2"),
    ],
)
def test_a_fault_of_a_json_file_is_one_sentence_with_its_line(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=rf"^rubric .*rubric\.json(, |: ){fault}"):
        read_rubric_file(written(tmp_path, text, "rubric.json"))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^rubric [^ ]*none\.toml: cannot be read: No such file or directory$"
    ):
        read_rubric_file(tmp_path / "none.toml")


def test_rows_in_the_form_of_healthbench_are_criteria() -> None:
    row = [{"criterion": "Advises to see a doctor.", "points": 7, "tags": ["axis:x"]}]
    assert row_criteria(row, "rubrics") == (
        Criterion("Advises to see a doctor.", "Advises to see a doctor.", 7.0),
    )
    assert row_criteria([{**row[0], "levels": None, "weight": None}], "rubrics") == row_criteria(
        row, "rubrics"
    )
    assert row_criteria('["It is kind."]', "rubrics") == (Criterion("It is kind.", "It is kind."),)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "holds no list"),
        (3, "holds no list"),
        (["a", {"points": 3}], "criterion 2: it has no text"),
        ([{"text": "a", "points": 0}], "criterion 1: points is 0"),
    ],
)
def test_a_faulty_column_is_told(value: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^column 'rubrics'.*{fault}"):
        row_criteria(value, "rubrics")


def test_the_value_is_the_weighted_sum_by_the_most_that_it_can_be() -> None:
    both = (Criterion("a", "a", 3.0), Criterion("b", "b", -1.0))
    assert weighted_degree(both, (1.0, 0.0)) == 1.0
    assert weighted_degree(both, (1.0, 1.0)) == pytest.approx(2 / 3)
    assert weighted_degree(both, (0.5, 0.25)) == pytest.approx(1.25 / 3)
    assert weighted_degree((Criterion("b", "b", -2.0),), (0.5,)) == -0.5


def test_a_scale_is_the_expected_level_by_the_highest() -> None:
    scale = Criterion("brief", "brief", levels=("long", "fair", "brief"))
    assert scale.degree({"0": 0.2, "1": 0.3, "2": 0.5}) == pytest.approx(0.65)


def test_the_documented_rubric_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rubrics.md").read_text("utf-8")
    rubric = read_rubric_file(written(tmp_path, page.partition("```toml\n")[2].partition("```")[0]))
    assert [each.weight for each in rubric.criteria] == [2.0, -3.0, 1.0]
    assert rubric.criteria[0].recorded_name == "Names a source for each number."
