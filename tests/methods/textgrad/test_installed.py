"""An installed textgrad is read file by file; what is missing or moved is said with the version tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tpo.errors import ConfigError
from tpo.methods.textgrad.installed import TESTED, package_folder, run_file
from tpo.methods.textgrad.templates import load_templates

BACKWARD = "autograd/llm_backward_prompts.py"
OPTIMIZER = "optimizer/optimizer_prompts.py"


def copy_of_the_package(into: Path) -> Path:
    for name in (BACKWARD, OPTIMIZER, "defaults.py"):
        path = into / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((package_folder() / name).read_bytes())
    return into


def test_the_texts_are_read_from_the_folder_that_is_named(tmp_path: Path) -> None:
    assert load_templates(copy_of_the_package(tmp_path)).digest == load_templates().digest


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (BACKWARD, "EVALUATE_VARIABLE_INSTRUCTION", "EVALUATE_INSTRUCTION"),
        (BACKWARD, "{variable_short}", "{variable_excerpt}"),
        (OPTIMIZER, "def construct_tgd_prompt", "def tgd_prompt"),
        (OPTIMIZER, "<IMPROVED_VARIABLE>", "improved"),
        ("defaults.py", "VARIABLE_OUTPUT_DEFAULT_ROLE", "OUTPUT_ROLE"),
        ("defaults.py", "VARIABLE_OUTPUT_DEFAULT_ROLE", "import nowhere_to_be_found; X"),
        ("defaults.py", "=", "=("),
    ],
)
def test_a_version_whose_names_moved_is_refused_with_the_one_that_was_tested(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    path = copy_of_the_package(tmp_path) / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=rf"textgrad .*: .* tested with textgrad {TESTED}: pip install"):
        load_templates(tmp_path)


def test_another_wording_has_another_digest(tmp_path: Path) -> None:
    path = copy_of_the_package(tmp_path) / OPTIMIZER
    path.write_text(path.read_text("utf-8").replace("Improve the variable", "Better the variable"), "utf-8")
    assert load_templates(tmp_path).digest != load_templates().digest


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"defaults\.py cannot be read \(FileNotFoundError"):
        run_file(tmp_path, "defaults.py")


def test_without_the_package_the_extra_is_named(tmp_path: Path) -> None:
    program = (
        "import sys, typing_extensions; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
        f"sys.path.insert(0, {str(Path(__file__).parents[3] / 'src')!r})\n"
        "from tpo.errors import MissingExtra\n"
        "from tpo.methods.textgrad.templates import load_templates\n"
        "try: load_templates()\n"
        "except MissingExtra as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout == "--method textgrad needs textgrad: pip install 'tpo[textgrad]'\n"


def test_making_the_recipe_imports_nothing_of_the_package_and_leaves_no_file(tmp_path: Path) -> None:
    program = "import sys; from tpo import build_method; build_method('textgrad'); print(*sys.modules)"
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not {"textgrad", "litellm", "openai"} & set(said.stdout.split())
    assert list(tmp_path.iterdir()) == []
