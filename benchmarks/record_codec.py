"""Time and size of the record's codec: trajectories of a realistic size, encoded and decoded.

    python -m benchmarks.record_codec [--trajectories 2000]

One trajectory has five first samples of 2,400 characters and two steps of a loss, a gradient and five
updates (D2-N5). Compared: this package's codec (pydantic); schema 1 as it was written and parsed
(dictionaries built by hand and Python's ``json``; parsing alone, without the trajectory); msgspec over the
same dataclasses, where it is installed. CPU time of one thread, the least of five rounds; start-up in fresh
processes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any, TypeVar

from benchmarks.record import write_result

from tpo.store.jsonline import unseal_json
from tpo.store.line_types import TrajectoryLine
from tpo.store.trajectory_line import (
    decode_head,
    decode_trajectory,
    encode_trajectory,
    line_from_trajectory,
    trajectory_from_line,
)
from tpo.types import (
    Call,
    Candidate,
    Pair,
    Query,
    Reply,
    RewardUsage,
    Score,
    Served,
    Step,
    Timing,
    Trajectory,
    Usage,
    system,
    user,
)

WORDS = [
    "the",
    "of",
    "bread",
    "keep",
    "rain",
    "explain",
    "answer",
    "über",
    "🌍",
    "it's",
    '"quoted"',
    "line\nbreak",
]
SERVED = Served("http://127.0.0.1:8000/v1")
USAGE = Usage(5, 900, 0, 2500)
ROUNDS = 5

Item = TypeVar("Item")
Result = TypeVar("Result")


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=2000)
    count = parser.parse_args().trajectories
    draw = random.Random(7)  # noqa: S311 - texts, not secrets
    trajectories = [make_trajectory(draw, number) for number in range(count)]
    lines = [encode_trajectory(each) for each in trajectories]
    old = [json.dumps(schema1_record(each), ensure_ascii=False).encode() for each in trajectories]
    result: dict[str, Any] = {
        "trajectories": count,
        "bytes_per_line": {"schema 2": mean_size(lines), "schema 1": mean_size(old)},
        "milliseconds_per_trajectory": {
            "encode": milliseconds(encode_trajectory, trajectories),
            "decode": milliseconds(decode_trajectory, lines),
            "decode the head (opening a run)": milliseconds(lambda line: decode_head(line, ""), lines),
            "checksum alone": milliseconds(unseal_json, lines),
            "schema 1 encode": milliseconds(lambda each: json.dumps(schema1_record(each)), trajectories),
            "schema 1 parse": milliseconds(json.loads, old),
        },
        "start_up_milliseconds": {
            "import pydantic": start_up("import pydantic"),
            "build the codec": start_up("from tpo.store.trajectory_line import _LINE", "_LINE.adapter"),
        },
    }
    if find_spec("msgspec"):
        result["msgspec"] = with_msgspec(trajectories)
    write_result("record_codec", result, "pydantic", "msgspec")


def with_msgspec(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    """Measure msgspec over the same dataclasses, checksum included."""
    msgspec = importlib.import_module("msgspec")
    encoder, decoder = msgspec.json.Encoder(), msgspec.json.Decoder(TrajectoryLine)

    def encode(trajectory: Trajectory) -> bytes:
        body: bytes = encoder.encode(line_from_trajectory(trajectory))
        zlib.crc32(body)
        return body

    def decode(line: bytes) -> Trajectory:
        zlib.crc32(line)
        return trajectory_from_line(decoder.decode(line))

    lines = [encode(each) for each in trajectories]
    return {
        "bytes_per_line": mean_size(lines),
        "encode": milliseconds(encode, trajectories),
        "decode": milliseconds(decode, lines),
        "start_up_milliseconds": start_up("import msgspec"),
    }


def milliseconds(function: Callable[[Item], Result], items: Sequence[Item]) -> float:
    """Return CPU milliseconds of *function* for one of *items*."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for item in items:
            function(item)
        rounds.append(time.process_time() - began)
    return round(1000 * min(rounds) / len(items), 4)


def mean_size(lines: Sequence[bytes]) -> int:
    """Return the mean length of *lines* in bytes."""
    return round(statistics.mean(map(len, lines)))


