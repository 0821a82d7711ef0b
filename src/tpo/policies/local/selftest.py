"""Self-test at load: whether the fast engine gives the logits that the model gives each text alone.

The engine itself decodes a few rows: greedy and sampled, alone and in batches, side by side, joined, with a
kept prefix. Every logit that it drew from is compared with one plain pass of the model over the row's whole
text. A model that reads what follows a token, that counts positions itself, or that takes no mask of the
engine's form fails, and is decoded by ``generate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tpo.policies.local.batch import Batch
from tpo.policies.local.cache import is_cacheable
from tpo.policies.local.draw import PLAIN
from tpo.policies.local.engine import Engine
from tpo.policies.local.passes import PARTED, read_alone, read_whole
from tpo.policies.local.plain import PlainEngine
from tpo.policies.local.row import Finished, Row, draw_rows
from tpo.types import Sampling

Tokens = tuple[int, ...]

TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3}
"""Largest root mean square difference of logits, in their standard deviations."""
HALF_TOLERANCE = 0.1
"""The same for half precision, whose rounding depends on the batch."""
DIFFERENT = 0.5
"""A difference from which on two passes read different things."""
TOKENS = 3
"""Tokens that each row of the test draws."""
ADDED = 2 * TOKENS + 2
"""Tokens by which the longest row of the test exceeds its text: one goes on from another that has ended."""
TRIALS = 16
"""Draws from each of the logits, to see how many are doubtful."""
MOST_DOUBT = 0.05
"""The share of doubtful draws above which an arbiter costs more than it settles: each reads a whole text."""


@dataclass(frozen=True, slots=True)
class FastOptions:
    """Decision how the engine runs a model; *arbiter* is None where none works or pays."""

    side_by_side: bool
    together: bool
    arbiter: Any = None


class _Recorded(Engine):
    """An engine that keeps the logits behind every draw, and puts even short rows side by side."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.drawn: list[tuple[Row, int, Tensor]] = []
        self._length = 1.0

    def _guarded(self, rows: list[Row], work: Callable[[], None]) -> None:
        del rows  # a batch that fails ends the test, though its rows might succeed alone
        work()

    def _draw(self, batches: list[Batch]) -> list[Tensor]:
        for batch in batches:
            for row, logits in zip(batch.live, batch.live_logits(), strict=True):
                self.drawn.append((row, row.length, logits))
        return super()._draw(batches)


@torch.inference_mode()
def fast_options(
    model: Any,
    texts: Sequence[Tokens],
    *,
    limit: int | None,
    together: bool,
    arbiters: Sequence[Any],
    noise: float,
) -> FastOptions | None:
    """Return how the engine may decode *model*, whose attention is then set to match; None if in no way.

    *texts*: a short prompt to try, and a longer one. *limit*: see :class:`Engine`. *together*: all batches
    may share a pass. *arbiters*: callables that make one, tried in order.
    """
    room = (limit or 1 << 30) - ADDED
    if room < 2 or not is_cacheable(model.config):
        return None
    texts = [text[:room] for text in texts]
    may_part = together and getattr(model.config, "_attn_implementation", None) in ("sdpa", PARTED)
    for side_by_side, parted in ((True, may_part), (True, False), (False, False)):
        if parted and not part_attention(model):
            continue
        drawn = _agreeing(model, texts, side_by_side, parted)
        if drawn is not None:
            arbiter = _working_arbiter(arbiters, model, drawn, noise)
            return FastOptions(side_by_side, parted, arbiter)
        if parted:
            model.set_attn_implementation("sdpa")
    return None


def part_attention(model: Any) -> bool:
    """Let *model* read several batches in one pass, where it takes attention from transformers' registry."""
    try:
        model.set_attn_implementation(PARTED)
    except Exception:  # noqa: BLE001 - whatever a model raises, it does not take this attention
        return False
    return True


Drawn = list[tuple[Tokens, Tensor]]
"""Texts, and the logits of their next tokens."""


