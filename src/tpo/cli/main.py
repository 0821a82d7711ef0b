"""The ``tpo`` command: its parts put together, and every error turned into one sentence and an exit code.

Exit codes: 0 all went well; 1 some queries failed; 2 usage, configuration or data are wrong, or a model
refuses every call; 3 and 4 (``tpo run``) all queries failed, because of the policy's server or the reward;
130 interrupted.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tpo.cli import ask, bench, doctor, export, merge, repair, report, run, serve, sweep, tune, view, winrate
from tpo.cli.error_output import print_error
from tpo.cli.options import DEBUG, Command
from tpo.errors import TpoError

WRONG = 2


class ErrorTranslatingGroup(TyperGroup):
    """A group of commands whose errors end in one sentence on stderr; with ``--debug`` in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that *ctx* names."""
        try:
            return super().invoke(ctx)
        except TpoError as error:
            if ctx.meta.get(DEBUG):
                raise
            print_error(str(error))
            raise typer.Exit(WRONG) from None
        except OSError as error:  # a path that cannot be read or written, a full disk, wherever it is met
            # Click ends the command when the reader of its output has gone.
            if ctx.meta.get(DEBUG) or error.errno == errno.EPIPE or error.strerror is None:
                raise
            place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
            print_error(f"{place}{error.strerror}")
            raise typer.Exit(WRONG) from None


app = typer.Typer(
    name="tpo",
    cls=ErrorTranslatingGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="run", epilog=run.EXAMPLES, cls=Command)(run.run_data)
app.command(name="ask", epilog=ask.EXAMPLES, cls=Command)(ask.ask)
app.command(name="serve", epilog=serve.EXAMPLES, cls=Command)(serve.serve)
app.command(name="doctor", epilog=doctor.EXAMPLES, cls=Command)(doctor.doctor)
app.command(name="export", epilog=export.EXAMPLES)(export.export)
app.command(name="merge", epilog=merge.EXAMPLES)(merge.merge)
app.command(name="repair", epilog=repair.EXAMPLES)(repair.repair)
app.command(name="report", epilog=report.EXAMPLES)(report.report)
app.add_typer(bench.app)
app.command(name="sweep", epilog=sweep.EXAMPLES, cls=Command)(sweep.sweep)
app.command(name="tune", epilog=tune.EXAMPLES, cls=Command)(tune.tune)
app.command(name="winrate", epilog=winrate.EXAMPLES)(winrate.winrate)
app.command(name="view", epilog=view.EXAMPLES)(view.view)


def _version(wanted: bool) -> None:
    if wanted:
        from tpo import __version__
        from tpo.cli.escape import echo

        echo(f"tpo {__version__}")
        raise typer.Exit


@app.callback()
def tpo(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Align a language model at inference time by Test-Time Preference Optimization (TPO).

    Sample responses, score them with a reward, ask the policy how to improve the best, sample improved ones.

    No weights change. Paper: Li et al. 2025, arXiv 2501.12895.
    """


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a library's warning, which may quote names of files and models."""
    from tpo.cli.escape import echo

    echo(f"warning: {message}", err=True)


class _LogPrinter(logging.Handler):
    """Prints log messages, which may quote data and models."""

    def emit(self, record: logging.LogRecord) -> None:
        from tpo.cli.escape import echo

        try:
            echo(self.format(record), err=True)
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)


def main() -> None:
    """The entry point of the ``tpo`` command."""
    warnings.showwarning = _warn
    logging.getLogger().addHandler(_LogPrinter(logging.WARNING))
    # Like Ctrl-C: finished results are kept, and the same command resumes. Shells without job control start
    # background jobs with SIGINT ignored, which would make SIGTERM do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # text of models may hold what a terminal's encoding has no byte for
            reconfigure(errors="backslashreplace")
    app()
