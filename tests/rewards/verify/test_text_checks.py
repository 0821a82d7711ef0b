"""JSON with a schema, and regular expressions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tpo.errors import ConfigError
from tpo.rewards.verify.text_checks import JsonChecks, RegexChecks, read_schema
from tpo.types import Query, user

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def query(**columns: Any) -> Query:
    return Query("q", (user("Answer as JSON."),), metadata=columns)


@pytest.mark.parametrize(
    ("response", "passed"),
    [
        ('{"name": "Anna"}', (True, True)),
        ('Here it is:\n```json\n{"name": "Anna"}\n```\nBye.', (True, True)),
        ('{"name": 3}', (True, False)),
        ("{name: Anna}", (False, False)),
        ("", (False, False)),
        ("[" * 100_000, (False, False)),
        ('```json\n{"name": "Anna"}\n```\n```json\n{"name": "Tom"}\n```', (False, False)),
    ],
)
async def test_a_response_is_json_and_fits_the_schema(response: str, passed: tuple[bool, bool]) -> None:
    expected = dict(zip(("is JSON", "fits the schema"), passed, strict=True))
    assert await JsonChecks(SCHEMA)(response, query()) == expected
    assert await JsonChecks()(response, query(schema=SCHEMA)) == expected
    assert await JsonChecks()(response, query(schema=json.dumps(SCHEMA))) == expected


async def test_without_a_schema_any_json_passes() -> None:
    assert await JsonChecks()("[1]", query()) == {"is JSON": True}


async def test_a_column_that_is_no_schema_is_told() -> None:
    with pytest.raises(ValueError, match="no JSON Schema"):
        await JsonChecks()("[1]", query(schema={"type": "thing"}))


def test_a_file_that_is_no_schema_is_told(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text("[]", "utf-8")
    with pytest.raises(ConfigError, match=r"schema\.json: a JSON Schema is an object"):
        read_schema(path)


async def test_every_expression_is_a_check() -> None:
    checks = RegexChecks()
    assert await checks("The end.", query(pattern=[r"end\.$", r"^end"])) == {
        r"matches end\.$": True,
        "matches ^end": False,
    }
    assert await RegexChecks(r"\d")("4", query(pattern="x")) == {r"matches \d": True}


async def test_expressions_as_json_text_are_a_list() -> None:
    found = await RegexChecks()("nothing of this", query(pattern='["^Dear", "Regards$"]'))
    assert found == {"matches ^Dear": False, "matches Regards$": False}
    assert await RegexChecks()("x", query(pattern="[xyz]")) == {"matches [xyz]": True}
    assert await RegexChecks()("7", query(pattern="[789]")) == {"matches [789]": True}


async def test_an_expression_that_takes_forever_does_not_match() -> None:
    slow = RegexChecks(r"(.*a){20}\1$")
    assert await slow("a" * 60 + "b", query()) == {r"matches (.*a){20}\1$": False}


async def test_a_faulty_expression_is_told() -> None:
    with pytest.raises(ConfigError, match=r"verify:regex: '\(' is no regular expression"):
        RegexChecks("(")
    with pytest.raises(ValueError, match="is no regular expression"):
        await RegexChecks()("x", query(pattern="("))
    with pytest.raises(ValueError, match="the row has no column 'pattern'; it has other"):
        await RegexChecks()("x", query(other=1))
