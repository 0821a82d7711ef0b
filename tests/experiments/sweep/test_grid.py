from pathlib import Path
from typing import Any

import pytest

from tests.experiments.sweep.scripted import GUIDE, OTHER
from tpo.config import Settings
from tpo.errors import ConfigError
from tpo.experiments.cells import Cell, slug
from tpo.experiments.sweep.grid import Axes, sweep_cells


def axes(
    methods: tuple[str, ...] = ("tpo", "bon"),
    samples: tuple[int, ...] = (3, 5),
    iterations: tuple[int, ...] = (1, 2),
    rewards: tuple[str, ...] = (GUIDE,),
    seeds: tuple[int, ...] = (7,),
    pool: int | None = None,
) -> Axes:
    return Axes(methods, samples, iterations, rewards, seeds, pool)


def cells(of: Axes) -> tuple[Cell, ...]:
    return sweep_cells(Settings(reward=(GUIDE,)), of)


def test_every_cell_is_there_once_and_a_method_without_iterations_once_for_all_of_them() -> None:
    assert [cell.label for cell in cells(axes())] == [
        "tpo D1-N3",
        "tpo D1-N5",
        "tpo D2-N3",
        "tpo D2-N5",
        "bon D0-N3",
        "bon D0-N5",
    ]


def test_rewards_and_seeds_are_crossed_with_all_and_each_cell_has_its_own_settings() -> None:
    of = cells(axes(("bon",), (3,), (1,), (GUIDE, OTHER), (1, 2)))
    assert [(cell.reward, cell.seed) for cell in of] == [(GUIDE, 1), (GUIDE, 2), (OTHER, 1), (OTHER, 2)]
    assert [cell.settings.reward for cell in of] == [(GUIDE,), (GUIDE,), (OTHER,), (OTHER,)]
    assert [cell.settings.seed for cell in of] == [1, 2, 1, 2]
    assert len({cell.folder for cell in of}) == 4


def test_a_cell_has_the_same_folder_whatever_else_is_in_the_sweep() -> None:
    alone = cells(axes(("tpo",), (5,), (2,)))[0]
    among = next(cell for cell in cells(axes(rewards=(OTHER, GUIDE))) if _same(cell, alone))
    assert alone.folder == among.folder


def _same(cell: Cell, other: Cell) -> bool:
    return (cell.label, cell.reward) == (other.label, other.reward)


def test_a_pool_is_drawn_beside_the_grid_in_each_layout_that_is_asked_for() -> None:
    of = cells(Axes(("tpo", "paper"), (3,), (1,), (GUIDE,), (7,), pool=40))
    assert [cell.label for cell in of] == ["tpo D1-N3", "paper D1-N3", "bon D0-N40", "paper-bon D0-N40"]
    assert [cell.label for cell in cells(Axes(("bon",), (3,), (1,), (GUIDE,), (7,), pool=3))] == ["bon D0-N3"]


def test_prompts_of_one_layout_go_with_a_pool_of_its_methods(tmp_path: Path) -> None:
    (tmp_path / "loss_single.txt").write_text("What is wrong?", "utf-8")
    settings = Settings(policy=("hf:made/policy",), prompts=tmp_path)
    found = sweep_cells(settings, Axes(("tpo", "revision"), (3,), (1,), (GUIDE,), (7,), pool=40))
    assert [cell.label for cell in found][-1] == "bon D0-N40"


@pytest.mark.parametrize(
    ("methods", "pools"),
    [
        (("textgrad",), ["paper-bon D0-N40"]),
        (("textgrad-revision", "revision"), ["bon D0-N40", "paper-bon D0-N40"]),
        (("tpo.methods.catalog:paper",), ["paper-bon D0-N40"]),
    ],
)
def test_the_layout_of_a_pool_is_that_of_the_methods_first_prompt(
    methods: tuple[str, ...], pools: list[str]
) -> None:
    of = cells(axes(methods, (3,), (1,), pool=40))
    assert [cell.label for cell in of[len(methods) :]] == pools


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"samples": (0,)}, "--sample-size: 0 is below the minimum, 1"),
        ({"samples": (3, 3)}, "--sample-size: 3 is given twice"),
        ({"samples": ()}, "--sample-size is empty"),
        ({"pool": 0}, "--pool: 0 is below the minimum, 1"),
        ({"iterations": (-1,)}, "--max-iterations: -1 is below the minimum, 0"),
        ({"iterations": (1, 1)}, "--max-iterations: 1 is given twice"),
        ({"methods": ("tpo", "tpo")}, "--method: tpo is given twice"),
        ({"methods": ("magic",)}, "--method magic: unknown"),
        ({"rewards": (GUIDE, GUIDE)}, "is given twice"),
        ({"seeds": (7, 7)}, "--seed: 7 is given twice"),
    ],
)
def test_what_makes_no_grid_is_refused_in_one_sentence(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        cells(axes(**values))


def test_names_that_differ_only_in_what_files_cannot_hold_stay_apart() -> None:
    assert slug("hf:org/a-b") != slug("hf:org-a/b")
    assert slug("tiny") == "tiny"
    assert "/" not in slug("../../etc")
    assert slug("x" * 500) != slug("x" * 501)
    assert len(slug("x" * 500)) < 64
