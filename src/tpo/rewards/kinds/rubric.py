"""``--reward rubric:FILE@URL``: a language model answers every criterion of a rubric with a probability."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tpo.errors import ConfigError
from tpo.http.retry import RetryPolicy
from tpo.model_kinds import ServedSpec
from tpo.registry import REWARD_KEY_VARIABLE, ModelOptions
from tpo.rewards.base import Reward


@dataclass(frozen=True)
class Rubric(ServedSpec[Reward]):
    """A rubric's file, and a chat model on one server or several."""

    usage: ClassVar[str] = "rubric:FILE@URL"
    summary: ClassVar[str] = "the criteria in a TOML or JSON file, each answered by a language model"
    key_variable: ClassVar[str] = REWARD_KEY_VARIABLE

    @property
    def file(self) -> Path:
        """The rubric's file."""
        return Path(self._parts[0])

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers' base URLs."""
        return tuple(url for url in self._parts[1].partition("#")[0].split(",") if url)

    @property
    def _parts(self) -> tuple[str, str]:
        """The file and the servers; a file's name may hold an ``@`` as well."""
        file, found, url = self.value.partition("@http")
        return file, f"http{url}" if found else ""

    def check(self, option: str) -> None:
        """Refuse a name without a file or a server."""
        if not (self._parts[0] and self.urls):
            raise ConfigError(
                f"{option} rubric: write {self.usage}, as in rubric:rubric.toml@http://host:8000"
            )
        super().check(option)

    def resolve(self, options: ModelOptions) -> None:
        """Read the rubric."""
        from tpo.rewards.rubric.criteria import read_rubric_file

        del options
        read_rubric_file(self.file)

    def columns(self, options: ModelOptions) -> Mapping[str, bool]:
        """Return the column with a row's own criteria."""
        from tpo.rewards.rubric.criteria import read_rubric_file

        del options
        return read_rubric_file(self.file).columns

    def identity(self, options: ModelOptions) -> str:
        """Return the model's name, or the servers; the rubric counts by its content."""
        del options
        return f"rubric:#{self.model}" if self.model is not None else f"rubric:{','.join(self.urls)}"

    def details(self, options: ModelOptions) -> dict[str, Any]:
        """Return a digest of the rubric, and the number of votes."""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]
        return {"rubric": digest, "votes": options.votes}

    def build(self, options: ModelOptions) -> Reward:
        """Read the rubric and make the client."""
        from tpo.rewards.rubric import RubricReward
        from tpo.rewards.rubric.criteria import read_rubric_file

        return RubricReward(
            self.urls,
            read_rubric_file(self.file),
            model=self.model,
            api_key=options.api_key,
            votes=options.votes,
            timeout=options.timeout,
            retry=RetryPolicy(timeout=options.retry_timeout),
            listener=options.listener,
        )
