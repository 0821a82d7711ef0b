"""Names of default run directories."""

from __future__ import annotations

from typing import Any

import pytest

from tpo.config import load_settings, make_method, reward_identity
from tpo.runs.default_directory import LONGEST, identity_part, run_name

NAMED = [
    ({}, "a/prompts.jsonl.gz", "prompts-tiny-tpo-d2-n5-seed7", "prompts-tpo-d2-n5-seed7"),
    ({"method": "bon", "sample_size": 9}, "x.csv", "x-tiny-bon-d0-n9-seed7", "x-bon-d0-n9-seed7"),
    ({}, "-", "stdin-tiny-tpo-d2-n5-seed7", "stdin-tpo-d2-n5-seed7"),
    ({}, "hf:org/set:train", "org-set-train-tiny-tpo-d2-n5-seed7", "org-set-train-tpo-d2-n5-seed7"),
    (
        {"policy": ["hf:org/Model-1.5"], "reward": "tiny"},
        "x.csv",
        "x-Model-1.5-tiny-tpo-d2-n5-seed7",
        "x-Model-1.5-tpo-d2-n5-seed7",
    ),
    (
        {"policy": ["http://h:1/v1"], "reward": "python:scores:length"},
        "x.csv",
        "x-h-1-python-scores-length-tpo-d2-n5-seed7",
        "x-h-1-tpo-d2-n5-seed7",
    ),
    (
        {"policy": ["http://h/v1"], "model": "o/M", "reward": "hf:org/RM"},
        "x.csv",
        "x-M-hf-org-RM-tpo-d2-n5-seed7",
        "x-M-tpo-d2-n5-seed7",
    ),
]


@pytest.mark.parametrize(("flags", "data", "name", "earlier"), NAMED)
def test_a_run_is_named_after_its_options(flags: dict[str, Any], data: str, name: str, earlier: str) -> None:
    settings = load_settings(flags, {})
    method = make_method(settings)
    assert run_name(settings, method, data, reward=reward_identity(settings)) == name
    assert run_name(settings, method, data) == earlier
    own = run_name(settings, method, data, policy="module.function@1a2b", reward="tiny")
    assert "-module.function-1a2b-tiny-" in own


def test_several_files_are_named_after_the_first() -> None:
    settings = load_settings({}, {})
    name = run_name(settings, make_method(settings), ("a/x.jsonl", "b.csv", "hf:c"))
    assert name == "x-and-2-more-tpo-d2-n5-seed7"
    assert run_name(settings, make_method(settings), ("a/x.jsonl",)) == "x-tpo-d2-n5-seed7"


def test_a_long_reward_keeps_its_end_and_a_digest() -> None:
    one, other = (f"hf:/mnt/{disk}/checkpoints/rewards/skywork/epoch-3/FsfairX" for disk in ("a", "b"))
    assert "FsfairX" in identity_part(one)
    assert len(identity_part(one)) <= LONGEST
    assert identity_part(one) != identity_part(other)


def test_an_ensemble_is_told_from_its_members_and_from_another_combination() -> None:
    mean, worst = ({"names": ["hf:a/A", "hf:b/B"], "combine": combine} for combine in ("mean", "min"))
    parts = {identity_part(mean), identity_part(worst), identity_part("hf:a/A-hf-b-B")}
    assert len(parts) == 3
    assert all(part.startswith("hf-a-A-hf-b-B") for part in parts)


def test_a_server_that_moves_keeps_its_directory() -> None:
    names = [
        identity_part(reward_identity(load_settings({"reward": f"vllm:http://{host}#org/RM"}, {})))
        for host in ("a:1", "b:2")
    ]
    assert names == ["vllm-org-RM", "vllm-org-RM"]
