"""Methods by name."""

import pytest

import tpo
from tpo.entry_points import METHODS, names
from tpo.errors import ConfigError
from tpo.methods.catalog import build_method


def test_an_unknown_method_is_told_what_there_is() -> None:
    with pytest.raises(
        ConfigError, match=r"tpoo: unknown; there are tpo, ab-mcts, .*paper.* and MODULE:CLASS"
    ):
        build_method("tpoo")


def test_best_of_n_is_depth_zero_whatever_depth_is_asked() -> None:
    assert build_method("bon", max_iterations=3, sample_size=9).max_iterations == 0


@pytest.mark.parametrize("name", names(METHODS))
def test_a_method_has_the_name_that_it_is_built_by(name: str) -> None:
    assert build_method(name).name == name


@pytest.mark.parametrize("name", ["Recipe", "build_recipe", "Feedback"])
def test_a_name_of_an_earlier_version_is_told_what_took_its_place(name: str) -> None:
    with pytest.raises(ImportError, match=rf"tpo\.{name} was replaced by tpo\.\w+: docs/migration\.md"):
        getattr(tpo, name)
