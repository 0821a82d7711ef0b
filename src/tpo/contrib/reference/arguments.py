"""The reference's flags, spelled as its users spell them, and what they mean here."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

METHODS = MappingProxyType({"tpo": "paper", "revision": "paper-revision", "bon": "paper-bon"})
"""Method of each mode, with the paper's layout of the calls."""

DESCRIPTION = """\
Test-Time Preference Optimization with the flags of the reference implementation. The server's key is read
from TPO_API_KEY or OPENAI_API_KEY; without either, the one in the reference's README is sent. Starting the
same command again goes on where it stopped. This package's own command can do more: tpo run --help.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The flags' values, checked."""

    data_path: str
    output_path: Path
    reward_model: str
    server_model: str
    ip: str
    port: int
    tpo_mode: str
    num_threads: int
    batch_size: int
    seed: int
    max_tokens_response: int
    max_tokens_all: int
    max_iterations: int
    temperature: float
    sample_size: int

    @property
    def base_url(self) -> str:
        """The server's, an IPv6 address in brackets."""
        host = f"[{self.ip}]" if ":" in self.ip and not self.ip.startswith("[") else self.ip
        return f"http://{host}:{self.port}/v1"

    @property
    def model(self) -> str:
        """The model's name as the server knows it: without the prefix ``server-``."""
        return self.server_model.removeprefix("server-")

    @property
    def result_name(self) -> str:
        """The result file's name without its suffix, as the reference builds it from the flags."""
        return (
            f"{_last(self.data_path)}_model_{_last('server-' + self.server_model)}_mode_{self.tpo_mode}"
            f"_rm_{_last(self.reward_model)}_max_iters{self.max_iterations}"
            f"_sample_size{self.sample_size}_seed{self.seed}"
        )


def parse(arguments: Sequence[str] | None = None) -> Arguments:
    """The values in *arguments* (the process's own: None); wrong ones end the process with a sentence."""
    return Arguments(**vars(make_parser().parse_args(arguments)))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the reference's command line."""
    parser = argparse.ArgumentParser("run.py", description=DESCRIPTION, allow_abbrev=False)
    _add_places(parser.add_argument)
    _add_method(parser.add_argument)
    return parser


def _add_places(add: Callable[..., object]) -> None:
    """Options for data, models and results."""
    add("--data_path", required=True, help="a JSON list of queries, or anything else that tpo reads")
    add("--output_path", type=Path, default=Path("results"), help="folder for the results (./results)")
    add(
        "--reward_model",
        default="sfairXC/FsfairX-LLaMA3-RM-v0.1",
        help="id or path of a one-label sequence classifier; or tiny, or python:MODULE:FUNCTION"
        " (%(default)s)",
    )
    add(
        "--server_model",
        default="meta-llama/Llama-3.1-70B-Instruct",
        help="the model's name on the server, with or without server- before it (%(default)s)",
    )
    add("--ip", type=_host, required=True, help="the server's address, such as 127.0.0.1")
    add("--port", type=_positive, default=8000, help="the server's port (%(default)s)")


def _add_method(add: Callable[..., object]) -> None:
    """Options of sampling and optimization."""
    add("--tpo_mode", choices=list(METHODS), default="tpo", help="the method (%(default)s)")
    add(
        "--num_threads",
        type=_positive,
        default=4,
        help="queries in flight at once; no threads are made for them, so 64 and more are fine (%(default)s)",
    )
    add(
        "--batch_size",
        type=_positive,
        default=3,
        help="responses of full length that the reward model reads at once; of short ones it takes more"
        " (%(default)s)",
    )
    add("--seed", type=int, default=7, help="every call's seed derives from it (%(default)s)")
    add(
        "--max_tokens_response",
        type=_positive,
        default=2048,
        help="longest response, in tokens (%(default)s)",
    )
    add(
        "--max_tokens_all",
        type=_positive,
        default=8192,
        help="prompt and reply of one call together, in tokens: bounds the critiques (%(default)s)",
    )
    add(
        "--max_iterations",
        type=_not_negative,
        default=5,
        help="D, iterations after the first samples (%(default)s)",
    )
    add(
        "--temperature",
        type=_temperature,
        default=0.7,
        help="of samples and updates; critiques keep 0.7 (%(default)s)",
    )
    add("--sample_size", type=_positive, default=5, help="N, responses of each step (%(default)s)")


def _positive(text: str) -> int:
    return _at_least(1, text)


def _not_negative(text: str) -> int:
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if value < least:
        raise argparse.ArgumentTypeError(f"{value}: must be at least {least}")
    return value


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0 up")
    return value


def _host(text: str) -> str:
    if not text or "/" in text or "@" in text:
        raise argparse.ArgumentTypeError(f"{text!r}: give the address or the name alone, such as 127.0.0.1")
    return text


def _last(name: str) -> str:
    return name.rstrip("/").split("/")[-1]
