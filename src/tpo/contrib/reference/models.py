"""What the flags name: the method, the server's model, the reward model."""

from __future__ import annotations

from collections.abc import Mapping

from tpo.config.build import api_key, build_policy
from tpo.config.rewards import build_reward
from tpo.contrib.reference.arguments import RECIPES, Arguments
from tpo.contrib.reference.context import ContextBound
from tpo.events import Listener
from tpo.methods.catalog import build_method
from tpo.methods.method import Method
from tpo.rewards.base import Reward

PLACEHOLDER_KEY = "token-abc123"
"""The key that the reference's README gives to its server, and its command always sends. No secret."""

STOP = ("<|end_of_text|>", "<|eot_id|>", "<|im_end|>")
"""Where the reference has every reply end, for models whose own settings do not."""

REWARD_KINDS = ("hf", "python", "vllm", "judge")
LEAST_CONNECTIONS = 64


def make_recipe(arguments: Arguments) -> Method:
    """The mode in the paper's layout, with N, D and the sampling values."""
    return build_method(
        RECIPES[arguments.tpo_mode],
        sample_size=arguments.sample_size,
        max_iterations=arguments.max_iterations,
        temperature=arguments.temperature,
        max_tokens=arguments.max_tokens_response,
    )


def make_policy(
    arguments: Arguments, environment: Mapping[str, str], listener: Listener | None = None
) -> ContextBound:
    """The model on the server, each call within ``--max_tokens_all``; *listener* hears of retries."""
    server = build_policy(
        arguments.base_url,
        model=arguments.model,
        extra={"stop": list(STOP)},
        concurrency=max(LEAST_CONNECTIONS, arguments.num_threads),
        api_key=api_key(environment) or PLACEHOLDER_KEY,
        listener=listener,
    )
    return ContextBound(server, arguments.max_tokens_all)


def reward_name(arguments: Arguments) -> str:
    """The reward as this package names it: an id or a path is a classifier in Hugging Face format."""
    name = arguments.reward_model
    known = name == "tiny" or name.partition(":")[0] in REWARD_KINDS
    return name if known else f"hf:{name}"


def make_reward(arguments: Arguments) -> Reward:
    """The reward model; a classifier reads ``--batch_size`` responses of full length at once.

    Raises:
        MissingExtra: torch or transformers is not installed.
        RewardRefused: the model cannot be loaded.
    """
    kind, _, name = reward_name(arguments).partition(":")
    if kind != "hf" or not name:
        return build_reward(reward_name(arguments))
    from tpo.rewards.hf import HFReward

    return HFReward(name, max_batch_tokens=arguments.batch_size * arguments.max_tokens_all)
