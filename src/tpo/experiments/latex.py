r"""LaTeX tables for papers: ``booktabs`` tables that fit the text width, with notes below.

A table that fits one of two columns is a ``table``, a wider one a ``table*``. Columns that do not fit are
moved to further blocks below. A table longer than a page is a ``longtable``. Cells wrap, so nothing
overflows. Every engine compiles the table; pdfLaTeX shows a character without a font by its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import ceil

Row = Sequence[str]

COLUMN, FOOTNOTE, SCRIPT = 26.5, 39.0, 42.0
r"""Widths in em: a column of two at ``\footnotesize``; the text at ``\footnotesize`` and ``\scriptsize``."""

GAP = 0.7
"""Space between two cells in em."""

PAGE_LINES = 45
"""Maximum lines of a table on one page."""

UNBROKEN = 12
"""Maximum characters of a word between two break points."""

PREAMBLE = r"% Needs \usepackage{array,booktabs,longtable}"
MACRO = (
    r"\ifdefined\tpochar\else\protected\def\tpochar#1#2{\ifdefined\Umathcode #1\else U+#2\fi}\fi"
    " % prints a character, or its code if pdfLaTeX has no font for it"
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{EN DASH}": r"\textendash{}",
    "\N{EM DASH}": r"\textemdash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{DAGGER}": r"$^\dagger$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{NO-BREAK SPACE}": "~",
}
_SMALL = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma"
    " sigma tau upsilon varphi chi psi omega"
)
_CAPITAL = "A B Gamma Delta E Z H Theta I K Lambda M N Xi O Pi P - Sigma T Upsilon Phi X Psi Omega"
_GREEK = {
    chr(first + place): name[:1] if name == "omicron" or len(name) == 1 else rf"\ensuremath{{\{name}}}"
    for first, names in ((0x3B1, _SMALL), (0x391, _CAPITAL))
    for place, name in enumerate(names.split())
    if name != "-"
}
_LATIN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿ")
"""Letters beyond ASCII in the default font of every engine."""

_NARROW = dict.fromkeys(".,:;[]!'|ijlI", 0.3) | dict.fromkeys(" -()ft", 0.4)
_WIDE = dict.fromkeys("+\u2212<>%MWmw&@", 0.85)
_CODED = r"[^\x00-\u00ff\u0370-\u03ff\u2000-\u22ff]"
"""Characters that are printed as codes; a line may break after each of them."""
_BREAK_AFTER = re.compile(rf"(?<=[_/:@])|(?<=[^-\d]-)(?=[^-])|(?<=[^\W\d_]\.)(?=[^\W\d_])|(?<={_CODED})")
_PIECE = re.compile(r"\[[^\[\]]*\]\S*|[^\s\[]+|\[")


def latex_table(head: Row, rows: Sequence[Row], caption: str, notes: Sequence[str] = ()) -> str:
    """Return a table with *caption* above and *notes* below.

    Raises:
        ValueError: the length of a row differs from that of *head*.
    """
    if any(len(row) != len(head) for row in rows):
        raise ValueError("each row of a table needs as many cells as its header")
    cells = [[_one_line(cell) for cell in row] for row in (head, *rows)]
    minimum = [max(_unbreakable_width(row[k]) for row in cells) + GAP for k in range(len(head))]
    size, width = (r"\footnotesize", FOOTNOTE) if sum(minimum) <= FOOTNOTE else (r"\scriptsize", SCRIPT)
    kind = "table" if sum(minimum) <= COLUMN else "table*"
    width = COLUMN if kind == "table" else width
    blocks = [_Block(cells, columns, minimum, width) for columns in _columns(minimum, width)]
    below = "\n".join(escape_latex(note if note.endswith((".", "!", "?")) else f"{note}.") for note in notes)
    style = rf"{size}\setlength{{\tabcolsep}}{{{GAP / 2:.2f}em}}\setlength{{\belowcaptionskip}}{{6pt}}"
    parts = [rf"\begin{{{kind}}}", r"\centering", style, _caption(caption)]
    for block in blocks:
        parts += [*block.tabular(), r"\par\medskip"]
    parts += [*_note_box(below), rf"\end{{{kind}}}"]
    if max(block.lines for block in blocks) > PAGE_LINES:
        captions = [_caption(caption), *[""] * (len(blocks) - 1)]
        long = [line for block, own in zip(blocks, captions, strict=True) for line in block.longtable(own)]
        parts = [r"\begingroup", style, *long, *_note_box(below), r"\par\endgroup"]
    text = "\n".join(parts)
    return "\n".join([PREAMBLE, *([MACRO] if r"\tpochar" in text else []), text])


def escape_latex(text: str) -> str:
    """Return *text* on one line with LaTeX's special characters escaped and break points in long words."""
    spaced = re.sub(
        r"\[([^\[\]]*)\]", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), _one_line(text)
    )
    words = [r"\allowbreak{}".join(map(_part, _parts(word))) for word in spaced.split(" ")]
    return " ".join(words).replace("--", "-{}-")


