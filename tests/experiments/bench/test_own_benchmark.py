"""A benchmark of the user's own: the example of docs/benchmarks.md, tried with the tiny pair."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.experiments.bench.scripted import answer, judge
from tpo.cli.main import app
from tpo.experiments.bench.graders.base import GradingContext

PAGE = (Path(__file__).parents[3] / "docs" / "benchmarks.md").read_text("utf-8")
OWN, JUDGED = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

ROWS = [
    {"question": "Write a reminder to Anna about the blood test at the zoo.", "word": "anna", "topic": "a"},
    {"question": "Write a note to Eva that says nothing.", "word": "no such word", "topic": "b"},
]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    with chdir(tmp_path):
        yield tmp_path
    sys.path[:] = before


def command(*more: str) -> Result:
    words = ["bench", "run", "words:WORDS", "--data", "rows.jsonl", "--policy", "tiny", "--reward", "tiny"]
    return CliRunner().invoke(
        app, [*words, "-n", "2", "-d", "1", "--max-tokens", "48", "--out", "out", "--no-page", *more]
    )


def test_the_example_runs_with_the_tiny_pair_and_is_not_run_twice(here: Path) -> None:
    (here / "words.py").write_text(OWN)
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    done = command("--method", "bon,revision")
    assert done.exit_code == 0, done.output
    assert "# Words: tiny" in done.stdout
    assert "toys" in done.stdout
    record = json.loads((here / "out/results.json").read_text())
    assert [method["method"] for method in record["methods"]] == ["bon D0-N2", "revision D1-N2"]
    assert record["data"]["notes"] == ["the data has 2 rows; the published set has 3"]
    assert record["methods"][0]["strata"]["after"]["b"] == [0.0, 1]
    again = command("--method", "bon,revision")
    assert again.exit_code == 0, again.output
    assert json.loads((here / "out/results.json").read_text())["methods"] == record["methods"]


@pytest.mark.parametrize(("reply", "score"), [('{"grade": 7}', 7.0), ('{"grade": 11}', None), ("well", None)])
async def test_the_judged_example_grades(reply: str, score: float | None) -> None:
    names: dict[str, object] = {}
    exec(JUDGED, names)  # noqa: S102 - the page is ours
    grader = names["grader"]
    context = GradingContext(judge=judge(reply))
    grades = [grade async for _, grade in grader([answer("text")], context)]  # type: ignore[operator]
    assert [grade.score for grade in grades] == [score]
