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
DATA = "Data and results"
RUNNING = "Running"

DEBUG = "tpo.debug"
"""Where a context remembers that tracebacks are wanted."""


def _remember(ctx: typer.Context, wanted: bool) -> bool:
    ctx.meta[DEBUG] = wanted
    return wanted


def _help(text: str, default: str) -> str:
    """*text* with what holds when the option is not given; the backslash keeps the bracket out of markup."""
    return f"{text} [dim]\\[default: {default}][/dim]"


Policy = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL",
        help=_help(
            "What answers: tiny, hf:ID-OR-PATH (in this process), or the base URL of an OpenAI-compatible"
            " server, such as http://localhost:8000/v1; once for each of several servers of one model.",
            default="tiny",
        ),
        rich_help_panel=MODELS,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=_help("The model's name at the server.", default="the server's only one"),
        rich_help_panel=MODELS,
    ),
]
Reward = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL",
        help=_help(
            "What scores the answers: tiny, hf:ID-OR-PATH (a one-label sequence classifier), vllm:URL (one"
            " behind a vLLM server), judge:URL (a language model that grades; #NAME after a URL names the"
            " model), or python:MODULE:FUNCTION. Several make an ensemble.",
            default="tiny, for the tiny policy",
        ),
        rich_help_panel=MODELS,
    ),
]
Combine = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help=_help("How several rewards make one: mean, min, or lcb (mean less spread).", default="mean"),
        rich_help_panel=MODELS,
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The scales of several rewards: read if it is there, else measured and written.",
        rich_help_panel=MODELS,
    ),
]
RewardTokenizer = Annotated[
    str | None,
    typer.Option(
        metavar="ID-OR-PATH",
        help=_help("Of a vllm: reward; none sends messages.", default="what the server names"),
        rich_help_panel=MODELS,
    ),
]
Rubric = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A judge's criteria, in place of ours.", rich_help_panel=MODELS),
]
Votes = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help=_help("Of a judge whose server gives no log-probabilities.", default="5"),
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
        metavar="TYPE",
        help=_help(
            "Of models in this process: float32, bfloat16, float16.",
            default="bfloat16 on CUDA, float32 on a CPU",
        ),
        rich_help_panel=MODELS,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=_help(
            "Of models in this process: cpu, cuda, cuda:1, mps; auto for all cards, cuda:0,cuda:1 for these.",
            default="the best there is",
        ),
        rich_help_panel=MODELS,
    ),
]
TrustRemoteCode = Annotated[
    bool | None,
    typer.Option(
        "--trust-remote-code",
        help="Run Python code that comes with an hf: model, as heads of their own need it.",
        rich_help_panel=MODELS,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=_help(
            "tpo; fused (one critique call); revision (never shows the rejected answer); bon (best of N);"
            " paper, paper-revision, paper-bon (the same in the paper's layout of separate calls);"
            " MODULE:CLASS (your own).",
            default="tpo",
        ),
        rich_help_panel=METHOD,
    ),
]
SampleSize = Annotated[
    int | None,
    typer.Option(
        "--sample-size",
        "-n",
        metavar="N",
        help=_help("Answers a step.", default="5"),
        rich_help_panel=METHOD,
    ),
]
MaxIterations = Annotated[
    int | None,
    typer.Option(
        "--max-iterations",
        "-d",
        metavar="D",
        help=_help("Iterations after the first samples.", default="2"),
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
    float | None,
    typer.Option(
        metavar="T",
        help=_help("Of the softmax; 0 is greedy.", default="0.7"),
        rich_help_panel=SAMPLING,
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help=_help("Nucleus of answers; critiques keep the method's own.", default="0.95"),
        rich_help_panel=SAMPLING,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help=_help("Longest reply.", default="2048; 256 for tiny"),
        rich_help_panel=SAMPLING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="SEED",
        help=_help("The same seed makes the same calls, resumed or not.", default="7"),
        rich_help_panel=SAMPLING,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=_help("Where the data holds the prompt or the messages.", default="prompt, else messages"),
        rich_help_panel=DATA,
    ),
]
Limit = Annotated[
    int | None, typer.Option(metavar="K", help="The first K queries only.", rich_help_panel=DATA)
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help=_help("The run's directory.", default="in runs/, named after the options"),
        rich_help_panel=DATA,
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Throw away the run that is there.", rich_help_panel=DATA)
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help=_help("Queries and calls in flight; with --sequences twice those, if more.", default="64"),
        rich_help_panel=RUNNING,
    ),
]
Sequences = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Sequences that the servers run at a time: calls wait here until there is room for them.",
        rich_help_panel=RUNNING,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help=_help("A server that is silent for so long has lost the request.", default="1200"),
        rich_help_panel=RUNNING,
    ),
]
Patience = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help=_help("For how long a failing request is tried again; 0 is never.", default="300"),
        rich_help_panel=RUNNING,
    ),
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
