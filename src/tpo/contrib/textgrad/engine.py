"""A policy as an engine of TextGrad: for ``TextLoss``, ``TGD``, ``BlackboxLLM``, whatever takes a model."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from tpo.contrib.textgrad.background import Background
from tpo.contrib.textgrad.calls import Calls
from tpo.contrib.textgrad.importing import import_textgrad
from tpo.errors import ConfigError, PolicyError, StoreBusy, StoreError
from tpo.methods.textgrad.installed import moved
from tpo.policies.base import Policy
from tpo.policies.function import PolicyFunction, as_policy
from tpo.rewards.base import Reward
from tpo.rewards.function import RewardFunction, as_reward
from tpo.store.journal import Journal
from tpo.store.journaled_models import JournaledPolicy, JournaledReward
from tpo.store.lock import Lock
from tpo.types import Completion, Messages, Sampling, system, user

OPTIONS = ("n", "temperature", "top_p", "max_tokens")
"""Sampling values that a single call may set."""


class PolicyEngine:
    """*policy* behind TextGrad's ``EngineLM``: call it, and the answer's text comes back.

    It blocks its caller, whether a loop runs there or not, and may be called from several threads at once.
    The policy retries what fails (an ``OpenAIPolicy`` by its retry policy). Close it, or use it in a ``with``
    block; that also closes policy and reward, whose connections belong to this engine.

    Args:
        policy: a policy, or a function (see :func:`tpo.policies.function.as_policy`).
        name: the model's name, for TextGrad (``model_string``) and for the journal.
        sampling: how it draws. With ``n`` above 1, *reward* says which of the answers TextGrad gets. The seed
            is the first of all; each call's own derives from it.
        reward: a reward or a function; of use with several samples only.
        journal: a folder, made if missing, in which finished calls are kept. The same program run again is
            answered from it, and asks only for what is not there. One process at a time.
        system_prompt: for calls that bring none; None is TextGrad's own, an empty text is none at all.

    Raises:
        MissingExtra: textgrad is not installed.
        ConfigError: several samples, and no reward to tell between them; or textgrad cannot be imported.
        StoreBusy: another process holds the journal.
        StoreError: it cannot be used.
    """

    def __init__(
        self,
        policy: Policy | PolicyFunction,
        *,
        name: str,
        sampling: Sampling | None = None,
        reward: Reward | RewardFunction | None = None,
        journal: Path | None = None,
        system_prompt: str | None = None,
    ) -> None:
        self.sampling = sampling or Sampling()
        if self.sampling.n > 1 and reward is None:
            raise ConfigError(
                f"{name}: n is {self.sampling.n}, and TextGrad takes one answer; give a reward to choose by"
            )
        self.model_string = name
        base = _engine_base()
        base.register(type(self))
        self.system_prompt = base.system_prompt if system_prompt is None else system_prompt
        self._background = Background()
        self._kept = None if journal is None else _Kept(journal)
        self._closed = False
        self._models = (as_policy(policy), None if reward is None else as_reward(reward))
        self._calls = self._assemble(*self._models)

    def _assemble(self, policy: Policy, reward: Reward | None) -> Calls:
        if self._kept is not None:
            policy = JournaledPolicy(policy, self._kept.journal)
            reward = None if reward is None else JournaledReward(reward, self._kept.journal)
        return Calls(policy, reward, self.model_string)

    def generate(self, prompt: str, system_prompt: str | None = None, **options: Any) -> str:
        """The answer to *prompt*: of several samples the one with the highest reward.

        *options*: ``temperature``, ``top_p``, ``max_tokens``, ``n`` for this call, as TextGrad's own engines
        take them.

        Raises:
            PolicyError: no answer came, or *prompt* is more than text.
            ConfigError: an option is unknown.
            StoreError: the answer could not be kept.
        """
        sampling = self._drawing(options)
        if sampling.n > 1 and self._calls.reward is None:
            raise ConfigError(
                f"{self.model_string}: n is {sampling.n}; give the engine a reward to choose by"
            )
        messages = self._messages(prompt, system_prompt)
        return self._background.run(self._calls.best(messages, sampling)).text

    __call__ = generate

    def samples(self, prompt: str, system_prompt: str | None = None, **options: Any) -> list[Completion]:
        """All ``n`` answers to *prompt*, in order; options and errors as of :meth:`generate`."""
        messages = self._messages(prompt, system_prompt)
        return self._background.run(self._calls.samples(messages, self._drawing(options)))

    def close(self) -> None:
        """Close the models, write what waits, let go of the journal, end the thread. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            self._background.run(self._end())
        finally:
            self._background.close()

    async def _end(self) -> None:
        async with AsyncExitStack() as stack:
            if self._kept is not None:
                stack.push_async_callback(self._kept.close)
            for model in self._models:
                close = getattr(model, "aclose", None)
                if close is not None:
                    stack.push_async_callback(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _drawing(self, options: dict[str, Any]) -> Sampling:
        unknown = ", ".join(sorted(options.keys() - OPTIONS))
        if unknown:
            raise ConfigError(
                f"{self.model_string}: unknown option {unknown}; there are {', '.join(OPTIONS)}"
            )
        return replace(self.sampling, **options)

    def _messages(self, prompt: str, system_prompt: str | None) -> Messages:
        if not isinstance(prompt, str):
            raise PolicyError(f"{self.model_string}: this engine takes text, not {type(prompt).__name__}")
        task = system_prompt or self.system_prompt
        return (system(task), user(prompt)) if task else (user(prompt),)


class _Kept:
    """A journal in a folder of its own, held by one process."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(folder)
        except OSError as error:
            raise StoreError(f"cannot use {folder} for a journal: {error.strerror}") from error
        except StoreBusy as error:
            raise StoreBusy(
                f"{folder}: another engine uses this journal; close it, or name another folder"
            ) from error
        try:
            self.journal = Journal(folder / "journal.jsonl")
        except BaseException:
            self._lock.release()
            raise

    async def close(self) -> None:
        """Write what waits, and let others in."""
        try:
            await self.journal.close()
        finally:
            self._lock.release()


def _engine_base() -> Any:
    """TextGrad's base class of engines."""
    package = import_textgrad()
    base = getattr(package, "EngineLM", None)
    if not (isinstance(base, type) and hasattr(base, "register") and hasattr(base, "system_prompt")):
        raise moved("it has no EngineLM to stand in for")
    return base
