"""The reference's log: four items an iteration."""

import json
from pathlib import Path

from tests.export.trajectories import failed, finished
from tpo.contrib.reference.log import write_log


def test_each_iteration_holds_the_four_items(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_log([finished(), failed()], path)
    whole, lost = json.loads(path.read_text())
    assert whole == {
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
                "loss": {
                    "input": [
                        {"role": "system", "content": "compare"},
                        {"role": "user", "content": "both"},
                    ],
                    "output": "the first has a reason",
                },
                "gradient_input": [{"role": "user", "content": "how?"}],
                "gradient_output": "say more",
                "update_input": [{"role": "user", "content": "rewrite"}],
            }
        ],
    }
    assert (lost["error"], lost["iterations"]) == ("the server is gone", [])
