"""Objects of the user's own: found by name, and their source told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tpo.errors import ConfigError
from tpo.user_objects import files_digest, load_object, source_digest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_name_may_lead_into_an_object(here: Path) -> None:
    (here / "objects_one.py").write_text("class Own:\n    value = 5\n")
    assert load_object("objects_one:Own.value", "reward python:objects_one:Own.value") == 5


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("objects_two", None, "no module 'objects_two', looked in"),
        ("objects_three", "x = 1\n", "objects_three has no 'f'"),
        (
            "objects_four",
            "import objects_nowhere\n",
            "importing objects_four failed with ModuleNotFoundError",
        ),
        ("objects_five", "1 / 0\n", "importing objects_five failed with ZeroDivisionError"),
    ],
)
def test_what_cannot_be_found_or_imported_is_one_sentence(
    name: str, source: str | None, words: str, here: Path
) -> None:
    if source is not None:
        (here / f"{name}.py").write_text(source)
    with pytest.raises(ConfigError, match=f"^given: {words}"):
        load_object(f"{name}:f", "given")


def test_the_source_of_a_module_or_a_package_has_a_digest(here: Path) -> None:
    (here / "objects_six.py").write_text("x = 1\n")
    (here / "objects_pack").mkdir()
    (here / "objects_pack" / "__init__.py").write_text("")
    (here / "objects_pack" / "part.py").write_text("x = 1\n")
    one, pack = source_digest("objects_six"), source_digest("objects_pack")
    assert one == files_digest([here / "objects_six.py"])
    (here / "objects_pack" / "part.py").write_text("x = 2\n")
    assert source_digest("objects_pack") != pack
    assert source_digest("objects_six") == one
    assert source_digest("objects_nowhere_at_all") is None
    assert files_digest([here / "missing.py"]) is None
