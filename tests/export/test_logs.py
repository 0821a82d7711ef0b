"""Logs: the calls of each iteration."""

import json
from pathlib import Path

from tests.export.trajectories import failed, finished
from tpo.export import Exported, export_logs


def call(phase: str, output: str, *messages: dict[str, str]) -> dict[str, object]:
    place = {"phase": phase, "branch": 0, "ordinal": 0, "role": "writer"}
    return place | {"input": list(messages), "output": [output]}


def test_each_iteration_holds_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    assert export_logs([finished(), failed()], path) == Exported(2)
    assert json.loads(path.read_text()) == [
        {
            "id": "q0",
            "query": "Why?",
            "method": "paper",
            "status": "finished",
            "error": None,
            "iterations": [
                {
                    "iteration": 1,
                    "chosen": "0.0",
                    "rejected": "0.1",
                    "calls": [
                        call(
                            "loss",
                            "the first has a reason",
                            {"role": "system", "content": "compare"},
                            {"role": "user", "content": "both"},
                        ),
                        call("gradient", "say more", {"role": "user", "content": "how?"}),
                        call("update", "oops", {"role": "user", "content": "rewrite"}),
                    ],
                    "candidates": ["1.0", "1.2"],
                }
            ],
        },
        {
            "id": "q1",
            "query": "What?",
            "method": "paper",
            "status": "failed",
            "error": "the server is gone",
            "iterations": [],
        },
    ]
