"""Measure names and docstrings of the package: ``python -m tests.prose``.

Docstrings begin with a verb or a noun phrase, not with a question word; a public name is defined once in a
package and once among the exported names.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import tpo

SOURCES = Path(tpo.__file__).parent
QUESTION_WORDS = ("What", "Who", "Whom", "Whose", "Whether", "How", "Why", "When", "Where", "Which")
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """A docstring and its place, ``path:line``."""

    place: str
    text: str

    @property
    def asks(self) -> bool:
        """Whether it begins with a question word."""
        return self.text.split(None, 1)[0].rstrip(",:;.") in QUESTION_WORDS


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module of the package, parsed."""
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES), ast.parse(path.read_text("utf-8"))


def module_docstrings() -> list[Docstring]:
    """Return the docstrings of modules."""
    return [Docstring(f"{path}:1", text) for path, tree in modules() if (text := ast.get_docstring(tree))]


def definition_docstrings() -> list[Docstring]:
    """Return the docstrings of classes and functions."""
    return [
        Docstring(f"{path}:{node.lineno}", text)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, Definition) and (text := ast.get_docstring(node))
    ]


def attribute_docstrings() -> list[Docstring]:
    """Return the docstrings of constants and attributes: string literals that follow an assignment."""
    return [
        Docstring(f"{path}:{text.lineno}", text.value.value)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list)
        for assignment, text in pairwise(body)
        if isinstance(assignment, ast.Assign | ast.AnnAssign)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    ]


def duplicate_names() -> dict[str, list[str]]:
    """Return the public names that several modules of one package define, with those modules.

    A package is a folder with all that lies below it, except the root, in which only exported names count.
    """
    places: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, tree in modules():
        package = path.parts[0] if len(path.parts) > 1 else "."
        names = {node.name for node in tree.body if isinstance(node, Definition)}
        for name in sorted(names):
            if name.startswith("_"):
                continue
            places[package, name].append(str(path))
            if package != "." and name in tpo.__all__:
                places["tpo.__all__", name].append(str(path))
    return {f"{package}: {name}": found for (package, name), found in places.items() if len(found) > 1}


def main() -> None:
    """Print every finding and the shares."""
    out = sys.stdout.write
    for kind, docstrings in (
        ("module", module_docstrings()),
        ("definition", definition_docstrings()),
        ("attribute", attribute_docstrings()),
    ):
        asking = [docstring for docstring in docstrings if docstring.asks]
        for docstring in asking:
            out(f"{docstring.place}: {docstring.text.splitlines()[0]}\n")
        out(f"{kind} docstrings: {len(asking)} of {len(docstrings)} begin with a question word\n")
    for name, found in sorted(duplicate_names().items()):
        out(f"defined twice: {name} in {', '.join(found)}\n")


if __name__ == "__main__":
    main()
