"""The methods' texts and their replacement by a user's own."""

from pathlib import Path

import pytest

from tpo.entry_points import METHODS, names
from tpo.errors import ConfigError
from tpo.methods.catalog import build_method
from tpo.methods.wording import Wording, load_wording


def test_what_is_put_in_is_not_expanded_again() -> None:
    wording = Wording({"loss": "See $rejected and $query."})
    assert wording.fill("loss", rejected="$query $ ${x}", query="Q", chosen="C") == "See $query $ ${x} and Q."


def test_a_file_of_the_same_name_replaces_a_text_and_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "gradient.txt").write_text("How to mend $chosen?\n")
    ours, theirs = load_wording("conversation"), load_wording("conversation", tmp_path)
    assert theirs.texts["gradient"] == "How to mend $chosen?"
    assert theirs.texts["loss"] == ours.texts["loss"]
    assert theirs.digest != ours.digest


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("losss.txt", "x", "found losss.txt; this method reads"),
        ("loss.txt", "$chozen", "may use $chosen"),
        ("loss.txt", "costs $5", "write $$ for a dollar sign"),
        ("notes.md", "x", "found no .txt file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=r"prompts|may use") as caught:
        load_wording("conversation", tmp_path)
    assert says in str(caught.value)


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "loss.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"cannot read .*loss\.txt"):
        load_wording("conversation", tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_wording("conversation", tmp_path / "nowhere")


@pytest.mark.parametrize("name", names(METHODS))
def test_every_method_has_its_texts(name: str) -> None:
    assert build_method(name).wording.texts
