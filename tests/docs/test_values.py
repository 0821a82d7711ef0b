"""JSON and TOML blocks of the documentation are valid, and files of options name options."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks
from tpo.config import load_settings


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.place)
def test_json_is_valid(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.place)
def test_toml_is_valid_and_its_options_exist(block: Block, tmp_path: Path) -> None:
    tables = tomllib.loads(block.text)
    if not {"project", "criteria"} & tables.keys():
        (tmp_path / "run.toml").write_text(block.text)
        load_settings({}, {}, tmp_path / "run.toml", notify=pytest.fail)
