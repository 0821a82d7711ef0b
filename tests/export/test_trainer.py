"""That TRL's trainers take what is exported: one step of each with the embedded policy."""

import math
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.docs.pages import blocks
from tests.export.trajectories import finished
from tpo.export import Pairing, export_dpo, export_sft
from tpo.tiny import policy_path
from tpo.types import Trajectory, assistant, system, user

STEP: dict[str, Any] = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-3,
    "use_cpu": True,
    "bf16": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
}


def trajectories() -> list[Trajectory]:
    """One question, and one at the end of a conversation."""
    turns = (system("Be kind."), user("Hi"), assistant("Hello"), user("Why?"))
    return [finished(), replace(finished("q1"), query=replace(finished().query, id="q1", messages=turns))]


def rows(path: Path, cache: Path) -> Any:
    kind = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
    return load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache))


def tiny_policy() -> dict[str, Any]:
    return {
        "model": AutoModelForCausalLM.from_pretrained(policy_path(), dtype=torch.float32),
        "processing_class": AutoTokenizer.from_pretrained(policy_path()),
    }


def first_loss(trainer: Any) -> float:
    """Of the one step that *trainer* takes, which must change the weights."""
    weights = trainer.model.get_input_embeddings().weight
    before = weights.detach().clone()
    trainer.train()
    assert not torch.equal(before, weights)
    return float(next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry))


def token_loss(conversations: Any) -> float:
    """Of the tokens of *conversations* by the embedded policy, without a trainer."""
    model, tokenizer = tiny_policy().values()
    losses = []
    for row in conversations:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(ids).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
    return float(torch.cat(losses).mean())


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_dpo_takes_a_step_on_pairs(tmp_path: Path, suffix: str) -> None:
    from trl import DPOConfig, DPOTrainer

    path = tmp_path / f"pairs{suffix}"
    export_dpo(trajectories(), path, Pairing("all"))
    trainer = DPOTrainer(
        args=DPOConfig(output_dir=str(tmp_path / "out"), **STEP),
        train_dataset=rows(path, tmp_path / "cache"),
        **tiny_policy(),
    )
    # A policy that is still its own reference has no preference: the loss is -log(1/2).
    assert first_loss(trainer) == pytest.approx(math.log(2), abs=1e-4)


def test_the_example_of_the_documentation_trains(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks("python") if "DPOTrainer" in block.text]
    quick = ", ".join(f"{name}={value!r}" for name, value in STEP.items())
    example = example.replace("ORG/POLICY", str(policy_path())).replace('"trained"', f'"trained", {quick}')
    export_dpo(trajectories(), tmp_path / "pairs.parquet", Pairing("all"))
    names: dict[str, Any] = {}
    with chdir(tmp_path):
        exec(example, names)  # noqa: S102 - our own page
    assert names["trainer"].state.global_step == 1


def test_sft_takes_a_step_on_answers(tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    path = tmp_path / "answers.jsonl"
    export_sft(trajectories(), path)
    trainer = SFTTrainer(
        args=SFTConfig(output_dir=str(tmp_path / "out"), **STEP),
        train_dataset=rows(path, tmp_path / "cache"),
        **tiny_policy(),
    )
    # Every token of the two conversations is learned: the loss is the mean over all of them.
    assert first_loss(trainer) == pytest.approx(token_loss(rows(path, tmp_path / "cache")), abs=1e-3)
