"""``tpo ask``: one query, shown live; its answer on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli import options
from tpo.cli.error_output import complain
from tpo.config.settings import DATA_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpo.config import Settings
    from tpo.methods.method import Method
    from tpo.methods.stopping import StoppingRule
    from tpo.runs.models import Models
    from tpo.types import Trajectory

EXAMPLES = """\
[bold]Examples[/bold]

tpo ask "Congratulate Pawes on winning the race. When: on Wednesday in the red tent, from Lucas."

tpo ask "Why is the sky blue?" --policy http://localhost:8000/v1 --reward hf:ORG/MODEL

echo "Why is the sky blue?" | tpo ask - --policy http://localhost:8000/v1 --reward hf:ORG/MODEL > sky.txt
"""

FAILED = 1


@options.with_settings(without=(*DATA_OPTIONS, "out", "sequences"))
def ask(
    given: options.Given,
    question: Annotated[str, typer.Argument(help="Question to answer; - reads it from stdin.")],
    rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Optimize one question and show each step: samples, rewards, critiques, updates, answer.

    If stdout is not a terminal, it receives the answer only, and the steps go to stderr.
    """
    import asyncio

    from rich.console import Console

    from tpo.cli.common import interruptible, settings_of
    from tpo.cli.live_query import Conversation
    from tpo.config import make_method, stopping_rules
    from tpo.runs.models import Relay, load_models

    if rest:
        raise typer.BadParameter(
            "put the question in quotes: the shell split it into several words", param_hint="QUESTION"
        )
    text = _question(question)
    settings = settings_of(given)
    method = make_method(settings)
    apart = not sys.stdout.isatty()
    console = Console(stderr=apart, quiet=settings.quiet, highlight=False)
    with interruptible(console, "interrupted"), console.status(_loading(settings)) as status:
        view, events = Conversation(console, status.update), Relay()
        with events.forwarding(view):
            models = load_models(settings, events)
            trajectory = asyncio.run(answer(models, method, text, settings.seed, stopping_rules(settings)))
    _finish(trajectory, alone=apart or settings.quiet)


def _loading(settings: Settings) -> str:
    """Return what is loaded, as a line without markup."""
    from rich.markup import escape

    from tpo.cli.escape import visible

    names = f"policy {', '.join(settings.policy)}, reward {', '.join(settings.reward)}"
    return escape(f"loading {visible(names)}")


def _question(argument: str) -> str:
    text = sys.stdin.read() if argument == "-" else argument
    if not text.strip():
        raise typer.BadParameter("there is no question", param_hint="QUESTION")
    return text.strip() if argument == "-" else text


async def answer(
    models: Models, method: Method, question: str, seed: int, stopping: Sequence[StoppingRule] = ()
) -> Trajectory:
    """Optimize *question* with *models*, and close them."""
    from tpo.methods.optimize import Optimizer

    async with models.ready():
        optimizer = Optimizer(
            models.policy, models.reward, method, seed=seed, stopping=stopping, listener=models.events
        )
        return await optimizer.optimize(question)


def _finish(trajectory: Trajectory, *, alone: bool) -> None:
    """Print the answer if nothing else has; after a failure, the best of what came before it stands."""
    from tpo.cli.escape import for_reader

    if alone and trajectory.best is not None:
        typer.echo(for_reader(trajectory.answer, terminal=sys.stdout.isatty()))
    if trajectory.status == "failed":
        complain(str(trajectory.error))
        raise typer.Exit(FAILED)
