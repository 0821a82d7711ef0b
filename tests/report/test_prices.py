"""Costs at given prices, by role where a role has a model of its own."""

from __future__ import annotations

import pytest

from tpo.cli.prices import prices_of
from tpo.errors import ConfigError
from tpo.report.prices import Prices
from tpo.types import Usage

ROLES = {
    "writer": Usage(1, 100, 0, 1000),
    "critic": Usage(2, 3000, 1000, 200),
    "editor": Usage(1, 500, 0, 50),
}
ALL = sum(ROLES.values(), Usage())


def test_without_prices_of_roles_all_calls_cost_the_same() -> None:
    prices = Prices(2.0, 10.0, 0.5)
    assert prices.total(ALL, ROLES) == pytest.approx(prices.cost(ALL))
    assert prices.cost(ALL) == pytest.approx((2600 * 2 + 1000 * 0.5 + 1250 * 10) / 1e6)


def test_a_role_with_a_model_of_its_own_costs_its_prices() -> None:
    prices = prices_of(2.0, 10.0, None, "USD", ["critic=20,100"])
    assert prices is not None
    assert prices.of("critic").cost(ROLES["critic"]) == pytest.approx((3000 * 20 + 200 * 100) / 1e6)
    assert prices.of("editor") is prices
    assert prices.total(ALL, ROLES) == pytest.approx((3000 * 20 + 200 * 100 + 600 * 2 + 1050 * 10) / 1e6)


@pytest.mark.parametrize(
    "text", ["critic", "critic=1", "critic=1,x", "writer=1,2", "critic=-1,2", "critic=nan,2"]
)
def test_a_malformed_price_of_a_role_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be ROLE=IN,OUT; roles are critic"):
        prices_of(1.0, 2.0, None, "USD", [text])


def test_prices_of_roles_need_those_of_the_policy() -> None:
    with pytest.raises(ConfigError, match="--role-price needs"):
        prices_of(None, None, None, "USD", ["critic=1,2"])