def start_up(imported: str, timed: str = "") -> float:
    """Return the least CPU milliseconds of *imported*, or of *timed* after it, in fresh processes."""
    before, measured = (imported, timed) if timed else ("pass", imported)
    code = f"import time\n{before}\nt = time.process_time()\n{measured}\nprint(time.process_time() - t)"
    command = [sys.executable, "-c", code]
    found = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(ROUNDS)]  # noqa: S603 - fixed words
    return round(1000 * min(float(each.stdout) for each in found), 1)


def make_trajectory(draw: random.Random, number: int) -> Trajectory:
    """Return a trajectory of D2-N5."""
    query = Query(f"q{number}", (user(text(draw, 500)),), None, {"source": "x"})
    first = Step(0, (Call("sample", query.messages, 5, 1234567, "ab" * 16, reads=True, usage=USAGE),))
    pool = make_candidates(draw, 0)
    first = Step(0, first.calls, pool)
    steps = []
    for step in (1, 2):
        by_reward = sorted(pool, key=lambda each: each.reward)
        pair = Pair(by_reward[-1], by_reward[0])
        candidates = make_candidates(draw, step)
        steps.append(Step(step, make_calls(draw, query, pair), candidates, pair))
        pool += candidates
    return Trajectory(
        query,
        "tpo",
        first,
        tuple(steps),
        "finished",
        "max_iterations",
        None,
        dict.fromkeys(("sample", "loss", "gradient", "update"), USAGE),
        RewardUsage(15, 10_000),
        Timing(1.7e9, 1.7e9 + 100),
        selected=max(pool, key=lambda each: each.reward).id,
    )


def make_candidates(draw: random.Random, step: int) -> tuple[Candidate, ...]:
    """Return five candidates of *step*."""
    return tuple(
        Candidate(step, index, text(draw, 2400), Score(draw.gauss(0, 5), 700), served=SERVED)
        for index in range(5)
    )


def make_calls(draw: random.Random, query: Query, pair: Pair) -> tuple[Call, ...]:
    """Return loss, gradient and update on *pair*."""
    rejected = "" if pair.rejected is None else pair.rejected.text
    loss, gradient = text(draw, 1200), text(draw, 1200)
    asked = {
        "loss": query.text + pair.chosen.text + rejected,
        "gradient": query.text + pair.chosen.text + loss,
        "update": query.text + pair.chosen.text + gradient,
    }
    said = {"loss": loss, "gradient": gradient}
    return tuple(
        Call(
            phase,
            (system(text(draw, 300)), user(prompt)),
            1 if phase in said else 5,
            1234567,
            "ab" * 16,
            reads=phase not in said,
            replies=(Reply(0, said[phase], served=SERVED),) if phase in said else (),
            usage=USAGE,
        )
        for phase, prompt in asked.items()
    )


def text(draw: random.Random, length: int) -> str:
    """Return some words of *length* characters."""
    return " ".join(draw.choices(WORDS, k=length // 4))[:length]


def schema1_record(trajectory: Trajectory) -> dict[str, Any]:
    """Return what schema 1 kept of *trajectory*."""
    return {
        "schema": 1,
        "query": {
            "id": trajectory.query.id,
            "messages": list(trajectory.query.messages),
            "metadata": dict(trajectory.query.metadata),
        },
        "method": trajectory.method,
        "status": trajectory.status,
        "stop_reason": trajectory.stop_reason,
        "error": trajectory.error,
        "best": trajectory.selected,
        "candidates": [_candidate(each) for each in trajectory.pool],
        "steps": [_step(each) for each in trajectory.steps],
        "usage": {phase: asdict(used) for phase, used in trajectory.usage.items()},
        "timing": asdict(trajectory.timing),
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "step": candidate.step,
        "index": candidate.index,
        "text": candidate.text,
        "reward": candidate.reward,
        "finish_reason": candidate.finish_reason,
        "reward_tokens": 700,
        "served": {"by": SERVED.by},
    }


def _step(step: Step) -> dict[str, Any]:
    loss, gradient, update = step.calls
    critiques = {
        call.phase: {
            "messages": list(call.messages),
            "text": call.replies[0].text,
            "finish_reason": "stop",
            "served": {"by": SERVED.by},
        }
        for call in (loss, gradient)
    }
    return {
        "step": step.number,
        "chosen": step.pair and step.pair.chosen.id,
        "rejected": step.pair and step.pair.rejected and step.pair.rejected.id,
        "malformed": 0,
        "malformed_updates": [],
        **critiques,
        "update": {"messages": list(update.messages)},
    }


if __name__ == "__main__":
    main()
