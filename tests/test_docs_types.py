"""The examples for readers who check types: they pass mypy in strict mode as they stand on the page."""

from pathlib import Path

from tests.docs_types import mypy_errors, write_examples


def test_the_examples_of_the_readme_and_the_page_on_the_library_pass_mypy(tmp_path: Path) -> None:
    files = [file for page in ("README.md", "docs/library.md") for file in write_examples(page, tmp_path)]
    assert mypy_errors(files) == ""


def test_an_example_with_a_wrong_type_does_not_pass(tmp_path: Path) -> None:
    (wrong,) = write_examples("README.md", tmp_path)
    wrong.write_text(wrong.read_text("utf-8").replace("response: str) -> float", "response: int) -> float"))
    assert 'Argument 2 to "Optimizer"' in mypy_errors([wrong])
