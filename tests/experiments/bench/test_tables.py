import pytest

from tpo.experiments.bench.tables import interval, latex, latex_table, markdown_table, number, signed


def test_columns_line_up_and_signs_of_markdown_are_escaped() -> None:
    table = markdown_table(("a", "b"), [("x|y", "<b>\n1")])
    assert table.splitlines()[2] == "| x\\|y | \\<b\\> 1 |"
    assert len({len(line) for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("50% & $1_0", r"50\% \& \$1\_0"), ("a\\b", r"a\textbackslash{}b"), ("\u22122", "$-$2")],
)
def test_signs_of_latex_are_escaped(text: str, said: str) -> None:
    assert latex(text) == said


def test_a_latex_table_is_whole() -> None:
    table = latex_table(("m", "x"), [("tpo", "1")], "A caption")
    assert table.startswith(r"\begin{table}")
    assert r"tpo & 1 \\" in table
    assert table.endswith(r"\end{table}")


def test_numbers_have_a_true_minus_and_a_dash_for_none() -> None:
    assert (number(-1.25, 1), number(None), signed(2.0, 1)) == ("\u22121.2", "\u2013", "+2.0")


def test_a_metric_is_told_with_its_interval_or_its_refusal() -> None:
    metric = {"value": 61.23, "low": 58.0, "high": 64.4, "unit": "%", "note": ""}
    assert interval(metric) == "61.2% [58.0, 64.4]"
    assert interval(metric | {"low": None}) == "61.2%"
    assert interval(metric | {"value": None, "note": "a subset"}) == "refused"
