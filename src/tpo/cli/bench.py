"""``tpo bench``: benchmarks listed, run and graded, and their results put in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tpo.cli import options
from tpo.config.settings import DATA, DATA_OPTIONS, METHOD, OPTIONS, SAMPLING

EXAMPLES = """\
[bold]Examples[/bold]

[dim]three methods on MATH-500, from the hub[/dim]
tpo bench run math-500 --policy http://localhost:8000/v1 --reward hf:ORG/MODEL --method tpo,revision,bon

[dim]the paper's settings, a judge, the paper's numbers for comparison[/dim]
tpo bench run xstest --paper --policy URL --reward hf:sfairXC/FsfairX-LLaMA3-RM-v0.1 \\
    --judge URL#allenai/wildguard

[dim]a file of the same schema, 50 rows in proportion to their categories, three seeds[/dim]
tpo bench run beavertails --data rows.jsonl --limit 50 --repeats 3 --policy URL --reward hf:ORG/MODEL
"""

GRADING = "Grading"
OF_A_LOOP = (METHOD, SAMPLING)
OF_A_POLICY = (
    *("policy", "model", "policy_extra", "chat_template_kwargs", "sequences", "check_reward"),
    *(f"{role}{of}" for role in ("critic", "editor") for of in ("", "_model", "_extra")),
    *(name for name in DATA_OPTIONS if name != "limit"),
)
"""Settings without meaning for a reward alone."""
SOME_FAILED = 1

app = typer.Typer(
    name="bench",
    help="Run, grade and compare methods on benchmarks.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="One of tpo bench list, or MODULE:OBJECT (your own).")
]


@app.command(name="list")
def list_benchmarks() -> None:
    """List the benchmarks with size, metric, licence and source."""
    from tpo.cli.bench_session import show_list

    show_list()


@app.command()
def ids(
    name: Name, data: Annotated[str | None, typer.Option(metavar="FILE", help="In place of the hub.")] = None
) -> None:
    """Print the ids of a benchmark's queries, one per line."""
    from tpo.cli.bench_session import show_ids

    show_ids(name, data)


@app.command(name="run", epilog=EXAMPLES, cls=options.Command)
@options.with_settings(
    without=(*(name for name in DATA_OPTIONS if name != "limit"), "sequences"),
    several=("method", "seed"),
    texts={
        "limit": "Maximum number of queries, sampled in proportion to their categories.",
        "check_reward": "Held-out reward that scores the answers, for benchmarks whose metric is a reward.",
    },
)
def run_benchmark(
    given: options.Given,
    name: Name,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Rows in the published schema (.jsonl, .json, .csv, .parquet)."
            " [dim]\\[default: from the hub][/dim]",
            rich_help_panel=DATA,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Answers of the opponent, for pairwise benchmarks.",
            rich_help_panel=DATA,
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            metavar="R",
            min=1,
            help="Number of seeds, counted up from --seed. [dim]\\[default: 1][/dim]",
            show_default=False,
            rich_help_panel=SAMPLING,
        ),
    ] = 1,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper",
            help="Use the paper's settings and show its numbers for comparison.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    paper_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Model of the paper's table to compare with. [dim]\\[default: the closest][/dim]",
            rich_help_panel=METHOD,
        ),
    ] = None,
    fresh: options.Fresh = False,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="URL#MODEL",
            help="Language model that grades, for judged benchmarks; its key is TPO_JUDGE_API_KEY.",
            rich_help_panel=GRADING,
        ),
    ] = None,
    grader_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Option of the benchmark's grader; repeatable.",
            rich_help_panel=GRADING,
        ),
    ] = None,
    no_grade: Annotated[
        bool,
        typer.Option(
            "--no-grade",
            help="Answer without grading; the same command without this flag grades later.",
            rich_help_panel=GRADING,
        ),
    ] = False,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Do not write report.html.", rich_help_panel=GRADING)
    ] = False,
) -> None:
    """Run a benchmark with one method or several, grade the answers, and show the change.

    Answers and grades are saved: the same command resumes after an interruption.
    """
    flags = {**locals(), **given.flags}
    from tpo.cli.bench_session import BenchSession

    if BenchSession.of(name, flags, given.config).execute():
        raise typer.Exit(SOME_FAILED)


REWARD_EXAMPLES = """\
[bold]Examples[/bold]

[dim]a reward model on RewardBench 2, from the hub[/dim]
tpo bench reward --reward hf:Skywork/Skywork-Reward-V2-Llama-3.1-8B

[dim]200 rows of a file of the same schema, spread over the subsets[/dim]
tpo bench reward --reward vllm:http://localhost:8001 --data rows.jsonl --limit 200
"""


@app.command(name="reward", epilog=REWARD_EXAMPLES, cls=options.Command)
@options.with_settings(
    without=(*(name for name, each in OPTIONS.items() if each.option.panel in OF_A_LOOP), *OF_A_POLICY),
    texts={"limit": "About how many rows to score, spread over the subsets."},
)
def bench_reward_model(
    given: options.Given,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Rows in the schema of RewardBench 2 (.jsonl, .json, .parquet)."
            " [dim]\\[default: from the hub][/dim]",
            rich_help_panel=DATA,
        ),
    ] = None,
) -> None:
    """Measure a reward model on RewardBench 2: how often the right one of four responses scores highest.

    Scores are kept: the same command resumes after a crash.
    """
    from tpo.cli.common import axes_of
    from tpo.cli.reward_session import bench_reward

    settings, _ = axes_of(dict(given.flags), given.config, ())
    bench_reward(settings, data)


@app.command()
def table(
    results: Annotated[
        list[Path],
        typer.Argument(
            parser=options.parse_path, metavar="DIR", help="Directories written by tpo bench run."
        ),
    ],
    form: Annotated[
        str, typer.Option("--format", metavar="md|latex", help="Format of the table.", show_default=True)
    ] = "md",
) -> None:
    """Print results of several benchmarks and models as one table."""
    from tpo.cli.bench_session import show_table

    show_table(results, form)
