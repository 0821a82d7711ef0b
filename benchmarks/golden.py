"""Golden runs: every request and reply of each method, compared with a recording.

    python -m benchmarks.golden record benchmarks/results/golden.json.gz
    python -m benchmarks.golden check benchmarks/results/golden.json.gz

The embedded pair answers 20 of the shipped queries with each method at D2-N3. For every policy call the
recording holds its place, its sampling values and seed, and hashes of its messages and texts; for every
reward call a hash of what was scored, and the reward. A change that must not alter what methods send and
receive is checked against it; one that must is recorded again, in a commit of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import math
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tpo
from tpo.data import load_queries
from tpo.tiny import examples_path

METHODS = (
    "tpo",
    "paper",
    "revision",
    "fused",
    "bon",
    "paper-revision",
    "paper-bon",
    "textgrad",
    "textgrad-revision",
)
QUERIES = 20
SHAPE = {"max_iterations": 2, "sample_size": 3, "max_tokens": 224}
SEED = 7
TOLERANCE = 1.5e-4
"""Of a reward: float32 sums differ between machines, and rewards are rounded to 1e-4."""
PREFIX = 48
"""Characters of a text that are kept for diagnosis, beside its hash."""
SHOWN = 20

Log = dict[str, Any]


class RecordingPolicy:
    """Pass calls to *policy* and record each request with its texts."""

    def __init__(self, policy: tpo.Policy, log: Log) -> None:
        self._policy = policy
        self._log = log

    async def sample(
        self, messages: tpo.Messages, sampling: tpo.Sampling, scope: tpo.Scope
    ) -> AsyncIterator[tpo.Completion]:
        """Yield what the policy yields."""
        values = {name: value for name, value in asdict(sampling).items() if name != "alternatives"}
        texts: dict[str, list[str]] = {}
        self._log[place(scope)] = {"messages": digest(messages), "sampling": values, "texts": texts}
        async for completion in self._policy.sample(messages, sampling, scope):
            text = completion.text
            texts[str(completion.index)] = [digest(text), completion.finish_reason, text[:PREFIX]]
            yield completion


class RecordingReward:
    """Pass calls to *reward* and record each response with its score."""

    def __init__(self, reward: tpo.Reward, log: Log) -> None:
        self._reward = reward
        self._log = log

    async def score(self, messages: tpo.Messages, response: str, scope: tpo.Scope) -> tpo.Score:
        """Return the reward's score."""
        score = await self._reward.score(messages, response, scope)
        self._log[f"{place(scope)} {scope.index}"] = {
            "messages": digest(messages),
            "response": digest(response),
            "reward": score.value,
        }
        return score


def place(scope: tpo.Scope) -> str:
    """Step and phase of a call; branch and ordinal where they are not the first ones."""
    later = [getattr(scope, name, 0) for name in ("branch", "ordinal")]
    return f"{scope.step} {scope.phase}" + ("" if not any(later) else f" {later[0]}.{later[1]}")


def digest(value: object) -> str:
    """A short hash of *value* as JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


async def run_one(method: str, query: tpo.Query, policy: tpo.Policy, reward: tpo.Reward) -> tpo.Trajectory:
    """Optimize *query* with *method*."""
    return await tpo.Optimizer(policy, reward, tpo.build_method(method, None, **SHAPE), seed=SEED).optimize(
        query
    )


async def record(methods: Iterable[str], count: int) -> dict[str, Any]:
    """Return the runs of the first *count* queries, by method and query."""
    policy, reward = tpo.load_policy("tiny"), tpo.load_reward("tiny")
    queries = list(load_queries(str(examples_path()), limit=count))

    async def one(method: str, query: tpo.Query) -> Log:
        log: Log = {"policy": {}, "reward": {}}
        wrapped = RecordingPolicy(policy, log["policy"]), RecordingReward(reward, log["reward"])
        trajectory = await run_one(method, query, *wrapped)
        best = trajectory.best
        return log | {
            "stop_reason": trajectory.stop_reason,
            "pool": [candidate.id for candidate in trajectory.pool],
            "best": None if best is None else best.id,
        }

    return {
        method: dict(
            zip(
                (query.id for query in queries),
                await asyncio.gather(*(one(method, query) for query in queries)),
                strict=True,
            )
        )
        for method in methods
    }


def differences(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """Yield each place at which *found* is not as *expected*; numbers may differ by the tolerance."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() | found.keys():
            name = f"{where} / {key}" if where else str(key)
            if key not in found or key not in expected:
                yield f"{name}: {'missing' if key in expected else 'not in the recording'}"
            else:
                yield from differences(expected[key], found[key], name)
    elif isinstance(expected, float) and isinstance(found, float):
        if not math.isclose(expected, found, rel_tol=0, abs_tol=TOLERANCE):
            yield f"{where}: {found} instead of {expected}"
    elif expected != found:
        yield f"{where}: {found!r} instead of {expected!r}"


def write(path: Path, methods: Iterable[str], count: int) -> int:
    """Record the runs in *path*; runs of other methods that it holds stay."""
    runs = json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}
    for method in methods:  # each is written when it ends: --methods names those that an interruption left
        runs |= asyncio.run(record([method], count))
        text = json.dumps(runs, sort_keys=True, separators=(",", ":"))
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        sys.stdout.write(f"{method}: {path} has {path.stat().st_size:,} bytes\n")
        sys.stdout.flush()
    return 0


def check(path: Path, methods: Iterable[str], count: int) -> int:
    """Compare the runs with the recording in *path*; return 1 where they differ."""
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    expected = {method: dict(sorted(recorded[method].items())[:count]) for method in methods}
    found = json.loads(json.dumps(asyncio.run(record(methods, count))))
    lines = sorted(differences(expected, found))
    calls = sum(len(run["policy"]) for runs in expected.values() for run in runs.values())
    sys.stdout.write("".join(f"{line}\n" for line in lines[:SHOWN]))
    sys.stdout.write(f"{len(lines):,} differences; {calls:,} policy calls compared\n")
    return 1 if lines else 0


def main() -> int:
    """Record or check."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["record", "check"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--queries", type=int, default=QUERIES)
    arguments = parser.parse_args()
    command = write if arguments.command == "record" else check
    return command(arguments.file, arguments.methods.split(","), arguments.queries)


if __name__ == "__main__":
    sys.exit(main())
