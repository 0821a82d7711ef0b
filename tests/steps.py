"""Records of steps written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from tpo.types import Call, Candidate, Messages, Pair, Reply, Step, Usage, user

NO_USAGE = Usage()
REWRITE = (user("rewrite"),)


def tpo_step(
    number: int,
    pair: Pair,
    candidates: Sequence[Candidate] = (),
    unreadable: Sequence[Reply] = (),
    *,
    loss: tuple[Messages, str] = ((user("compare"),), "too short"),
    gradient: tuple[Messages, str] = ((user("instruct"),), "write more"),
    update: Messages = REWRITE,
    usage: Sequence[Usage] = (NO_USAGE, NO_USAGE, NO_USAGE),
) -> Step:
    """A step as ``tpo`` makes it: loss, gradient, update; *usage* of the three calls."""
    calls = (
        Call("loss", loss[0], replies=(Reply(0, loss[1]),), usage=usage[0]),
        Call("gradient", gradient[0], replies=(Reply(0, gradient[1]),), usage=usage[1]),
        Call(
            "update",
            update,
            n=len(candidates) + len(unreadable),
            reads=True,
            replies=tuple(unreadable),
            usage=usage[2],
        ),
    )
    return Step(number, calls, tuple(candidates), pair)


def first_step(candidates: Sequence[Candidate], usage: Usage = NO_USAGE) -> Step:
    """First samples."""
    call = Call("sample", (user("a question"),), n=len(candidates), reads=True, usage=usage)
    return Step(0, (call,) if candidates else (), tuple(candidates))
