"""The kind ``hf:``: it takes sampling options and template values as vLLM does; GGUF files are named."""

from pathlib import Path
from typing import Any

import pytest

from tests.models import save_policy
from tpo.config import build_policy, resolve
from tpo.config.settings import Settings
from tpo.errors import ConfigError
from tpo.types import Sampling, Scope, user

EXTRA = {
    "top_k": 1,
    "chat_template_kwargs": {"enable_thinking": False},
    "min_p": 0,
    "repetition_penalty": 1.0,
}


async def test_its_fields_reach_the_model(tmp_path: Path) -> None:
    policy = build_policy(f"hf:{save_policy(tmp_path)}", device="cpu", extra=EXTRA)
    replies = policy.sample((user("Hi"),), Sampling(n=6, max_tokens=12), Scope("q", 0, "sample"))
    assert len({reply.text async for reply in replies}) == 1  # the most probable token, whatever the seed


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"logit_bias": {}}, "logit_bias: --policy hf:org/model takes only top_k, min_p"),
        ({"top_k": "20"}, "top_k is '20', which --policy hf:org/model does not take"),
        ({"min_p": True}, "min_p is True"),
        ({"chat_template_kwargs": []}, r"chat_template_kwargs is \[\]"),
    ],
)
def test_other_fields_and_values_are_refused_before_anything_is_loaded(
    extra: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=f"--policy-extra: {words}"):
        resolve(Settings(policy=("hf:org/model",), reward=("hf:org/other",), policy_extra=extra))


@pytest.mark.parametrize("part", ["policy", "reward"])
def test_a_gguf_file_is_named_as_such_before_anything_is_loaded(tmp_path: Path, part: str) -> None:
    (file := tmp_path / "model.gguf").write_bytes(b"GGUF")
    names: dict[str, Any] = {"policy": ("hf:org/model",), "reward": ("hf:org/model",)} | {
        part: (f"hf:{file}",)
    }
    with pytest.raises(ConfigError, match="is a GGUF file"):
        resolve(Settings(**names))
