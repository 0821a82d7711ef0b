"""``--reward judge:URL``: a language model behind an OpenAI-compatible server grades by a rubric."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

from tpo.http.retry import RetryPolicy
from tpo.model_kinds import ServedSpec
from tpo.registry import REWARD_KEY_VARIABLE, ModelOptions
from tpo.rewards.base import Reward


@dataclass(frozen=True)
class Judge(ServedSpec[Reward]):
    """A chat model on one server or several."""

    usage: ClassVar[str] = "judge:URL"
    summary: ClassVar[str] = "a language model that grades by a rubric"
    takes: ClassVar[frozenset[str]] = frozenset({"rubric"})
    key_variable: ClassVar[str] = REWARD_KEY_VARIABLE

    def resolve(self, options: ModelOptions) -> None:
        """Read the rubric."""
        _rubric(options)

    def details(self, options: ModelOptions) -> dict[str, Any]:
        """Return the number of votes, and a digest of the user's rubric."""
        if options.rubric is None:
            return {"votes": options.votes}
        digest = hashlib.sha256(options.rubric.read_bytes()).hexdigest()[:16]
        return {"votes": options.votes, "rubric": digest}

    def build(self, options: ModelOptions) -> Reward:
        """Make the client."""
        from tpo.rewards.judge import JudgeReward
        from tpo.rewards.judge.principle import PrincipleReward
        from tpo.rewards.judge.profiles import profile_of

        access: dict[str, Any] = {
            "model": self.model,
            "api_key": options.api_key,
            "votes": options.votes,
            "timeout": options.timeout,
            "retry": RetryPolicy(timeout=options.retry_timeout),
            "listener": options.listener,
        }
        profile = profile_of(self.model)
        if profile is not None and profile.form == "log-odds":
            return PrincipleReward(
                self.urls,
                principle=_rubric(options),
                context=profile.context,
                thinks=profile.thinks or None,
                **access,
            )
        return JudgeReward(self.urls, rubric=_rubric(options), **access)


def _rubric(options: ModelOptions) -> str:
    from tpo.rewards.judge.wording import DEFAULT_RUBRIC, read_rubric

    return DEFAULT_RUBRIC if options.rubric is None else read_rubric(options.rubric)
