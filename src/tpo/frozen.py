"""Immutable containers for JSON-like values: still a dict and a list, so that any library takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Immutable:
    """Refuses every method that changes a dict or a list."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"this {type(self).__name__} is immutable: tpo.frozen.thaw() gives a copy to change")

    __setitem__ = __delitem__ = __ior__ = __iadd__ = __imul__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    append = extend = insert = remove = reverse = sort = _refuse


class FrozenDict(_Immutable, dict[K, V]):
    """Dict that cannot be changed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none since it may change
        return hash(frozenset(self.items()))


class _FrozenList(_Immutable, list[V]):
    """List that cannot be changed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _FrozenList, (list(self),)

    def __hash__(self) -> int:  # type: ignore[override]  # a list has none since it may change
        return hash(tuple(self))


def freeze(value: Any) -> Any:
    """Return *value* with each mapping and list in it replaced by an immutable copy."""
    if isinstance(value, FrozenDict | _FrozenList):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(part) for key, part in value.items()})
    if isinstance(value, list):
        return _FrozenList(map(freeze, value))
    return tuple(map(freeze, value)) if type(value) is tuple else value


def thaw(value: Any) -> Any:
    """Return *value* with each mapping and list in it replaced by a plain copy."""
    if isinstance(value, Mapping):
        return {key: thaw(part) for key, part in value.items()}
    if isinstance(value, list):
        return [thaw(part) for part in value]
    return tuple(map(thaw, value)) if type(value) is tuple else value
