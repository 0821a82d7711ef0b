"""What may not change of policy and rewards when a run is gone on with."""

from __future__ import annotations

import hashlib
from typing import Any

from tpo.config.names import SERVED
from tpo.config.rewards import ServedName
from tpo.config.settings import TINY, Settings
from tpo.inprocess.weights import weights_digest
from tpo.tiny import policy_path, reward_path


def reward_identity(settings: Settings) -> Any:
    """The rewards' names, how they are put together, and what a judge is told.

    A server whose model is named may move; of one whose model is not, the address is all there is to know
    it by.
    """
    names = [_identity(name) for name in settings.reward]
    extra: dict[str, Any] = {}
    if len(names) > 1:
        extra["combine"] = settings.combine
    if any(name.startswith("judge:") for name in names):
        extra["votes"] = settings.votes
        if settings.rubric is not None:
            extra["rubric"] = hashlib.sha256(settings.rubric.read_bytes()).hexdigest()[:16]
    if extra:
        return {"names": names} | extra
    return names[0] if len(names) == 1 else names


def weights_of(settings: Settings) -> dict[str, str | None]:
    """A digest of the weights of each model in this process, by what it is; None of what is not here yet.

    A server's weights cannot be seen: there the model's name stands for them.
    """
    places = {f"policy {name}": _place(name, str(policy_path())) for name in settings.policy}
    places |= {f"reward {name}": _place(name, str(reward_path())) for name in settings.reward}
    return {what: weights_digest(place) for what, place in places.items() if place is not None}


def _identity(name: str) -> str:
    kind = name.partition(":")[0]
    if kind not in SERVED:
        return name
    served = ServedName.of(name)
    return name if served.model is None else f"{kind}:#{served.model}"


def _place(name: str, tiny: str) -> str | None:
    """The folder or hub id of a model in this process; None of any other."""
    if name == TINY:
        return tiny
    return name.removeprefix("hf:") if name.startswith("hf:") else None
