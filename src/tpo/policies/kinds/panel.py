"""``--policy panel:MODEL,MODEL``: several policies that share out the first samples.

Sample i of a query's first samples is written by member i mod K; everything else, such as the call that fuses
them, by the first member. The seed of a call tells i, since base seeds are multiples of :data:`STRIDE`. So
neither N nor what is asked again after an interruption changes which model writes a sample, or its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tpo.entry_points import POLICIES
from tpo.errors import ConfigError
from tpo.policies.base import Policy
from tpo.policies.siblings import as_finished
from tpo.policies.wrapper import Wrapper, closing
from tpo.registry import ModelOptions, ModelSpec, parse
from tpo.types import Completion, Messages, Sampling, Scope

STRIDE = 1024
"""Base seeds of calls are multiples of it (:data:`tpo.methods.seeds.MIN_STRIDE`); sample i has base + i."""


@dataclass(frozen=True)
class Panel(ModelSpec[Policy]):
    """Names of policies between commas; ``--model`` names the models of those that are servers, likewise."""

    usage: ClassVar[str] = "panel:MODEL,MODEL"
    summary: ClassVar[str] = "several policies for the first samples; the first one writes the rest"
    takes: ClassVar[frozenset[str]] = frozenset({"model", "extra"})

    @property
    def members(self) -> tuple[ModelSpec[Policy], ...]:
        """The specs of the members."""
        names = [name.strip() for name in self.value.split(",") if name.strip()]
        return tuple(parse(POLICIES, name, f"--policy {self.kind}") for name in names)

    @property
    def parts(self) -> tuple[ModelSpec[Policy], ...]:
        """The members, whose weights and sources are part of a run's fingerprint."""
        return self.members

    @property
    def urls(self) -> tuple[str, ...]:
        """The base URLs of the members that are servers."""
        return tuple(url for member in self.members for url in member.urls)

    def check(self, option: str) -> None:
        """Refuse fewer than two members, one that is named twice, and a panel in a panel."""
        members = self.members
        if len(members) < 2 or len({member.name for member in members}) < len(members):
            raise ConfigError(f"{option} {self.name}: name at least two different policies between commas")
        if any(isinstance(member, Panel) for member in members):
            raise ConfigError(f"{option} {self.name}: a panel cannot be a member of a panel")

    def resolve(self, options: ModelOptions) -> None:
        """Find every member."""
        for member, own in self._with_options(options):
            member.resolve(own)

    def build(self, options: ModelOptions) -> Policy:
        """Build every member."""
        return PanelPolicy([member.build(own) for member, own in self._with_options(options)])

    def identity(self, options: ModelOptions) -> str:
        """Return the identities of the members in order."""
        return f"{self.kind}:" + ",".join(member.identity(own) for member, own in self._with_options(options))

    def short_name(self, options: ModelOptions) -> str:
        """Return the short names of the members."""
        return "-".join(member.short_name(own) or member.kind for member, own in self._with_options(options))

    async def find_model(self, options: ModelOptions) -> str | None:
        """Return the models' names between commas, empty for a member that needs none."""
        members = self._with_options(options)
        found = [await member.find_model(own) or "" for member, own in members]
        return ",".join(found) if any(found) else None

    def _with_options(self, options: ModelOptions) -> list[tuple[ModelSpec[Policy], ModelOptions]]:
        """Return each member with its options.

        The key and the extra fields are the first member's alone: a key must not reach another's server.
        """
        members = self.members
        names = [name.strip() or None for name in (options.model or "," * (len(members) - 1)).split(",")]
        if len(names) != len(members):
            raise ConfigError(f"--model {options.model}: name {len(members)} models between commas")
        own = [
            replace(options, model=name if "model" in member.takes else None)
            for member, name in zip(members, names, strict=True)
        ]
        rest = [replace(each, api_key=None, extra={}) for each in own[1:]]
        return list(zip(members, [own[0], *rest], strict=True))


class PanelPolicy(Wrapper):
    """Shares the first samples out to *members*; the first member answers every other call."""

    def __init__(self, members: Sequence[Policy]) -> None:
        super().__init__(members[0])
        self.members = tuple(members)

    async def sample(self, messages: Messages, sampling: Sampling, scope: Scope) -> AsyncIterator[Completion]:
        """Yield the samples of each member when all of that member's are written."""
        if scope.step > 0:
            async with closing(self.policy.sample(messages, sampling, scope)) as completions:
                async for completion in completions:
                    yield completion
            return
        first = sampling.seed % STRIDE
        shares = [
            self._share(number, range(first, first + sampling.n), messages, sampling, scope)
            for number in range(len(self.members))
        ]
        async with closing(as_finished(shares)) as written:
            async for share in written:
                for completion in share:
                    yield completion

    async def _share(
        self, number: int, wanted: range, messages: Messages, sampling: Sampling, scope: Scope
    ) -> list[Completion]:
        """Return the samples of *wanted* that member *number* writes."""
        count = len(self.members)
        own = [index for index in wanted if index % count == number]
        if not own:
            return []
        base = sampling.seed - wanted.start
        share = replace(sampling, n=len(own), seed=base + number + own[0] // count)
        async with closing(self.members[number].sample(messages, share, scope)) as completions:
            return [
                replace(completion, index=own[completion.index] - wanted.start)
                async for completion in completions
            ]

    async def check(self) -> None:
        """Check every member."""
        await asyncio.gather(*(Wrapper(member).check() for member in self.members))

    async def aclose(self) -> None:
        """Close every member."""
        for member in self.members:
            await Wrapper(member).aclose()
