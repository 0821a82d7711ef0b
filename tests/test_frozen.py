"""Immutable containers that are still a dict and a list."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import pytest
from pydantic_core import to_json

from tpo.frozen import FrozenDict, freeze, thaw

PLAIN = {"topic": {"a": [1, {"b": 2}]}, "pair": (1, 2), "none": None}


def test_a_frozen_value_equals_the_plain_one_and_is_written_like_it() -> None:
    frozen = freeze(PLAIN)
    assert frozen == PLAIN
    assert json.dumps(frozen) == json.dumps(PLAIN)
    assert to_json(frozen) == to_json(PLAIN)


def test_nothing_in_it_can_be_changed() -> None:
    frozen = freeze(PLAIN)
    changes: list[Callable[[], object]] = [
        lambda: frozen.update(x=1),
        lambda: frozen["topic"].pop("a"),
        lambda: frozen["topic"].__setitem__("a", 1),
        lambda: frozen["topic"].__delitem__("a"),
        lambda: frozen.setdefault("x", 1),
        lambda: frozen.__ior__({"x": 1}),
        lambda: frozen["topic"]["a"].append(3),
        lambda: frozen["topic"]["a"].__setitem__(0, 3),
        lambda: frozen["topic"]["a"].__iadd__([3]),
        lambda: frozen["topic"]["a"][1].clear(),
        lambda: frozen["topic"]["a"].sort(),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="immutable"):
            change()
    assert frozen == PLAIN


def test_it_is_copied_pickled_and_hashed() -> None:
    frozen = freeze(PLAIN)
    for again in (pickle.loads(pickle.dumps(frozen)), copy.deepcopy(frozen)):  # noqa: S301 - our own bytes
        assert again == frozen
        assert type(again) is FrozenDict
        assert type(again["topic"]["a"]) is type(frozen["topic"]["a"])
    assert hash(frozen) == hash(freeze(copy.deepcopy(PLAIN)))


def test_a_thawed_value_is_a_plain_copy() -> None:
    thawed = thaw(freeze(PLAIN))
    assert type(thawed) is dict
    assert type(thawed["topic"]["a"]) is list
    thawed["topic"]["a"].append(3)
    assert PLAIN["topic"] == {"a": [1, {"b": 2}]}
