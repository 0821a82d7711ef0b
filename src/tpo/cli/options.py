"""The options that commands share, in the groups in which ``--help`` shows them.

None is "not given": what then holds is found in the environment, in a file, or among the defaults of
``tpo.config``. This module imports nothing heavy, so that ``--help`` is quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MODELS = "Models"
METHOD = "Method"
SAMPLING = "Sampling"
RUNNING = "Running"

DEBUG = "tpo.debug"
"""Where a context remembers that tracebacks are wanted."""


def _remember(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[DEBUG] = wanted
    return wanted


Policy = Annotated[
    list[str] | None,
    typer.Option(
        help="The model that answers: tiny, hf:ID-OR-PATH (in this process), or the base URL of an"
        " OpenAI-compatible server, such as http://localhost:8000/v1.",
        show_default="tiny",
        rich_help_panel=MODELS,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="The model's name at the server.", show_default="the server's only one", rich_help_panel=MODELS
    ),
]
Reward = Annotated[
    str | None,
    typer.Option(
        help="What scores the answers: tiny, hf:ID-OR-PATH (a one-label sequence classifier), or"
        " python:MODULE:FUNCTION.",
        show_default="tiny, for the tiny policy",
        rich_help_panel=MODELS,
    ),
]
PolicyExtra = Annotated[
    str | None,
    typer.Option(
        metavar="JSON",
        help="Fields added to each request to the server, such as '{\"top_k\": 20}'.",
        rich_help_panel=MODELS,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        help="Of models in this process: float32, bfloat16 or float16.",
        show_default="bfloat16 on CUDA, float32 on a CPU",
        rich_help_panel=MODELS,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Of models in this process: cpu, cuda, cuda:1, mps.",
        show_default="the best at hand",
        rich_help_panel=MODELS,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="tpo; revision (never shows the rejected answer); bon (best of N, no iterations); paper,"
        " paper-revision, paper-bon (the same in the paper's layout of separate calls).",
        show_default="tpo",
        rich_help_panel=METHOD,
    ),
]
SampleSize = Annotated[
    int | None,
    typer.Option("--sample-size", "-n", help="Answers a step (N).", show_default="5", rich_help_panel=METHOD),
]
MaxIterations = Annotated[
    int | None,
    typer.Option(
        "--max-iterations",
        "-d",
        help="Iterations after the first samples (D).",
        show_default="2",
        rich_help_panel=METHOD,
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A folder of texts of your own, in place of the method's.",
        rich_help_panel=METHOD,
    ),
]
Temperature = Annotated[
    float | None, typer.Option(help="0 is greedy.", show_default="0.7", rich_help_panel=SAMPLING)
]
TopP = Annotated[
    float | None, typer.Option(help="Nucleus sampling.", show_default="0.95", rich_help_panel=SAMPLING)
]
MaxTokens = Annotated[
    int | None,
    typer.Option(help="Longest reply, in tokens.", show_default="2048; tiny: 256", rich_help_panel=SAMPLING),
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="The same seed gives the same calls, resumed or not.",
        show_default="7",
        rich_help_panel=SAMPLING,
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(help="Queries and calls in flight.", show_default="64", rich_help_panel=RUNNING),
]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        envvar="TPO_CONFIG",
        show_envvar=False,
        help="Options from a file: flags first, then TPO_… variables, then the file.",
        rich_help_panel=RUNNING,
    ),
]
Quiet = Annotated[
    bool | None,
    typer.Option("--quiet", "-q", help="Nothing but the result.", rich_help_panel=RUNNING),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        envvar="TPO_DEBUG",
        show_envvar=False,
        callback=_remember,
        help="Errors with their traceback.",
        rich_help_panel=RUNNING,
    ),
]
