"""Print an error or a warning as one coloured sentence on stderr."""


def print_error(sentence: str) -> None:
    """Print *sentence*, whatever characters it quotes, as an error."""
    _print("error", sentence, "red")


def print_warning(sentence: str) -> None:
    """Print *sentence*, whatever characters it quotes, as a warning."""
    _print("warning", sentence, "yellow")


def _print(kind: str, sentence: str, color: str) -> None:
    from rich.console import Console
    from rich.text import Text

    from tpo.cli.escape import literal

    console = Console(stderr=True, highlight=False, emoji=False)
    console.print(Text(f"{kind}: ", style=f"bold {color}") + literal(sentence, color), soft_wrap=True)
