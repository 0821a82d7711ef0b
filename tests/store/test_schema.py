import json
from pathlib import Path

from tpo.store.schema import TrajectoryLine, json_schema

DOCS = Path(__file__).parents[2] / "docs" / "trajectory.schema.json"


def test_the_schema_in_the_docs_is_the_declared_one() -> None:
    assert DOCS.read_text("utf-8") == json_schema(), f"python -m tpo.store.schema > {DOCS.name}"


def test_the_schema_requires_the_keys_that_readers_rely_on() -> None:
    required = json.loads(json_schema())["required"]
    assert {"schema", "query", "status", "best", "candidates", "steps", "usage", "timing"} <= set(required)


def test_later_keys_do_not_break_a_reader() -> None:
    assert "additionalProperties" not in TrajectoryLine.model_json_schema()
