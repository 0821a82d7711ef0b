import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tpo.experiments.latex import GAP, SCRIPT, escape_latex, latex_table
from tpo.experiments.tables import (
    format_difference,
    format_estimate,
    format_metric,
    format_number,
    format_signed,
    markdown_table,
)


def test_columns_line_up_and_signs_of_markdown_are_escaped() -> None:
    table = markdown_table(("a", "b"), [("x|y", "<b>\n1")])
    assert table.splitlines()[2] == "| x\\|y | \\<b\\> 1 |"
    assert len({len(line) for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("50% & $1_0", r"50\% \& \$1\_\allowbreak{}0"),
        ("a\\b", r"a\textbackslash{}b"),
        ("\u22122", "$-$2"),
        ("--pool 4", "-{}-pool 4"),
        ("[1.0, 2.0]", "[1.0,~2.0]"),
        ("\u03b2-VAE", r"\ensuremath{\beta}-\allowbreak{}VAE"),
        ("tpo D2-N5", r"tpo \mbox{D2-N5}"),
        ("\u6a21", "\\tpochar{\u6a21}{6A21}"),
        ("a\u202eb\x00", "aU+202EbU+0000"),
        ("1\u2020", r"1$^\dagger$"),  # in the text's own dagger pdfLaTeX would set a bitmap
    ],
)
def test_signs_of_latex_are_escaped(text: str, said: str) -> None:
    assert escape_latex(text) == said


def test_a_latex_table_is_whole() -> None:
    table = latex_table(("m", "x"), [("tpo", "1")], "A caption", ("A note",))
    assert table.startswith("% Needs \\usepackage{array,booktabs,longtable}\n\\begin{table}")
    assert r"tpo & 1 \\[2pt]" in table
    assert table.index(r"\caption{A caption}") < table.index(r"\toprule") < table.index("A note.")
    assert table.endswith(r"\end{table}")
    with pytest.raises(ValueError, match="as many cells"):
        latex_table(("m", "x"), [("tpo",)], "A caption")


def test_numbers_have_a_true_minus_and_a_dash_for_none() -> None:
    assert (format_number(-1.25, 1), format_number(None), format_signed(2.0, 1)) == (
        "\u22121.2",
        "\u2013",
        "+2.0",
    )


def test_what_rounds_to_zero_has_no_sign() -> None:
    assert (format_number(-0.001), format_signed(-0.001), format_signed(0.001), format_signed(0.0)) == (
        "0.00",
        "0.00",
        "0.00",
        "0.00",
    )
    assert (format_number(-0.006), format_signed(0.006), format_number(-1234.0, 0)) == (
        "\u22120.01",
        "+0.01",
        "\u22121,234",
    )


def test_an_interval_of_skewed_values_is_marked_and_none_is_told_where_there_is_none() -> None:
    value = {"value": 1.0, "low": 0.5, "high": 2.0, "skewed": True}
    assert format_estimate(value) == "1.00 [0.50, 2.00]\u2020"
    assert format_estimate(value | {"low": None, "high": None}) == "1.00"
    assert format_difference({"difference": value, "p": 0.25}, 1) == ("+1.0 [+0.5, +2.0]\u2020", "0.2500")
    assert (format_estimate(None), format_difference(None)) == ("\u2013", ("\u2013", "\u2013"))


def test_a_metric_is_told_with_its_interval_or_its_refusal() -> None:
    metric = {"value": 61.23, "low": 58.0, "high": 64.4, "unit": "%", "note": ""}
    assert format_metric(metric) == "61.2% [58.0, 64.4]"
    assert format_metric(metric | {"low": None}) == "61.2%"
    assert format_metric(metric | {"value": None, "note": "a subset"}) == "not computed"


LOW, HIGH = "\u22123.40 [\u22124.40, \u22122.22]", "\u22121.00 [\u22121.24, \u22120.22]"
NAMES = "\u5f37\u5316\u5b66\u7fd2 \u03b1\u03b2\u0394 \u0416 \u00e9\u00df \U0001f600 a_b~^\\"
WIDE = [
    ("tpo D5-N20, a method of my own", "length_controlled_win_rate", LOW, LOW, LOW, "0.0001"),
    ("paper-revision", "python:training.held_out:hidden_worth", HIGH, HIGH, HIGH, "0.0421"),
    (NAMES, "x" * 70, "61.2%", "\u2013", "not computed", ""),
]
HEAD = ("method", "metric", "before", "after", "change", "p")
TABLES = {
    "narrow": latex_table(("method", "answer"), [("tpo", "1.00 [0.50, 1.50]")], "Narrow", ("A note",)),
    "wide": latex_table(HEAD, WIDE, "\u6a21\u578b and 50% of \u03b1_1", ("sha256:" + "0f" * 32, "p: swaps")),
    "many columns": latex_table(
        ("policy", *(f"Benchmark {n} length_controlled_win_rate" for n in range(12))),
        [("a/model-7B + tpo D2-N5", *["61.2% [58.0, 64.4]*"] * 12)] * 2,
        "Many",
    ),
    "long": latex_table(HEAD, WIDE * 30, "Long \u6a21", ("A note",)),
    "long and wide": latex_table((*HEAD, "also"), [(*row, LOW) for row in WIDE * 30], "Longer"),
}


def test_a_table_takes_the_form_that_fits() -> None:
    kinds = {name: re.findall(r"begin{(table\*?|tabular|longtable)}", text) for name, text in TABLES.items()}
    assert kinds == {
        "narrow": ["table", "tabular"],
        "wide": ["table*", "tabular"],
        "many columns": ["table*", "tabular", "tabular", "tabular"],
        "long": ["longtable"],
        "long and wide": ["longtable", "longtable"],
    }
    for text in TABLES.values():
        for columns in re.findall(r"begin{(?:tabular|longtable)}{(.*)}\n", text):
            widths = [float(width) + GAP for width in re.findall(r"p\{([\d.]+)em\}", columns)]
            assert sum(widths) <= SCRIPT + 0.1 * len(widths)


@pytest.mark.parametrize("engine", ["pdflatex", "xelatex"])
@pytest.mark.parametrize("document", ["article", "article,12pt", "article,twocolumn"])
def test_every_table_compiles_and_nothing_overflows(engine: str, document: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} here: the structure alone is checked")
    kind, _, option = document.partition(",")
    tables = [text for name, text in TABLES.items() if option != "twocolumn" or "long" not in name]
    body = "\n\n".join([r"\listoftables", *tables])
    source = rf"\documentclass[{option}]{{{kind}}}\usepackage{{array,booktabs,longtable}}\begin{{document}}"
    (tmp_path / "all.tex").write_text(f"{source}\n{body}\n\\end{{document}}\n", "utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):
        made = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=600)
        said = made.stdout.decode("utf-8", "replace")
        assert made.returncode == 0, said[-3000:]
    overfull = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", said)]
    assert max(overfull, default=0.0) < 1.0, said
