import io

from rich.console import Console

from tpo.cli.ask import _loading
from tpo.config import Settings


def test_ask_says_which_models_it_loads_and_markup_in_their_names_stays_text() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
    console.print(_loading(Settings(policy=("hf:[bold]org/model",), reward=("tiny",))))
    assert console.file.getvalue().strip() == "loading policy hf:[bold]org/model, reward tiny"  # type: ignore[attr-defined]
