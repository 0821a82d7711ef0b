"""The API page documents every exported name."""

import re
from importlib import import_module

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
    package = module.rpartition(".")[0]
    return bool({f"{module}.{name}", module} & DOCUMENTED) or (
        package in DOCUMENTED and name in import_module(package).__all__
    )


def test_every_exported_name_is_documented() -> None:
    assert [name for name in tpo.__all__ if not is_documented(name)] == []
