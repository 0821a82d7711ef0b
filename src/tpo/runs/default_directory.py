"""Names of default run directories: the same options give the same name, so the same command resumes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from tpo.config import Settings
from tpo.config.specs import policy_short_name
from tpo.data.sources import Spec
from tpo.methods.method import Method

LONGEST = 40
"""Characters of a model's name."""


def run_name(
    settings: Settings, method: Method, data: Spec, *, policy: str | None = None, reward: Any = None
) -> str:
    """Return the name of the default directory.

    *reward* is the reward's identity in the fingerprint (None: as earlier versions, which left it out of the
    name); *policy* is that of a policy that settings cannot name.
    """
    model = _slug(policy_short_name(settings)) if policy is None else identity_part(policy)
    parts = [_slug(_stem(data)), model, "" if reward is None else identity_part(reward), _slug(method.name)]
    shape = [f"d{method.max_iterations}", f"n{method.sample_size}", f"seed{settings.seed}"]
    return "-".join(part for part in parts + shape if part)


def identity_part(identity: Any) -> str:
    """Return the model of *identity* as a part of a directory's name; a long one by its end and a digest."""
    names = identity["names"] if isinstance(identity, dict) else identity
    text = names if isinstance(names, str) else "-".join(names)
    plain = _slug(text, longest=None)
    if isinstance(identity, str) and len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    return f"{plain[-(LONGEST - len(digest) - 1) :].strip('-.')}-{digest}"


def _stem(data: Spec) -> str:
    if not isinstance(data, str):
        first, *others = data
        return f"{_stem(first)}-and-{len(others)}-more" if others else _stem(first)
    if data.startswith("hf:"):
        return data.removeprefix("hf:")
    name = "stdin" if data == "-" else Path(data).name
    return name.partition(".")[0] or name


def _slug(text: str, longest: int | None = 60) -> str:
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:longest]
