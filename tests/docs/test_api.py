"""The API page documents every exported name."""

import re

import tpo
from tests.docs.pages import ROOT

DOCUMENTED = {
    name
    for page in ("api.md", "errors.md")
    for name in re.findall(r"^::: (\S+)$", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE)
}


def is_documented(name: str) -> bool:
    exported = getattr(tpo, name)
    module = getattr(exported, "__module__", "tpo.types")
    if module in ("builtins", "typing", "types"):  # an alias, which stands among the types
        module = "tpo.types"
    return f"{module}.{name}" in DOCUMENTED or module in DOCUMENTED


def test_every_exported_name_is_documented() -> None:
    assert [name for name in tpo.__all__ if not is_documented(name)] == []