def _agreeing(model: Any, texts: Sequence[Tokens], side_by_side: bool, together: bool) -> Drawn | None:
    """Decode *texts*; return what was drawn from, or None if some logits are not those of the text alone."""
    try:
        engine = _decoded(model, texts, side_by_side=side_by_side, together=together)
        rows = {id(row): row for row, _, _ in engine.drawn}
        whole = {name: read_whole(model, row.text) for name, row in rows.items()}
        pairs = [(logits, whole[id(row)][length - 1]) for row, length, logits in engine.drawn]
        if not all(_is_alike(logits, alone, model.dtype) for logits, alone in pairs):
            return None
        return [(row.text[:length], logits) for row, length, logits in engine.drawn]
    except Exception:  # noqa: BLE001 - whatever a model raises, it does not read this
        return None


def _decoded(model: Any, texts: Sequence[Tokens], *, side_by_side: bool, together: bool) -> _Recorded:
    """Decode samples of a short and a long text in batches that join on the way, then one that goes on."""
    engine = _Recorded(model, frozenset(), budget=1 << 16, side_by_side=side_by_side, together=together)

    def row(text: Tokens, temperature: float) -> Row:
        return Row(0, text, temperature, 1.0, TOKENS, np.random.default_rng(len(text)), _ignore)

    short, long = texts
    alone = row(long, 0.0)
    engine.add([row(short, 0.0), row(short, 1.0), alone])
    for _ in range(3):  # two batches begin, and write a token
        engine.step()
    engine.add([row(long, 0.0), row(long, 1.0)])
    _finish(engine)
    engine.add([row((*alone.text, *short)[: len(long) + TOKENS + 1], 0.0), row(short, 1.0)])
    _finish(engine)
    return engine


def _ignore(result: Finished | Exception) -> None:
    """Stand for the caller of a row."""


def _finish(engine: Engine) -> None:
    while engine.step():
        pass


def _is_alike(found: Tensor, alone: Tensor, dtype: torch.dtype) -> bool:
    return bool(_difference(found, alone) <= TOLERANCE.get(dtype, HALF_TOLERANCE))  # NaN is not


def _difference(found: Tensor, alone: Tensor) -> Tensor:
    """The root mean square difference, in standard deviations."""
    alone = alone.to(found)
    return (found - alone).square().mean().sqrt() / alone.std()


def _working_arbiter(arbiters: Sequence[Any], model: Any, drawn: Drawn, noise: float) -> Any:
    """Return the first arbiter that reads a text as *model* does; None if none, or with too much to do."""
    if not arbiters or _doubt(drawn, noise) > MOST_DOUBT:
        return None
    text, logits = drawn[0]
    for make in arbiters:
        try:
            arbiter = make()
            if _is_alike(read_alone(arbiter, text)[0].to(logits), logits, model.dtype):
                return arbiter
        except Exception:  # noqa: BLE001, S112 - whatever a model raises, it is no arbiter
            continue
    return None


def _doubt(drawn: Drawn, noise: float) -> float:
    """Return the share of draws, with the default sampling, that *noise* could turn."""
    texts, logits = [text for text, _ in drawn], torch.stack([logits for _, logits in drawn])
    plain = Sampling()

    def doubtful(seed: int) -> float:
        generator = np.random.default_rng(seed)
        rows = [Row(0, text, plain.temperature, plain.top_p, 1, generator, _ignore) for text in texts]
        return float(draw_rows(rows, logits, PLAIN, noise).doubtful.double().mean())

    return sum(doubtful(seed) for seed in range(TRIALS)) / TRIALS


@torch.inference_mode()
def plain_failure(model: Any, text: Tokens) -> str | None:
    """Return why *model* cannot be decoded by ``generate`` at all, found on *text*; None if it can."""
    if any(_reads_ahead(model, text)):
        return "it reads what follows a token, so it is not a causal language model"
    ended: list[Finished | Exception] = []
    engine = PlainEngine(model, frozenset())
    engine.add([Row(0, text, 0.0, 1.0, TOKENS, np.random.default_rng(0), ended.append)])
    engine.step()
    return str(ended[0]) if isinstance(ended[0], Exception) else None


def _reads_ahead(model: Any, text: Tokens) -> Iterator[bool]:
    """Return whether the logits within *text* change with what follows."""
    whole = read_whole(model, text)
    for length in (len(text) // 2, len(text) - 1):
        yield bool(_difference(read_whole(model, text[:length])[-1], whole[length - 1]) > DIFFERENT)
