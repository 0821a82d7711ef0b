"""The prices of tokens that the commands which show costs take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tpo.errors import ConfigError

if TYPE_CHECKING:
    from tpo.report.prices import Prices

PriceIn = Annotated[
    float | None, typer.Option(metavar="PRICE", min=0, help="Price of a million tokens read.")
]
PriceOut = Annotated[
    float | None, typer.Option(metavar="PRICE", min=0, help="Price of a million tokens written.")
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


def prices_of(
    read: float | None, written: float | None, cached: float | None, currency: str = "USD"
) -> Prices | None:
    """Return the prices that the options give; None without any.

    Raises:
        ConfigError: a price of cached tokens stands alone.
    """
    from tpo.report.prices import Prices

    if read is not None or written is not None:
        return Prices(read or 0.0, written or 0.0, cached, currency)
    if cached is not None:
        raise ConfigError("--price-cached needs --price-in and --price-out beside it")
    return None
