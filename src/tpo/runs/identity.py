"""Identities of Python functions and objects for the fingerprint: qualified name, model, source."""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any

from tpo.policies.wrapper import Wrapper
from tpo.rewards.ensemble import Ensemble

OWN = "tpo."
"""Modules whose source is told by the package's version, not by a digest."""


def identity_of(thing: Any) -> str:
    """Return what tells *thing*, a policy, a reward or a method, from others when a run is resumed.

    That is its attribute ``identity``, if this is a text; else its qualified name (a class's for an object),
    the model that it names, and a digest of its source where that can be read.
    """
    own = getattr(thing, "identity", None)
    if isinstance(own, str):
        return own
    if isinstance(thing, functools.partial):
        return f"{identity_of(thing.func)} of {_digest(repr((thing.args, thing.keywords)))}"
    if isinstance(thing, Wrapper):
        return f"{_name(type(thing))} of {identity_of(thing.policy)}"
    if isinstance(thing, Ensemble):
        inner = ", ".join(f"{name}: {identity_of(member)}" for name, member in thing.members.items())
        gates = ", ".join(f"{name}: {identity_of(gate)}" for name, gate in thing.gates.items())
        weights = "" if len(set(thing.weights.values())) == 1 else f" by {thing.weights}"
        return f"{thing.combine} of {inner}{weights}" + (f" behind {gates}" if gates else "")
    named = thing if inspect.isroutine(thing) or isinstance(thing, type) else type(thing)
    parts = [_name(named)]
    parts += [value for key in ("model", "name") if isinstance(value := getattr(thing, key, None), str)]
    return " ".join(parts) + _source_digest(named)


def _source_digest(named: Any) -> str:
    """Return ``@`` and a digest of the source of a function or class; nothing where there is none to read."""
    try:
        source = inspect.getsource(inspect.unwrap(named))
    except (OSError, TypeError):  # no file, as in an interpreter; or built in
        return ""
    return "" if _name(named).startswith(OWN) else f"@{_digest(source)}"


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
