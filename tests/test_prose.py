"""Docstrings begin with a verb or a noun phrase (the measurement is ``python -m tests.prose``)."""

from tests import prose

MOST = 0.02
"""Share of docstrings that may begin with a question word."""


def test_few_docstrings_begin_with_a_question_word() -> None:
    for docstrings in (
        prose.module_docstrings(),
        prose.definition_docstrings(),
        prose.attribute_docstrings(),
    ):
        asking = [docstring for docstring in docstrings if docstring.asks]
        assert len(docstrings) > 100
        assert len(asking) <= MOST * len(docstrings), asking


def test_a_question_is_told_from_a_statement() -> None:
    assert prose.Docstring("a.py:1", "What a run shows.").asks
    assert not prose.Docstring("a.py:1", "Return what a run shows.").asks


def test_no_public_name_is_defined_in_two_modules_of_a_package() -> None:
    assert prose.duplicate_names() == {}
