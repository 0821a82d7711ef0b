"""``tpo ask``: one query, shown live; its answer on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tpo.cli import options
from tpo.cli.error_output import print_error, print_warning
from tpo.config.settings import DATA_OPTIONS

if TYPE_CHECKING:
    from tpo.config import Settings
    from tpo.methods.method import Method
    from tpo.runs.models import Models
    from tpo.types import Trajectory

QUESTION = (
    "Write a plan: to Omar, event hike, day Sunday, date 9, month May, time 9am, place lake, price 75,"
    " food soup, drink tea, music jazz, from Lily."
)
"""An example that the embedded pair improves."""

EXAMPLES = f"""\
[bold]Examples[/bold]

tpo ask "{QUESTION}"

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
    from tpo.config import make_method
    from tpo.runs.models import Relay, load_models

    if rest:
        raise typer.BadParameter(
            "put the question in quotes: the shell split it into several words", param_hint="QUESTION"
        )
    text = _question(question)
    settings = settings_of(given)
    method = make_method(settings)
    apart = not sys.stdout.isatty()
    console = Console(stderr=apart, quiet=settings.quiet, highlight=False, emoji=False)
    with interruptible(console, "interrupted"), console.status(_loading(settings)) as status:
        view, events = Conversation(console, status.update), Relay()
        with events.forwarding(view):
            models = load_models(settings, events)
            trajectory = asyncio.run(_answer(models, method, text, settings))
    _finish(trajectory, alone=apart or settings.quiet)


def _loading(settings: Settings) -> str:
    """Return what is loaded, as a line without markup."""
    from rich.markup import escape

    from tpo.cli.escape import visible

    names = f"policy {', '.join(settings.policy)}, reward {', '.join(settings.reward)}"
    return escape(f"loading {visible(names)}")


def _question(argument: str) -> str:
    """Return the question: *argument*, or the text on standard input for ``-``.

    Raises:
        typer.BadParameter: there is none, or it is not UTF-8.
    """
    text = _standard_input() if argument == "-" else argument
    try:
        text.encode("utf-8")  # bytes of an argument that are not UTF-8 are lone surrogates
    except UnicodeEncodeError as error:
        raise typer.BadParameter("the question is not UTF-8", param_hint="QUESTION") from error
    if not text.strip():
        raise typer.BadParameter("there is no question", param_hint="QUESTION")
    return text.strip() if argument == "-" else text


def _standard_input() -> str:
    if sys.stdin is None:  # closed
        return ""
    try:
        # The stream's own decoder follows the locale, and lets other bytes through in some.
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter("standard input is not UTF-8", param_hint="QUESTION") from error
    return text.replace("\r\n", "\n")


async def _answer(models: Models, method: Method, question: str, settings: Settings) -> Trajectory:
    """Optimize *question* with *models*, and close them."""
    import os

    from tpo.config import fallback_of, name_model, selection_of, stopping_rules
    from tpo.methods.optimize import Optimizer

    if settings.when_needed is not None:  # its file names the models
        settings = await name_model(settings, os.environ)
    async with models.ready():
        optimizer = Optimizer(
            models.policy,
            models.scorer,
            method,
            seed=settings.seed,
            stopping=stopping_rules(settings, method),
            fallback=fallback_of(settings),
            selection=selection_of(settings, models.reward, os.environ, models.events),
            listener=models.events,
        )
        return await optimizer.optimize(question)


def _finish(trajectory: Trajectory, *, alone: bool) -> None:
    """Print the answer if nothing else has; after a failure, the best of what came before it stands."""
    from tpo.cli.escape import for_reader
    from tpo.runs.effect import effect_of

    if alone and trajectory.best is not None:
        typer.echo(for_reader(trajectory.answer, terminal=sys.stdout.isatty()))
    for warning in effect_of(trajectory).warnings().values():
        print_warning(warning)
    if trajectory.status == "failed":
        print_error(str(trajectory.error))
        raise typer.Exit(FAILED)
