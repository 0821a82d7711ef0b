"""Loading: the right device and type, or one sentence; a folder is never looked up on the network."""

from pathlib import Path

import pytest
import torch

from tests.custom_code import save_own_policy
from tests.models import make_tokenizer, save_policy, save_reward
from tpo.errors import ConfigError, PolicyRefused, RewardRefused
from tpo.inprocess.loading import load_checkpoint


def test_a_cpu_model_is_in_float32_and_says_its_context(tmp_path: Path) -> None:
    loaded = load_checkpoint(save_policy(tmp_path), "causal", PolicyRefused, device="cpu")
    assert (loaded.dtype, loaded.device.type, loaded.context) == (torch.float32, "cpu", 256)
    assert not loaded.model.training


@pytest.mark.parametrize("path", ["/no/such/folder", "./nothing", "a/b/c", "C:\\models\\x", ""])
def test_what_is_neither_a_folder_nor_an_id_is_refused_without_asking_the_network(path: str) -> None:
    with pytest.raises(PolicyRefused, match="no such folder, and not an id") as refusal:
        load_checkpoint(path, "causal", PolicyRefused)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("option", [{"device": "quantum"}, {"dtype": "float31"}, {"dtype": "int8"}])
def test_a_device_or_type_that_is_not_there_is_named(tmp_path: Path, option: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(option))} {next(iter(option.values()))}: not"):
        load_checkpoint(tmp_path, "causal", PolicyRefused, **option)  # type: ignore[arg-type] # one of each


def test_an_empty_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match="cannot be loaded") as refusal:
        load_checkpoint(tmp_path, "classifier", RewardRefused)
    assert "\n" not in str(refusal.value)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    save_policy(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(PolicyRefused, match="cannot be loaded"):
        load_checkpoint(tmp_path, "causal", PolicyRefused)


def test_a_language_model_is_no_reward_model(tmp_path: Path) -> None:
    with pytest.raises(RewardRefused, match=r"not a trained reward model .* score\.weight"):
        load_checkpoint(save_policy(tmp_path), "classifier", RewardRefused)


def test_a_reward_model_is_no_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match=r"not a trained causal language model.*lm_head"):
        load_checkpoint(save_reward(tmp_path, tokenizer=make_tokenizer()), "causal", PolicyRefused)


def test_a_model_with_code_of_its_own_is_refused_without_trust_though_a_kindred_class_would_load_it(
    tmp_path: Path,
) -> None:
    save_own_policy(tmp_path)
    with pytest.raises(PolicyRefused, match="--trust-remote-code"):
        load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu")
    trusted = load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu", trust_remote_code=True)
    assert type(trusted.model).__name__ == "CuriousForCausalLM"
    assert trusted.own_code


def test_a_model_of_a_class_that_transformers_has_needs_no_trust(tmp_path: Path) -> None:
    save_own_policy(tmp_path)
    text = (tmp_path / "config.json").read_text("utf-8")
    (tmp_path / "config.json").write_text(text.replace("CuriousForCausalLM", "LlamaForCausalLM"), "utf-8")
    loaded = load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu")
    assert not loaded.own_code
