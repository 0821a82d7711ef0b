"""Errors pass from one process to another."""

import pickle

import pytest

from tpo import errors
from tpo.errors import MissingExtra, TpoError

ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TpoError) and kind is not MissingExtra
]


@pytest.mark.parametrize("error", [*(kind("q7: gone") for kind in ERRORS), MissingExtra("x", "y", "z")])
def test_an_error_is_the_same_after_pickling(error: TpoError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
