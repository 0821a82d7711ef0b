"""What policies and rewards are called: ``tiny``, ``hf:…``, a base URL, ``vllm:…`` and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpo.config.settings import TINY, Settings
from tpo.errors import ConfigError
from tpo.http.address import without_secrets

POLICIES = "there are tiny, hf:ID-OR-PATH, and the base URL of an OpenAI-compatible server"
REWARDS = "there are tiny, hf:ID-OR-PATH, vllm:URL, judge:URL and python:MODULE:FUNCTION"
KEY_FIELDS = frozenset(
    {"api_key", "apikey", "x_api_key", "authorization", "access_token", "headers", "extra_headers"}
)
"""What no request's body holds, and a key is mistakenly put into."""
SERVED = ("vllm", "judge")
"""Rewards behind servers: ``vllm:URL``, several URLs by commas, ``#MODEL`` after them."""


def check_names(settings: Settings) -> None:
    """Refuse what no policy or reward is called, and options that do not go with them.

    Raises:
        ConfigError: naming the option, what there is, and what may have been meant.
    """
    check_policies(settings.policy, settings.model, bool(settings.policy_extra))
    _refuse_keys(settings.policy_extra)
    for name in settings.reward:
        check_reward(name)
    if len(set(settings.reward)) < len(settings.reward):
        raise ConfigError(f"--reward: {', '.join(settings.reward)}: name each reward once")
    if settings.rubric is not None and not any(name.startswith("judge:") for name in settings.reward):
        raise ConfigError(f"--rubric {settings.rubric} is for --reward judge:URL")


def is_server(name: str) -> bool:
    """Whether a policy's *name* is a base URL."""
    return name.startswith(("http://", "https://"))


def check_policies(names: Sequence[str], model: str | None = None, has_extra: bool = False) -> None:
    """Refuse what no policy is called, and several *names* that are not different servers of one model."""
    for name in names:
        check_policy(name, model, has_extra)
    inside = [name for name in names if not is_server(name)]
    if len(names) > 1 and inside:
        raise ConfigError(
            f"--policy {inside[0]}: several policies must all be servers' URLs, of the same model"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"--policy: {', '.join(names)}: name each server once")


def check_policy(name: str, model: str | None = None, has_extra: bool = False) -> None:
    """Refuse a *name* that no policy has, or options that it does not take."""
    if is_server(name):
        refuse_secrets("--policy", name, "TPO_API_KEY")
        return
    if name != TINY and not name.startswith("hf:"):
        raise ConfigError(
            f"--policy {without_secrets(name)}: unknown; {_meant(without_secrets(name))}{POLICIES}"
        )
    _require_model("--policy", name)
    if model is not None or has_extra:
        option = "--model" if model is not None else "--policy-extra"
        raise ConfigError(f"{option} is for a server's base URL; --policy {name} is in this process")


def refuse_secrets(option: str, url: str, variable: str) -> None:
    """Refuse a *url* that holds a password or a query, where keys stand, without repeating it."""
    if "@" in url:
        raise ConfigError(f"{option}: a URL with a password in it would end up in files; set {variable}")
    if "?" in url:
        raise ConfigError(
            f"{option} {without_secrets(url)}: leave out what follows the path; a key belongs into {variable}"
        )


def _refuse_keys(extra: Mapping[str, object]) -> None:
    for name in extra:
        if name.lower().replace("-", "_") in KEY_FIELDS:
            raise ConfigError(
                f"--policy-extra: {name} would be written into the run's record; a key comes from TPO_API_KEY"
                " alone, and only fields of a request's body can be added"
            )


def check_reward(name: str, option: str = "--reward") -> None:
    """Refuse a *name* that no reward has; *option* is where it was given."""
    kind = name.partition(":")[0]
    if kind in SERVED:
        _require_urls(option, name)
        return
    if name != TINY and kind not in ("hf", "python"):
        raise ConfigError(f"{option} {name}: unknown; {_meant(name)}{REWARDS}")
    _require_model(option, name)


def _require_urls(option: str, name: str) -> None:
    kind, _, rest = name.partition(":")
    urls = [url for url in rest.partition("#")[0].split(",") if url]
    for url in urls:
        refuse_secrets(option, url, "TPO_REWARD_API_KEY")
    if not urls or not all(map(is_server, urls)):
        raise ConfigError(f"{option} {name}: write the server's URL, as in {kind}:http://127.0.0.1:8001")


def _require_model(option: str, name: str) -> None:
    if name == "hf:":
        raise ConfigError(f"{option} {name}: name a model, as in hf:ID-OR-PATH")


def _meant(name: str) -> str:
    """What a name that nothing matches may have been meant as."""
    if "/" in name and ":" not in name:
        return f"did you mean hf:{name}? "
    if name.partition(":")[2][:1].isdigit():
        return f"did you mean http://{name}? "
    return ""
