"""Method, server model and reward model from the flags."""

from __future__ import annotations

from collections.abc import Mapping

from tpo.config import Settings, build_policy, build_reward
from tpo.contrib.reference.arguments import METHODS, Arguments
from tpo.contrib.reference.context import ContextBound
from tpo.entry_points import REWARDS
from tpo.events import Listener
from tpo.http import HttpClient
from tpo.methods.named_models import api_key
from tpo.registry import find_kind
from tpo.rewards.base import Reward

PLACEHOLDER_KEY = "token-abc123"
"""The key that the reference's README gives to its server, and its command always sends. No secret."""

STOP = ("<|end_of_text|>", "<|eot_id|>", "<|im_end|>")
"""Stop strings of the reference, for models whose own settings have none."""

LEAST_CONNECTIONS = 64

TOKENIZER_TIMEOUT = 10.0
"""Read timeout of a tokenizer in seconds; it has no model to run."""


def make_settings(arguments: Arguments) -> Settings:
    """Return the settings that the flags stand for."""
    return Settings(
        policy=(arguments.base_url,),
        model=arguments.model,
        reward=(reward_name(arguments),),
        method=METHODS[arguments.tpo_mode],
        sample_size=arguments.sample_size,
        max_iterations=arguments.max_iterations,
        temperature=arguments.temperature,
        max_tokens=arguments.max_tokens_response,
        seed=arguments.seed,
        concurrency=arguments.num_threads,
    )


def make_policy(
    arguments: Arguments, environment: Mapping[str, str], listener: Listener | None = None
) -> ContextBound:
    """The model on the server, each call within ``--max_tokens_all``; *listener* hears of retries."""
    key = api_key(environment) or PLACEHOLDER_KEY
    server = build_policy(
        arguments.base_url,
        model=arguments.model,
        extra={"stop": list(STOP)},
        concurrency=max(LEAST_CONNECTIONS, arguments.num_threads),
        api_key=key,
        listener=listener,
    )
    client = HttpClient(arguments.base_url, key, timeout=TOKENIZER_TIMEOUT)
    return ContextBound(server, arguments.max_tokens_all, client, arguments.model)


def reward_name(arguments: Arguments) -> str:
    """The reward as this package names it: an id or a path is a classifier in Hugging Face format."""
    name = arguments.reward_model
    return name if find_kind(REWARDS, name) is not None else f"hf:{name}"


def make_reward(arguments: Arguments) -> Reward:
    """The reward model; a classifier reads ``--batch_size`` responses of full length at once.

    Raises:
        MissingExtra: torch or transformers is not installed.
        RewardRefused: the model cannot be loaded.
    """
    return build_reward(
        reward_name(arguments), max_batch_tokens=arguments.batch_size * arguments.max_tokens_all
    )
