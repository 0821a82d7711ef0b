"""The tutorial as a notebook; ``python -m tests.notebook`` writes it from docs/tutorial.md."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
SITE = "../docs/"


def notebook() -> str:
    """Return the notebook: Python blocks become code cells, everything between them text cells."""
    parts = re.split(r"```python\n(.*?)```\n", PAGE.read_text("utf-8"), flags=re.DOTALL)
    cells = [_cell(number, text.strip("\n")) for number, text in enumerate(parts)]
    content = {
        "cells": [cell for cell in cells if cell["source"]],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, text: str) -> dict[str, Any]:
    if number % 2:
        cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
    else:
        text = re.sub(r"\]\(([a-z-]+\.md)", rf"]({SITE}\1", text)
        cell = {"cell_type": "markdown"}
    return {**cell, "id": f"cell-{number}", "metadata": {}, "source": text.splitlines(keepends=True)}


def main() -> None:
    """Write the notebook."""
    NOTEBOOK.write_text(notebook(), "utf-8")


if __name__ == "__main__":
    main()
