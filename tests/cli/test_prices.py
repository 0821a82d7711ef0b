"""Prices of tokens from the options of commands."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tpo.cli.main import app
from tpo.cli.prices import prices_of
from tpo.errors import ConfigError
from tpo.report.prices import Prices


@pytest.mark.parametrize(
    ("read", "written", "words"),
    [
        (2.0, None, "--price-in needs --price-out beside it; --price-out 0 makes tokens written free"),
        (None, 3.0, "--price-out needs --price-in beside it; --price-in 0 makes tokens read free"),
        (0.0, None, "--price-in needs --price-out"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"cached": 0.5}, {"roles": ["critic=1,2"]}])
def test_one_price_without_the_other_is_refused(
    read: float | None, written: float | None, words: str, more: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=words):
        prices_of(read, written, **({"cached": None} | more))


def test_a_price_may_be_zero() -> None:
    assert prices_of(0.0, 3.0, 0.5, "EUR") == Prices(0.0, 3.0, 0.5, "EUR")
    assert prices_of(2.0, 0.0, None) == Prices(2.0, 0.0, None, "USD")


def test_commands_refuse_one_price_before_anything_else(tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("a\n")
    for command in (
        ["report", str(tmp_path)],
        ["doctor"],
        ["sweep", str(data), "--cost", "money"],
        ["tune", str(data), "--budget", "1", "--cost", "money"],
    ):
        result = CliRunner().invoke(app, [*command, "--price-in", "0.5"])
        assert result.exit_code == 2, result.output
        assert "--price-in needs --price-out" in " ".join(result.stderr.split())


def test_without_prices_nothing_is_costed() -> None:
    assert prices_of(None, None, None) is None


def test_a_price_of_cached_tokens_does_not_stand_alone() -> None:
    with pytest.raises(ConfigError, match="--price-cached needs --price-in and --price-out"):
        prices_of(None, None, 1.0)
