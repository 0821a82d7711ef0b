"""The prices of tokens that the commands which show costs take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tpo.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tpo.report.prices import Prices

PriceIn = Annotated[
    float | None,
    typer.Option(metavar="PRICE", min=0, help="Price of a million tokens read; needs --price-out."),
]
PriceOut = Annotated[
    float | None,
    typer.Option(metavar="PRICE", min=0, help="Price of a million tokens written; needs --price-in."),
]
PriceCached = Annotated[
    float | None,
    typer.Option(
        metavar="PRICE",
        min=0,
        help="Price of a million tokens read from the server's cache. [dim]\\[default: as --price-in][/dim]",
    ),
]

Currency = Annotated[
    str, typer.Option(metavar="NAME", help="Currency of the prices, shown beside each cost.")
]


RolePrice = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROLE=IN,OUT",
        help="Prices of a role's own model (critic, editor, judge of --select tournament); repeatable.",
    ),
]


def prices_of(
    read: float | None,
    written: float | None,
    cached: float | None,
    currency: str = "USD",
    roles: Sequence[str] = (),
) -> Prices | None:
    """Return the prices that the options give; None without any.

    Raises:
        ConfigError: the price of tokens read or written, of cached tokens or of a role stands alone, or a
            role's is malformed.
    """
    from tpo.report.prices import Prices

    by_role = dict(_role_price(text) for text in roles)
    if read is not None and written is not None:
        return Prices(read, written, cached, currency, by_role)
    if read is not None:
        raise ConfigError("--price-in needs --price-out beside it; --price-out 0 makes tokens written free")
    if written is not None:
        raise ConfigError("--price-out needs --price-in beside it; --price-in 0 makes tokens read free")
    if by_role:
        raise ConfigError("--role-price needs --price-in and --price-out beside it")
    if cached is not None:
        raise ConfigError("--price-cached needs --price-in and --price-out beside it")
    return None


def prices_of_flags(flags: Mapping[str, Any]) -> Prices | None:
    """Return the prices among *flags*, by the names of the options."""
    read, written, cached = (flags[f"price_{name}"] for name in ("in", "out", "cached"))
    return prices_of(read, written, cached, flags["currency"], flags["role_price"] or ())


def _role_price(text: str) -> tuple[str, Prices]:
    from tpo.report.prices import Prices
    from tpo.types import CRITIC, EDITOR, JUDGE

    role, _, values = text.partition("=")
    try:
        read, written = map(float, values.split(","))
        if role not in (CRITIC, EDITOR, JUDGE) or not 0 <= read < math.inf or not 0 <= written < math.inf:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--role-price {text!r} must be ROLE=IN,OUT; roles are critic, editor and judge"
        ) from None
    return role, Prices(read, written)
