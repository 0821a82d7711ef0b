from pathlib import Path

import pytest

from tpo.errors import ConfigError
from tpo.experiments.bench.pairwise.judge_prompt import (
    CREATIVE_SYSTEM,
    SYSTEM,
    JudgePrompt,
    judge_prompt_from,
)
from tpo.experiments.bench.pairwise.verdict import FIRST_WINS
from tpo.types import plain_text

TEMPLATE = "Q {QUESTION} A {ANSWER_A} B {ANSWER_B}"


@pytest.mark.parametrize("text", [SYSTEM, CREATIVE_SYSTEM])
def test_our_wording_asks_for_the_five_labels(text: str) -> None:
    assert all(f"[[{label}]]" in text for label in FIRST_WINS)


def test_what_looks_like_a_slot_inside_a_text_stays_as_it_is() -> None:
    messages = JudgePrompt("s", TEMPLATE).messages("{ANSWER_B}", "{QUESTION} {}", "\\1")
    assert [plain_text(m) for m in messages] == ["s", "Q {ANSWER_B} A {QUESTION} {} B \\1"]


def test_without_files_the_wording_is_ours_and_says_so() -> None:
    wording = judge_prompt_from({}, CREATIVE_SYSTEM)
    assert wording.system == CREATIVE_SYSTEM
    assert "tpo's own wording" in wording.source


def test_files_replace_it_and_their_digests_are_told(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("judge them")
    (tmp_path / "t.txt").write_text(TEMPLATE)
    options = {"judge-system": str(tmp_path / "s.txt"), "judge-template": str(tmp_path / "t.txt")}
    wording = judge_prompt_from(options)
    assert (wording.system, wording.template) == ("judge them", TEMPLATE)
    assert wording.source.count("sha256:") == 2
    assert "own" not in wording.source


def test_one_file_leaves_the_rest_ours_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("judge them")
    wording = judge_prompt_from({"judge-system": str(tmp_path / "s.txt")})
    assert "the rest tpo's own wording" in wording.source


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("judge-template", "Q {QUESTION} A {ANSWER_A}", "must contain ANSWER_A, ANSWER_B, QUESTION"),
        ("judge-system", " \n", "blank"),
        ("judge-system", None, "cannot be read"),
        ("judge-system", b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_a_file_that_is_no_good_is_named(
    tmp_path: Path, name: str, content: str | bytes | None, complaint: str
) -> None:
    file = tmp_path / "x.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=f"{name}=.*x.txt: .*{complaint}"):
        judge_prompt_from({name: str(file)})
