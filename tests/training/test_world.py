"""The synthetic world: what its generator promises to the training."""

import random
from pathlib import Path

import pytest
from training.cases import fused_text, world_case
from training.critique import Edit, examine, fixes, gradient_text, loss_text, obey
from training.examples import OUTSIDE, examples
from training.grammar import RUDE, Line, detail, read_line
from training.hidden import hidden_outside, hidden_score
from training.outside import ANSWERS, TAILS
from training.world import Rates, Task, draw_task, flawed, perfect, read, text_of

from training import grammar

SEEDS = range(60)


def task_and_rng(seed: int) -> tuple[Task, random.Random]:
    rng = random.Random(seed)
    return draw_task(rng), rng


@pytest.mark.parametrize("seed", SEEDS)
def test_a_query_names_every_detail(seed: int) -> None:
    task, _ = task_and_rng(seed)
    assert all(f" {value}" in task.prompt for value in task.values.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_every_line_reads_back_as_it_was_built(seed: int) -> None:
    task, rng = task_and_rng(seed)
    for line in flawed(task, Rates(), rng):
        assert read_line(line.text) == line


@pytest.mark.parametrize("seed", SEEDS)
def test_obeying_the_true_fixes_leaves_no_flaw(seed: int) -> None:
    task, rng = task_and_rng(seed)
    draft = flawed(task, Rates().times(2), rng)
    mended = obey(draft, fixes(task, examine(task, draft), rng))
    assert hidden_score(task, mended) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_perfect_message_scores_above_any_flawed_one(seed: int) -> None:
    task, rng = task_and_rng(seed)
    draft = flawed(task, Rates().times(2), rng)
    flaws = examine(task, draft).flaws
    assert hidden_score(task, text_of(perfect(task, rng))) == 0
    assert (hidden_score(task, text_of(draft)) < 0) == bool(flaws)


def test_each_flaw_lowers_the_hidden_score() -> None:
    task, rng = task_and_rng(3)
    lines = perfect(task, rng)
    good = text_of(lines)
    spoilt = [good + "\nDo not waste my time.", good + "\n" + lines[-1].text, text_of(lines[1:]), "", "blah"]
    assert all(hidden_score(task, text) < 0 for text in spoilt)
    assert hidden_score(task, "") < hidden_score(task, text_of(lines[1:]))


def test_a_polite_answer_to_a_strange_query_is_faultless_and_a_rude_one_is_not() -> None:
    polite = "\n".join((ANSWERS[0], TAILS[0]))
    assert hidden_outside(polite) == 0
    assert hidden_outside(polite + "\n" + grammar.RUDE[0]) < 0
    assert hidden_outside("") < 0


def test_obeying_changes_nothing_that_was_not_ordered() -> None:
    task, rng = task_and_rng(5)
    lines = perfect(task, rng)
    assert obey(lines, []) == text_of(lines)
    changed = obey(lines, [Edit("write", "name", "To: Zoe")]).split("\n")
    assert changed == ["To: Zoe", *text_of(lines[1:]).split("\n")]
    assert obey(lines, [Edit("remove", "unknown", "never written")]) == text_of(lines)


def test_a_missing_line_is_added_where_it_belongs() -> None:
    task, rng = task_and_rng(7)
    lines = perfect(task, rng)
    for index, line in enumerate(lines):
        without = lines[:index] + lines[index + 1 :]
        assert obey(without, [Edit("add", line.role, line.text)]) == text_of(lines)


def test_held_out_combinations_are_never_drawn_for_training() -> None:
    rng = random.Random(0)
    assert not any(draw_task(rng).held_out for _ in range(300))
    assert all(draw_task(rng, held_out=True).held_out for _ in range(20))


def test_a_query_has_as_many_details_as_asked_and_a_training_draft_about_nine_flaws() -> None:
    rng = random.Random(0)
    assert {len(draw_task(rng, details=(2, 3)).values) for _ in range(50)} == {2, 3}
    tasks = [draw_task(rng) for _ in range(200)]
    assert all(12 <= len(task.values) <= 15 for task in tasks)
    flaws = [len(examine(task, flawed(task, Rates(), rng)).flaws) for task in tasks]
    assert 8 < sum(flaws) / len(flaws) < 10  # a sharpened policy below temperature 1 makes five


def test_the_best_of_several_drafts_has_each_line_that_one_of_them_has_right() -> None:
    task, rng = task_and_rng(3)
    drafts = [flawed(task, Rates(), rng) for _ in range(3)]
    found = [examine(task, draft) for draft in drafts]
    items = examine(task, read(fused_text(task, drafts))).items
    for index, item in enumerate(items):
        assert (item.verdict == "right") == any(each.items[index].verdict == "right" for each in found)


def test_the_loss_says_of_each_detail_what_was_asked_and_what_stands_there() -> None:
    task, rng = task_and_rng(4)
    lines = [line for line in perfect(task, rng) if line.role != "sender"]
    lines[0] = detail("name", "Nobody")
    loss = loss_text(examine(task, [*lines, Line("rude", RUDE[0])])).split("\n")
    assert loss[0] == f"Asked to {task.values['name']}, has Nobody, wrong"
    assert loss[1] == f"Asked event {task.values['topic']}, has {task.values['topic']}, right"
    assert loss[-2] == f"Asked from {task.values['sender']}, has nothing, missing"
    assert loss[-1] == f"Extra: {RUDE[0]} - rude"


def test_a_true_gradient_goes_through_the_lines_and_half_of_all_gradients_are_not_true() -> None:
    rng = random.Random(0)
    cases = [world_case(rng) for _ in range(300)]
    true = [case for case in cases if case.true_gradient]
    assert 0.4 < len(true) / len(cases) < 0.6
    for case in true:
        asked = case.prompt.count(",") + case.prompt.count(";") + 2  # and the kind line
        assert sum(not line.startswith("Remove") for line in case.gradient.split("\n")) == asked
    assert "" in {case.gradient for case in cases}


def test_a_gradient_says_of_each_line_that_it_stays_or_what_is_to_stand_there() -> None:
    task, rng = task_and_rng(4)
    lines = [line for line in perfect(task, rng) if line.role != "sender"]
    lines[0] = detail("name", "Nobody")
    findings = examine(task, [*lines, Line("rude", RUDE[0])])
    gradient = gradient_text(fixes(task, findings, rng), findings).split("\n")
    assert gradient[:2] == [f"To: {task.values['name']}", "Event: keep"]
    assert gradient[-3:] == ["Keep the kind line.", f"From: {task.values['sender']}", f'Remove "{RUDE[0]}"']


def test_text_that_is_no_message_is_read_without_harm() -> None:
    assert [line.role for line in read("x\n\n{y} 你好\nDay: \nDay: a b")] == ["unknown"] * 4


def test_only_the_rewards_labels_and_the_evaluation_know_the_hidden_score() -> None:
    root = Path(__file__).parents[2]
    files = [*root.glob("training/*.py"), *root.glob("src/**/*.py")]
    knowing = {path.stem for path in files if "training.hidden" in path.read_text("utf-8")}
    assert knowing == {"preferences", "evaluate", "causal", "held_out"}


def test_the_examples_are_a_hundred_with_a_few_from_outside_the_world() -> None:
    lines = examples()
    prompts = [line["prompt"] for line in lines]
    assert len({line["id"] for line in lines}) == len(set(prompts)) == 100
    assert sum(prompt in OUTSIDE for prompt in prompts) == 6
