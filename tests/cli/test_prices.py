"""Prices of tokens from the options of commands."""

import pytest

from tpo.cli.prices import prices_of
from tpo.errors import ConfigError
from tpo.report.prices import Prices


def test_one_price_makes_the_other_zero() -> None:
    assert prices_of(2.0, None, None, "EUR") == Prices(2.0, 0.0, None, "EUR")
    assert prices_of(None, 3.0, 0.5) == Prices(0.0, 3.0, 0.5, "USD")


def test_without_prices_nothing_is_costed() -> None:
    assert prices_of(None, None, None) is None


def test_a_price_of_cached_tokens_does_not_stand_alone() -> None:
    with pytest.raises(ConfigError, match="--price-cached needs --price-in and --price-out"):
        prices_of(None, None, 1.0)
