"""One query, shown live: everything that happens is seen, and nothing in it steers the terminal."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console

from tpo.cli.live_query import Conversation
from tpo.events import CallRetried
from tpo.methods.catalog import build_method
from tpo.methods.optimize import Optimizer
from tpo.policies.scripted import Script, ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Scope

SCRIPT: Script = {
    "sample": ["good", "bad\x1b[2J"],
    "loss": "the [red]loss[/red]",
    "gradient": "the \x1b[1mgradient",
    "update": [improved("good and better"), "no tags"],
}


def shown(script: Script, width: int = 80, max_iterations: int = 1) -> tuple[str, list[str]]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    waited: list[str] = []
    recipe = build_method("tpo", sample_size=2, max_iterations=max_iterations)
    view = Conversation(console, waited.append)
    optimizer = Optimizer(ScriptedPolicy(script), ScriptedReward(), recipe, listener=view)
    asyncio.run(optimizer.optimize("q"))
    return str(console.file.getvalue()), waited  # type: ignore[attr-defined]  # the StringIO from above


def test_samples_contrast_critique_and_answer_are_shown_in_order() -> None:
    text, _ = shown(SCRIPT)
    order = [
        "First samples",
        "+4.000  good",
        "Step 1",
        "chosen",
        "rejected",
        "Step 1: loss",
        "the [red]loss[/red]",
        "Step 1: gradient",
        "the \\x1b[1mgradient",
    ]
    order += ["Step 1: update", "good and better", "Before: the best first sample", "After: 1.0"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "1.1 no readable answer in it" in text


def test_hostile_text_is_shown_as_text() -> None:
    text, _ = shown(SCRIPT)
    assert "\x1b" not in text
    assert "the [red]loss[/red]" in text
    assert "the \\x1b[1mgradient" in text


def test_what_is_waited_for_is_told() -> None:
    _, waited = shown(SCRIPT)
    assert waited == [
        "waiting for sample of step 0",
        "waiting for loss of step 1",
        "waiting for gradient of step 1",
        "waiting for update of step 1",
    ]


def test_best_of_n_shows_the_answer_without_a_before() -> None:
    text, _ = shown(SCRIPT, max_iterations=0)
    assert "The answer: 0.1" in text
    assert "Before" not in text


def test_rows_fit_the_terminal() -> None:
    text, _ = shown({**SCRIPT, "sample": "long " * 100}, width=60)
    assert max(len(line) for line in text.splitlines()) <= 60


def test_a_retry_is_told() -> None:
    console = Console(file=io.StringIO(), width=80)
    Conversation(console)(CallRetried(Scope("q", 0, "sample"), "server\x1b busy", 2.0))
    assert "again in 2.0 s: server\\x1b busy" in console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO
