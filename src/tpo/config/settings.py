"""Every value that a user may set, as one frozen, checked value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tpo.http.retry import READ_TIMEOUT, RETRY_TIMEOUT

TINY = "tiny"
"""The name of the embedded pair, as policy and as reward."""

CONCURRENCY = 64
MAX_TOKENS = 2048
TINY_MAX_TOKENS = 256
"""The embedded policy replies in under 150 tokens; its context of 2,048 must hold a whole conversation."""


def _as_tuple(value: object) -> object:
    """One text as a tuple of one, or of the URLs between its commas; a list, as TOML and flags give it."""
    if isinstance(value, str):
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        urls = all(part.startswith(("http://", "https://")) for part in parts)
        return parts if parts and urls else (value,)
    return tuple(value) if isinstance(value, list) else value


def _as_table(value: object) -> object:
    """A table, from TOML as it is, from a flag or the environment as JSON."""
    if not isinstance(value, str):
        return value
    try:
        table = json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be a JSON object ({error})") from None
    if not isinstance(table, dict):
        raise ValueError('must be a JSON object, such as {"top_k": 20}')
    return table


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Table = Annotated[dict[str, Any], BeforeValidator(_as_table)]
LoosePath = Annotated[Path, Field(strict=False)]


class Settings(BaseModel):
    """What a run is made from. Keys never stand here: they come from the environment when they are needed."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    policy: Names = (TINY,)
    model: str | None = None
    policy_extra: Table = Field(default_factory=dict)
    reward: Names = (TINY,)
    combine: Literal["mean", "min", "lcb"] = "mean"
    calibration: LoosePath | None = None
    reward_tokenizer: str | None = None
    rubric: LoosePath | None = None
    votes: int = Field(default=5, ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    device: str | None = None
    trust_remote_code: bool = False
    timeout: float = Field(default=READ_TIMEOUT, gt=0)
    patience: float = Field(default=RETRY_TIMEOUT, ge=0)

    method: str = "tpo"
    sample_size: int = Field(default=5, ge=1)
    max_iterations: int = Field(default=2, ge=0)
    prompts: LoosePath | None = None

    temperature: float = Field(default=0.7, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=MAX_TOKENS, ge=1)
    seed: int = 7

    concurrency: int = Field(default=CONCURRENCY, ge=1)
    sequences: int | None = Field(default=None, ge=1)
    limit: int | None = Field(default=None, ge=1)
    column: str | None = None
    out: LoosePath | None = None
    quiet: bool = False

    @property
    def uses_tiny(self) -> bool:
        """Whether either half of the embedded pair is at work."""
        return TINY in self.policy or TINY in self.reward
