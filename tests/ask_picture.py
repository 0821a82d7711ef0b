"""Picture of ``tpo ask`` in the README; ``python -m tests.ask_picture`` draws it again."""

from __future__ import annotations

import asyncio
import io
import re

from rich.console import Console

from tests.docs.pages import ROOT
from tpo import Optimizer, build_method, load_policy, load_reward
from tpo.cli.ask import QUESTION
from tpo.cli.live_query import Conversation

PICTURE = ROOT / "docs" / "pictures" / "ask.svg"


async def draw() -> str:
    """Return the picture of one query with one iteration."""
    console = Console(record=True, width=126, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(f'$ tpo ask "{QUESTION}" -d 1')
    method = build_method("tpo", sample_size=5, max_iterations=1)
    optimizer = Optimizer(
        load_policy("tiny"), load_reward("tiny"), method, seed=7, listener=Conversation(console)
    )
    await optimizer.optimize(QUESTION)
    svg = console.export_svg(title="tpo ask", unique_id="ask")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # no fonts from the network


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(asyncio.run(draw()), "utf-8")


if __name__ == "__main__":
    main()
