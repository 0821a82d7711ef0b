"""Print an error as one red sentence on stderr."""


def complain(sentence: str) -> None:
    """Print *sentence*, whatever characters it quotes, as an error."""
    from rich.console import Console
    from rich.text import Text

    from tpo.cli.escape import literal

    console = Console(stderr=True, highlight=False)
    console.print(Text("error: ", style="bold red") + literal(sentence, "red"), soft_wrap=True)
