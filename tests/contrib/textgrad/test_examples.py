"""The two examples, run as they stand; and the shipped pair behind both."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tpo.contrib.textgrad import PolicyEngine, import_textgrad
from tpo.policies.scripted import ScriptedPolicy
from tpo.types import Sampling

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_methods_example_ends_with_the_better_note(capsys: pytest.CaptureFixture[str]) -> None:
    example("textgrad_method").main([])
    shown = capsys.readouterr().out
    assert "step 2: chosen 'Dear Mia, thank you for the blue scarf. It kept me warm" in shown
    assert shown.endswith("best: Dear Mia, thank you for the blue scarf. It kept me warm.\n")


def test_the_engines_example_makes_its_calls_once_and_then_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example("textgrad_engine")
    first, second = ScriptedPolicy(module.reply), ScriptedPolicy(module.reply)
    notes = [module.improve(policy, "m", tmp_path, "Thanks!") for policy in (first, second)]
    assert notes == ["Thank you, Mia, for the blue scarf. It is lovely."] * 2
    assert [call.sampling.n for call in first.calls] == [2, 2, 2]
    assert second.calls == []
    module.main([], tmp_path / "other")
    assert capsys.readouterr().out == notes[0] + "\n"


def test_the_shipped_policy_answers_textgrads_calls() -> None:
    from tpo.config import load_policy

    tg: Any = import_textgrad()
    policy = load_policy("tiny")
    with PolicyEngine(policy, name="tiny", sampling=Sampling(max_tokens=24)) as engine:
        note = tg.Variable("Thanks for the scarf.", role_description="thank-you note")
        loss = tg.TextLoss("What is good about this note, and what is not?", engine=engine)(note)
        loss.backward(engine)
    assert loss.value
    (feedback,) = note.gradients
    assert isinstance(feedback.value, str)


def test_the_shipped_pair_runs_the_method_to_an_end() -> None:
    from tpo import Optimizer, build_method, load_policy, load_reward

    recipe = build_method("textgrad", sample_size=2, max_iterations=1, max_tokens=24)
    trajectory = Optimizer(load_policy("tiny"), load_reward("tiny"), recipe).run("Write a note to Mia.")
    assert trajectory.status == "finished"
    assert len(trajectory.initial) == 2
    (step,) = trajectory.steps
    assert len(step.candidates) + len(step.unreadable) == 2
