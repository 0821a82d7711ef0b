"""The longest prompt that a method may come to."""

import pytest

from tpo.doctor.context import TokenNeed, characters_per_token, longest_prompt_length
from tpo.http.tokens import ASCII_PER_TOKEN
from tpo.methods.catalog import bon, paper, tpo
from tpo.methods.method import Method


@pytest.mark.parametrize("method", [tpo(), paper(), bon()])
async def test_it_grows_with_query_and_replies(method: Method) -> None:
    assert await longest_prompt_length(method, 1000, 1) >= 1000
    more = await longest_prompt_length(method, 0, 1001) - await longest_prompt_length(method, 0, 1)
    # A conversation holds the chosen, the rejected, the loss and the gradient.
    assert more == (0 if method.name == "bon" else 4000 if method.name == "tpo" else more) >= 0


async def test_replies_that_fit_do_fit() -> None:
    need = await TokenNeed.measure(tpo(max_tokens=2048), 400, ASCII_PER_TOKEN)
    fits = need.largest_max_tokens(4096)
    assert 64 < fits < 2048
    assert need.at(fits) <= 4096 < need.at(fits + 1)


def test_without_a_measurement_tokens_are_of_the_usual_size() -> None:
    assert characters_per_token(None) == ASCII_PER_TOKEN
