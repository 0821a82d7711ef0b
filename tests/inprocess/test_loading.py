"""Loading: the right device and type, or one sentence; a folder is never looked up on the network."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.custom_code import save_own_policy
from tests.models import make_tokenizer, save_policy, save_reward
from tpo.errors import ConfigError, MissingExtra, PolicyRefused, RewardRefused
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


@pytest.mark.parametrize("path", ["model-Q4_K_M.gguf", "."])
def test_a_gguf_file_or_folder_is_named_as_such_with_the_two_ways_out(tmp_path: Path, path: str) -> None:
    (tmp_path / "model-Q4_K_M.gguf").write_bytes(b"GGUF")
    words = r"is a GGUF file.*llama-server -m .*/model-Q4_K_M\.gguf.*original model in Hugging Face format"
    with pytest.raises(PolicyRefused, match=words) as refusal:
        load_checkpoint(tmp_path / path, "causal", PolicyRefused)
    assert "\n" not in str(refusal.value)


def test_a_model_that_lies_beside_its_gguf_file_is_loaded(tmp_path: Path) -> None:
    (save_policy(tmp_path) / "model.gguf").write_bytes(b"GGUF")
    assert load_checkpoint(tmp_path, "causal", PolicyRefused, device="cpu").context == 256


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(tmp_path: Path) -> None:
    folder = save_policy(tmp_path, vocab_size=300)
    with pytest.raises(PolicyRefused, match="vocabulary has 300 tokens, and its tokenizer gives ids up to 3"):
        load_checkpoint(folder, "causal", PolicyRefused, device="cpu")


def test_special_tokens_beyond_the_vocabulary_do_no_harm(tmp_path: Path) -> None:
    """Gemma 3's text models have one, for pictures."""
    tokenizer = make_tokenizer()
    size = len(tokenizer)
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<|picture|>"]}, replace_extra_special_tokens=False
    )
    folder = save_policy(tmp_path, tokenizer=tokenizer, vocab_size=size)
    assert load_checkpoint(folder, "causal", PolicyRefused, device="cpu").model is not None


def adapter(folder: Path, base: Path, **stated: Any) -> Path:
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": str(base)} | stated
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.skipif(find_spec("peft") is not None, reason="peft is installed")
def test_a_lora_folder_without_peft_says_what_to_install(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "lora", save_policy(tmp_path / "base"))
    with pytest.raises(MissingExtra, match=r"a LoRA adapter, needs peft: pip install 'tpo\[lora\]'"):
        load_checkpoint(folder, "causal", PolicyRefused, device="cpu")


@pytest.mark.parametrize("head", ["causal", "classifier"])
def test_a_lora_folder_is_loaded_with_peft(tmp_path: Path, head: Any) -> None:
    peft = pytest.importorskip("peft")
    save = save_policy if head == "causal" else save_reward
    auto = AutoModelForCausalLM if head == "causal" else AutoModelForSequenceClassification
    task = "CAUSAL_LM" if head == "causal" else "SEQ_CLS"
    base = save(tmp_path / "base", **({} if head == "causal" else {"num_labels": 1}))
    torch.manual_seed(3)
    options = {"target_modules": ["q_proj"], "task_type": task, "init_lora_weights": False}
    tuned = peft.get_peft_model(auto.from_pretrained(base), peft.LoraConfig(**options))
    tuned.save_pretrained(tmp_path / "lora")
    loaded = load_checkpoint(tmp_path / "lora", head, RewardRefused, device="cpu")
    ids = torch.tensor([[10, 11, 12]])
    with torch.inference_mode():
        expected = tuned.eval()(input_ids=ids).logits
        assert torch.allclose(loaded.model(input_ids=ids).logits, expected, atol=1e-4)
        assert not torch.allclose(auto.from_pretrained(base)(input_ids=ids).logits, expected, atol=1e-2)
