"""A whole run as its user sees it, with scripted models in place of loaded ones."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from tpo.cli.common import INTERRUPTED
from tpo.cli.run_summary import TINY_NOTE
from tpo.cli.session import Session
from tpo.config import load_settings
from tpo.errors import PolicyError, StoreMismatch
from tpo.events import CallRetried
from tpo.policies.scripted import PolicyCall, ScriptedPolicy, improved
from tpo.rewards.base import Reward
from tpo.rewards.calibration import Scale
from tpo.rewards.ensemble import Ensemble
from tpo.rewards.scripted import ScriptedReward
from tpo.runs import Summary
from tpo.runs.models import Models, Relay
from tpo.types import Scope

HOSTILE = "[red]Dear[/red] Leo\x1b[2J"


class Terminal:
    """A run over *prompts* in *folder*, again and again; *said* and *shown* are those of the last time."""

    def __init__(self, folder: Path, prompts: Sequence[str] = ("one", "two", "three"), **flags: Any) -> None:
        self.data = folder / "prompts.jsonl"
        self.data.write_text("".join(json.dumps({"prompt": p}) + "\n" for p in prompts))
        self.flags = {"out": folder / "out", "sample_size": 2, "max_iterations": 1} | flags
        self.loaded = 0

    def run(
        self,
        policy: ScriptedPolicy | None = None,
        *,
        reward_model: Reward | None = None,
        fresh: bool = False,
        **flags: Any,
    ) -> Summary:
        settings = load_settings(self.flags | flags, {})
        talk, result = (Console(file=io.StringIO(), width=100, highlight=False) for _ in range(2))
        talk.quiet = settings.quiet

        def load(events: Relay) -> Models:
            self.loaded += 1
            self.heard = events
            return Models(policy or ScriptedPolicy(), reward_model or ScriptedReward(), events)

        session = Session.of(settings, str(self.data), fresh=fresh)
        plan = replace(session.plan, load=load)
        try:
            return replace(session, plan=plan, talk=talk, result=result).execute()
        finally:
            self.said, self.shown = (console.file.getvalue() for console in (talk, result))  # type: ignore[attr-defined]  # the StringIOs from above


def test_a_run_ends_with_the_table_examples_costs_and_place(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    script = ScriptedPolicy(
        {"sample": "short", "loss": "why", "gradient": "how", "update": improved("much longer")}
    )
    summary = terminal.run(script)
    assert (summary.finished, summary.failed) == (3, 0)
    assert "3 queries of" in terminal.said
    assert "tpo, D1-N2, seed 7; policy tiny, reward tiny" in terminal.said
    for words in ("0, first samples", "+5.000", "+11.000", "answers improved", "much longer", "12 requests"):
        assert words in terminal.shown
    assert TINY_NOTE[:40] in terminal.shown
    assert terminal.shown.rstrip().endswith(f"3 queries finished: {tmp_path / 'out'}")


def test_rules_and_the_selection_are_told(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, target_reward=0.0, select="consensus")
    terminal.run()
    assert "reward tiny; answers chosen by consensus" in terminal.said
    assert "ended early: 3 by target_reward" in terminal.shown


def test_a_model_s_text_is_shown_as_text(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, prompts=["[bold]q[/bold]\x1b[31m"])
    terminal.run(
        ScriptedPolicy({"update": improved(HOSTILE * 3), "sample": "s", "loss": "l", "gradient": "g"})
    )
    assert "[red]Dear[/red] Leo\\x1b[2J" in terminal.shown
    assert "[bold]q[/bold]\\x1b[31m" in terminal.shown
    assert "\x1b" not in terminal.shown


def test_a_finished_run_is_shown_again_without_loading_models(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.run()
    first = terminal.shown
    terminal.run()
    assert terminal.loaded == 1
    assert "all queries are finished; --fresh starts again" in terminal.said
    assert "0, first samples" in terminal.shown
    assert terminal.shown.splitlines()[-1] == first.splitlines()[-1]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["ended"] is not None


def test_fresh_starts_anew(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.run()
    terminal.run(fresh=True)
    assert terminal.loaded == 2
    assert "writing to" in terminal.said


def test_a_smaller_limit_later_is_complete_only_if_those_queries_are(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    broken = ScriptedPolicy(failures={Scope("q0", 0, "sample"): PolicyError("gone")})
    terminal.run(broken)
    terminal.run(limit=2)
    assert terminal.loaded == 2
    assert "resuming" in terminal.said
    assert "1 that failed are tried again" in terminal.said


def test_failures_are_told_by_reason_and_tried_again(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    gone = PolicyError("query 'q1', sample of step 0: server [b]gone[/b]")
    summary = terminal.run(ScriptedPolicy(failures={Scope("q1", 0, "sample"): gone}))
    assert summary.failed == 1
    assert "1 failed: " in terminal.shown
    assert "server [b]gone[/b]" in terminal.shown
    assert "2 queries finished, 1 failed (the same command tries them again)" in terminal.shown
    assert terminal.run().failed == 0
    assert "resuming" in terminal.said
    assert "2 of 3 queries finished, 1 that failed are tried again" in terminal.said


def test_the_largest_gains_of_a_resumed_run_cover_all_invocations(tmp_path: Path) -> None:
    texts = {"q0": "by far the longest update of all", "q1": "longer"}
    terminal = Terminal(tmp_path, prompts=["one", "two"])

    def say(call: PolicyCall, _: int) -> str:
        return improved(texts[call.scope.query]) if call.scope.phase == "update" else "short"

    def policy(**more: Any) -> ScriptedPolicy:
        return ScriptedPolicy(say, **more)

    terminal.run(policy(failures={Scope("q1", 0, "sample"): PolicyError("gone")}))
    terminal.run(policy())
    assert terminal.shown.index(texts["q0"]) < terminal.shown.index(texts["q1"])


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    async def interrupt(call: PolicyCall, index: int) -> None:
        if call.scope == Scope("q2", 1, "loss"):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    terminal = Terminal(tmp_path, concurrency=1)
    with pytest.raises(typer.Exit) as ended:
        terminal.run(ScriptedPolicy(before=interrupt))
    assert ended.value.exit_code == INTERRUPTED
    assert f"interrupted; the same command resumes {tmp_path / 'out'}" in terminal.said
    assert terminal.run().finished == 3
    assert "2 of 3 queries finished, 4 calls in the journal" in terminal.said


def test_calls_that_were_tried_again_are_counted_and_kept(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)

    async def fail_once(call: PolicyCall, index: int) -> None:
        if call.scope.phase == "loss":
            terminal.heard(CallRetried(call.scope, "busy", 0.5))
            terminal.heard(CallRetried(replace(call.scope, phase="reward", index=0), "busy", 0.5))

    summary = terminal.run(ScriptedPolicy(before=fail_once))
    assert summary.retries == {"loss": 3, "reward": 3}
    assert "6 retries, 3 of them for scores" in terminal.shown
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["totals"]["retries"] == record["invocations"][0]["retries"] == {"loss": 3, "reward": 3}
    terminal.run()
    assert "6 retries" in terminal.shown


PAIR = ("python:tests.cli.values:length_of", "python:statistics:mean")


def ensemble(*scales: Scale) -> Ensemble:
    """Two rewards whose scales, where none are given, come out as 12.5 and 25 times their unit."""
    members = dict(zip(PAIR, (ScriptedReward(len), ScriptedReward(lambda text: 2 * len(text))), strict=True))
    return Ensemble(members, scales=dict(zip(PAIR, scales, strict=True)) if scales else None)


def test_a_resumed_ensemble_scores_on_the_scales_that_it_began_with(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, reward=list(PAIR))
    broken = ScriptedPolicy(failures={Scope("q1", 0, "sample"): PolicyError("gone")})
    first = ensemble(Scale(1.0, 2.0), Scale(3.0, 4.0))
    terminal.run(broken, reward_model=first)
    kept = json.loads((tmp_path / "out" / "run.json").read_text())["fingerprint"]
    assert kept[f"scale of {PAIR[0]}"] == {"mean": 1.0, "std": 2.0}
    later = ensemble()
    terminal.run(reward_model=later)
    assert asyncio.run(later.scales()) == asyncio.run(first.scales())


def test_other_scales_are_refused_in_the_same_directory(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, reward=list(PAIR))
    broken = ScriptedPolicy(failures={Scope("q1", 0, "sample"): PolicyError("gone")})
    terminal.run(broken, reward_model=ensemble(Scale(1.0, 2.0), Scale(3.0, 4.0)))
    with pytest.raises(StoreMismatch, match=rf'scale of {PAIR[1]}: {{"mean": 3.0, "std": 4.0}} there, '):
        terminal.run(reward_model=ensemble(Scale(1.0, 2.0), Scale(3.0, 5.0)))


def test_other_weights_under_the_same_name_are_refused(tmp_path: Path) -> None:
    weights = tmp_path / "model" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"one")
    terminal = Terminal(tmp_path, reward=[f"hf:{weights.parent}"])
    terminal.run()
    weights.write_bytes(b"two")
    with pytest.raises(
        StoreMismatch, match=f"weights of reward hf:{weights.parent}: has changed since the run began"
    ):
        terminal.run()
    assert terminal.loaded == 1


def test_a_run_that_could_not_measure_its_models_is_resumed(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.run(ScriptedPolicy(failures={Scope("q1", 0, "sample"): PolicyError("gone")}))
    file = tmp_path / "out" / "run.json"
    record = json.loads(file.read_text())
    measured = {key for key in record["fingerprint"] if key.startswith("weights of")}
    assert measured == {"weights of policy tiny", "weights of reward tiny"}
    record["fingerprint"] = {k: v for k, v in record["fingerprint"].items() if k not in measured}
    del record["checksum"]
    file.write_text(json.dumps(record))
    assert terminal.run().finished == 3
    assert measured < json.loads(file.read_text())["fingerprint"].keys()


def test_quiet_says_the_last_line_and_nothing_else(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, quiet=True)
    terminal.run()
    assert terminal.said == ""
    assert terminal.shown == f"3 queries finished: {tmp_path / 'out'}\n"


def test_another_configuration_is_refused_in_the_same_directory(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.run()
    with pytest.raises(StoreMismatch, match="seed"):
        terminal.run(seed=8)
    assert terminal.run(concurrency=1).finished == 3


@pytest.mark.parametrize("quiet", [True, False])
def test_a_method_without_effect_says_so_early_and_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    terminal = Terminal(tmp_path, [f"prompt {i}" for i in range(12)], quiet=quiet, concurrency=1)
    terminal.run(ScriptedPolicy({"sample": ["a", "bb"], "loss": "l", "gradient": "g", "update": "no tags"}))
    said = capsys.readouterr().err
    early, end = (line for line in said.splitlines() if "no update could be read" in line)
    assert early.startswith("warning: so far: no update could be read in 10 of 10 queries (0 of 20 updates")
    assert end.startswith("warning: no update could be read in 12 of 12 queries (0 of 24 updates")
    assert "this equals best-of-2 at" in end


def test_a_method_with_effect_says_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(tmp_path, [f"prompt {i}" for i in range(12)])
    terminal.run(ScriptedPolicy({"sample": "a", "loss": "l", "gradient": "g", "update": improved("better")}))
    assert "warning" not in capsys.readouterr().err
