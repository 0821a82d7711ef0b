"""Checks of the arguments of an ``Optimizer`` and of runs: each wrong one is an error before any sample."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypeIs

from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.method import Method, Shape
from tpo.methods.named_models import python_names, unknown_option


def as_method(method: Method | str | None, shape: Mapping[str, Any]) -> Method:
    """Return *method*, or the one of that name with its *shape*.

    Raises:
        ConfigError: there is none, or it does not take an option.
    """
    known = tuple(Shape.__annotations__)
    for name in shape:
        if name not in known:
            hint = "it is called method" if name == "recipe" else unknown_option(name, known)
            raise ConfigError(f"Optimizer: {name}: {hint}")
    if method is None or isinstance(method, str):
        with python_names():
            return build_method(method or "tpo", **shape)
    if not isinstance(method, Method):
        raise ConfigError(f"method must be a name or a tpo.Method, not {method!r:.200}")
    if shape:
        raise ConfigError(f"{next(iter(shape))}: the method is a value; set its own {next(iter(shape))}")
    return method


def require_seed(seed: object) -> None:
    """Refuse a *seed* that is no integer.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(seed, int):
        raise ConfigError(f"seed must be an int, not {seed!r:.200}")


def require_listener(listener: object) -> None:
    """Refuse a *listener* that cannot be called.

    Raises:
        ConfigError: it is neither a function nor None.
    """
    if not (listener is None or callable(listener)):
        raise ConfigError(f"listener must be a function of an event, not {listener!r:.200}")


def require_parts(stopping: object, fallback: object, selection: object) -> None:
    """Refuse values that are no stopping rules, fallback or selection, before anything is sampled.

    Raises:
        ConfigError: naming the argument.
    """
    if not isinstance(stopping, Sequence) or not all(hasattr(rule, "should_stop") for rule in stopping):
        raise ConfigError(f"stopping must be a list of stopping rules, not {stopping!r:.200}")
    for name, part, needed in (("fallback", fallback, "finish"), ("selection", selection, "select")):
        if part is not None and not hasattr(part, needed):
            raise ConfigError(f"{name} must be an object with a {needed} method, not {part!r:.200}")


def is_named(model: object) -> TypeIs[str | Sequence[str]]:
    """Return whether *model* is a name, or several names, and not the model itself."""
    return isinstance(model, str) or (isinstance(model, list | tuple) and bool(model))


def require_picklable(name: str, value: object) -> None:
    """Refuse a part that cannot be pickled; functions are left to the pickler, since joblib's takes any.

    Raises:
        pickle.PicklingError: it cannot be.
    """
    if inspect.isroutine(value) or isinstance(value, type):
        return
    try:
        pickle.dumps(value)
    except Exception as error:
        raise pickle.PicklingError(
            f"this Optimizer cannot be pickled: its {name} is {value!r:.100} ({error}). Name the model, or"
            " give a function of a module; or build an Optimizer in each process"
        ) from error