class _Block:
    """Columns of a table printed side by side; the first of *rows* is the header."""

    def __init__(
        self, rows: Sequence[Sequence[str]], columns: Sequence[int], minimum: Sequence[float], width: float
    ) -> None:
        self.rows = [[row[k] for k in columns] for row in rows]
        cells = list(zip(*self.rows, strict=True))
        wanted = [max(0.0, max(map(_width, cells[i])) + GAP - minimum[k]) for i, k in enumerate(columns)]
        spare = width - sum(minimum[k] for k in columns)
        share = min(1.0, max(0.0, spare) / sum(wanted)) if sum(wanted) else 0.0
        self.widths = [minimum[k] + share * wanted[i] - GAP for i, k in enumerate(columns)]
        self.numeric = [i > 0 and all(map(_is_number, column[1:])) for i, column in enumerate(cells)]
        self.lines = sum(
            max(ceil(_width(cell) / width) for cell, width in zip(row, self.widths, strict=True))
            for row in self.rows
        )

    def tabular(self) -> list[str]:
        head, *body = map(_row, self.rows)
        rules = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return [rf"\begin{{tabular}}{{{self._format()}}}", *rules, r"\end{tabular}"]

    def longtable(self, caption: str) -> list[str]:
        head, *body = map(_row, self.rows)
        again = [r"\toprule", head, r"\midrule"]
        ends = [
            *([rf"{caption}\\"] if caption else []),
            *again,
            r"\endfirsthead",
            *again,
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
        ]
        return [rf"\begin{{longtable}}{{{self._format()}}}", *ends, *body, r"\end{longtable}"]

    def _format(self) -> str:
        sides = ["left" if numeric else "right" for numeric in self.numeric]
        return "".join(
            rf">{{\ragged{side}\arraybackslash}}p{{{width:.1f}em}}"
            for side, width in zip(sides, self.widths, strict=True)
        )


def _columns(minimum: Sequence[float], width: float) -> Iterator[list[int]]:
    """Yield the columns of each block: the first column, and as many others as fit beside it."""
    block = [0]
    for column in range(1, len(minimum)):
        if len(block) > 1 and sum(minimum[k] for k in block) + minimum[column] > width:
            yield block
            block = [0]
        block.append(column)
    yield block


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, cells)) + r" \\[2pt]"


def _caption(caption: str) -> str:
    text = escape_latex(caption)
    # A list of tables precedes the definition of the macro.
    short = re.sub(r"\\tpochar\{.\}\{([0-9A-F]+)\}", r"U+\1", text)
    return rf"\caption{{{text}}}" if short == text else rf"\caption[{{{short}}}]{{{text}}}"


def _note_box(notes: str) -> list[str]:
    return [r"\noindent\begin{minipage}{\linewidth}\raggedright", notes, r"\end{minipage}"] if notes else []


def _is_number(cell: str) -> bool:
    return re.match(r"[\u2212+]?\d|(\N{EN DASH}|not computed)?$", cell) is not None


def _unbreakable_width(cell: str) -> float:
    """Return the width in em of the longest part of *cell* without a break point."""
    pieces = _PIECE.findall(cell)
    parts = [part for piece in pieces for part in ([piece] if piece.startswith("[") else _parts(piece))]
    return max(map(_width, parts), default=0.0)


def _parts(word: str) -> list[str]:
    """Return the parts of *word* between its break points; an interval is one part."""
    if word.startswith("["):
        return [word]
    parts = [part for part in _BREAK_AFTER.split(word) if part]
    return [part[i : i + UNBROKEN] for part in parts for i in range(0, len(part), UNBROKEN)] or [word]


def _width(text: str) -> float:
    """Return an upper bound of the width of *text* in em, from the widths of Computer Modern."""
    return sum(map(_em, text))


def _em(sign: str) -> float:
    if sign in _NARROW or sign in _WIDE:
        return _NARROW.get(sign) or _WIDE[sign]
    if sign.isdigit() or (sign.islower() and sign in _LATIN | frozenset("abcdefghijklmnopqrstuvwxyz")):
        return 0.58
    if sign.isascii() or sign in _LATIN or sign in _LATEX or sign in _GREEK:
        return 0.78
    return 3.6  # printed as a code, such as U+1F600


def _part(text: str) -> str:
    """Return a part of a word that must not be broken: TeX would break D2-N5 after its hyphen."""
    escaped = "".join(map(_character, text))
    return rf"\mbox{{{escaped}}}" if re.search(r"\d-\w", text) else escaped


def _character(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    if sign in _GREEK:
        return _GREEK[sign]
    if (sign.isascii() and sign.isprintable()) or sign in _LATIN:
        return sign
    return rf"\tpochar{{{sign}}}{{{ord(sign):04X}}}" if sign.isprintable() else f"U+{ord(sign):04X}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
