"""Profiles of generative reward models by name: how their replies are read, and what they can read.

The prompts are our own. None of these models has been run here: a profile tells what its authors document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tpo.rewards.judge.pair_formats import BOXED, BRACKETED, TWO_TURNS, PairFormat

Form = Literal["log-odds", "verdict", "score"]
"""Answer of a model: Yes or No as the next token, a verdict on two responses, or a score, after reasoning."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Request and reply format of a family of generative reward models.

    Attributes:
        name: the family.
        pattern: regular expression that is found in the names of its models.
        form: what a reply is.
        thinks: whether it reasons before it answers, so that the first token is no answer.
        context: tokens that it was trained to read; None where the authors name no limit.
        pair: format in which it compares two responses; None where it compares none.
    """

    name: str
    pattern: str
    form: Form
    thinks: bool = False
    context: int | None = None
    pair: PairFormat | None = None


PROFILES = (
    Profile("Nemotron principle", r"Nemotron-70B-Reward-Principle", "log-odds", context=4096),
    Profile("Nemotron GenRM principle", r"GenRM-Principle", "log-odds", thinks=True),
    Profile("RM-R1", r"RM-R1", "verdict", thinks=True, pair=BRACKETED),
    Profile("BR-RM", r"BRRM", "verdict", thinks=True, pair=TWO_TURNS),
    Profile("RRM", r"\bRRM-\d+B", "verdict", thinks=True, pair=BOXED),
    Profile("DeepSeek-GRM", r"DeepSeek-GRM", "score", thinks=True),
)


def thinks(model: str) -> bool:
    """Return whether the model named *model* is known to reason before it answers."""
    profile = profile_of(model)
    return profile is not None and profile.thinks


def profile_of(model: str | None) -> Profile | None:
    """Return the profile of the model named *model*; None of any other."""
    return next((each for each in PROFILES if re.search(each.pattern, model or "", re.IGNORECASE)), None)
