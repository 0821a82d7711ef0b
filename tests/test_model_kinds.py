"""Base classes of model kinds: secrets in URLs, and paths told from hub ids."""

from __future__ import annotations

import pytest

from tpo.entry_points import POLICIES, REWARDS
from tpo.errors import ConfigError
from tpo.registry import ModelOptions, parse


@pytest.mark.parametrize("url", ["http://me:secret@host:1", "http://host:1?key=secret"])
def test_a_secret_in_a_servers_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="TPO_REWARD_API_KEY") as refused:
        parse(REWARDS, f"vllm:http://host:2,{url}", "--reward")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("location", ["models/org/name", "./name", "~/name-of-nothing"])
def test_a_path_that_is_no_directory_is_refused(location: str) -> None:
    with pytest.raises(ConfigError, match="no such directory"):
        parse(POLICIES, f"hf:{location}", "--policy").resolve(ModelOptions())


def test_a_hub_id_is_not_looked_for_on_disk() -> None:
    parse(POLICIES, "hf:org/name", "--policy").resolve(ModelOptions())
