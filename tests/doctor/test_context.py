"""The longest prompt that a method may come to."""

import pytest

from tpo.doctor.context import USUAL, Need, characters_per_token, longest_prompt
from tpo.methods.recipe import Recipe
from tpo.methods.recipes import bon, paper, tpo


@pytest.mark.parametrize("recipe", [tpo(), paper(), bon()])
def test_it_grows_with_query_and_replies(recipe: Recipe) -> None:
    assert longest_prompt(recipe, 1000, 0) >= 1000
    more = longest_prompt(recipe, 0, 1000) - longest_prompt(recipe, 0, 0)
    # A conversation holds the chosen, the rejected, the loss and the gradient.
    assert more == (0 if recipe.name == "bon" else 4000 if recipe.name == "tpo" else more) >= 0


def test_replies_that_fit_do_fit() -> None:
    need = Need.of(tpo(max_tokens=2048), 400, USUAL)
    fits = need.fitting(4096)
    assert 64 < fits < 2048
    assert need.at(fits) <= 4096 < need.at(fits + 1)


def test_without_a_measurement_tokens_are_of_the_usual_size() -> None:
    assert characters_per_token(None) == USUAL
