"""A run in which every text tries to be more than a text."""

from __future__ import annotations

from pathlib import Path

from tests.report import runs
from tpo.policies.scripted import ScriptedPolicy, improved
from tpo.rewards.scripted import ScriptedReward
from tpo.types import Query, user

HOSTILE = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 2</script>",
    '<img src="https://example.org/x.png" onerror="window.ran = 3">',
    "<!--<script>",
    "]]></style><svg onload='window.ran = 4'>",
    "javascript:window.ran=5",
    "line\u2028separator\u2029paragraph",
    "right \u202eot tfel\u202c and \u2066isolated",
    "# heading\n**bold** [link](https://example.org) ![image](https://example.org/i.png)",
    "שלום עולם, this is mixed",
    "half a pair \ud83d and a null \x00 and an escape \x1b[31m",
    "x" * 200_000,
]


def hostile_run(folder: Path) -> Path:
    """The run in *folder*, in a directory whose name is hostile as well."""
    queries = [
        Query(f"{n} {text[:40]}", (user(text),), text, {"<b>": text}) for n, text in enumerate(HOSTILE)
    ]
    policy = ScriptedPolicy(
        {
            "sample": [text + " " for text in HOSTILE],
            "loss": lambda call, index: HOSTILE[len(call.scope.query) % len(HOSTILE)],
            "gradient": HOSTILE[1],
            "update": [improved(HOSTILE[1]), improved(HOSTILE[7]), HOSTILE[2], improved(HOSTILE[11])],
        }
    )
    shape = runs.recipe(samples=len(HOSTILE), iterations=1)
    path = folder / "<img src=x onerror=ran=6>"
    return runs.make_run(path, queries, policy, ScriptedReward(len), shape, {"note": HOSTILE[1]})
