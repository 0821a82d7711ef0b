r"""Tables for papers: ``booktabs`` that fits the text, with notes below, whatever names are in it.

A table that fits one column of two is a ``table``, a wider one a ``table*``; columns that do not fit stand in
further blocks below each other; a table longer than a page is a ``longtable``. Cells wrap, so nothing
overflows. Any engine compiles it; a character that pdfLaTeX has no font for is shown there by its code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import ceil

Row = Sequence[str]

COLUMN, FOOTNOTE, SCRIPT = 26.5, 39.0, 42.0
r"""Widths in em: a column of two at ``\footnotesize``, the text at ``\footnotesize`` and ``\scriptsize``."""

GAP = 0.7
"""Width in em of the space between two cells."""

LINES = 45
"""Lines of a table up to which it stays on one page."""

UNBROKEN = 12
"""Characters of a word between two places where it may be broken."""

PREAMBLE = r"% Needs \usepackage{array,booktabs,longtable}"
MACRO = (
    r"\ifdefined\tpochar\else\protected\def\tpochar#1#2{\ifdefined\Umathcode #1\else U+#2\fi}\fi"
    " % shows a character, or its code where pdfLaTeX has no font for it"
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
"""Letters beyond ASCII that every engine has in its default font."""

_NARROW = dict.fromkeys(".,:;[]!'|ijlI", 0.3) | dict.fromkeys(" -()ft", 0.4)
_WIDE = dict.fromkeys("+\u2212<>%MWmw&@", 0.85)
_CODED = r"[^\x00-\u00ff\u0370-\u03ff\u2000-\u22ff]"
"""Characters that are shown by their code, and may all be broken after."""
_BREAK_AFTER = re.compile(rf"(?<=[_/:@])|(?<=[^-\d]-)(?=[^-])|(?<=[^\W\d_]\.)(?=[^\W\d_])|(?<={_CODED})")
_PIECE = re.compile(r"\[[^\[\]]*\]\S*|[^\s\[]+|\[")


def latex_table(head: Row, rows: Sequence[Row], caption: str, notes: Sequence[str] = ()) -> str:
    """Return a table with *caption* above and *notes* below.

    Raises:
        ValueError: a row has another length than *head*.
    """
    if any(len(row) != len(head) for row in rows):
        raise ValueError("each row of a table needs as many cells as its head")
    cells = [[_one_line(cell) for cell in row] for row in (head, *rows)]
    least = [max(_longest(row[k]) for row in cells) + GAP for k in range(len(head))]
    size, room = (r"\footnotesize", FOOTNOTE) if sum(least) <= FOOTNOTE else (r"\scriptsize", SCRIPT)
    kind = "table" if sum(least) <= COLUMN else "table*"
    room = COLUMN if kind == "table" else room
    blocks = [_Block(cells, columns, least, room) for columns in _columns(least, room)]
    told = "\n".join(latex(note if note.endswith((".", "!", "?")) else f"{note}.") for note in notes)
    style = rf"{size}\setlength{{\tabcolsep}}{{{GAP / 2:.2f}em}}\setlength{{\belowcaptionskip}}{{6pt}}"
    parts = [rf"\begin{{{kind}}}", r"\centering", style, _caption(caption)]
    for block in blocks:
        parts += [*block.tabular(), r"\par\medskip"]
    parts += [*_below(told), rf"\end{{{kind}}}"]
    if max(block.lines for block in blocks) > LINES:
        captions = [_caption(caption), *[""] * (len(blocks) - 1)]
        long = [line for block, own in zip(blocks, captions, strict=True) for line in block.longtable(own)]
        parts = [r"\begingroup", style, *long, *_below(told), r"\par\endgroup"]
    text = "\n".join(parts)
    return "\n".join([PREAMBLE, *([MACRO] if r"\tpochar" in text else []), text])


def latex(text: str) -> str:
    """Return *text* on one line with LaTeX's own characters escaped and places where words may be broken."""
    spaced = re.sub(
        r"\[([^\[\]]*)\]", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), _one_line(text)
    )
    words = [r"\allowbreak{}".join(map(_part, _parts(word))) for word in spaced.split(" ")]
    return " ".join(words).replace("--", "-{}-")


class _Block:
    """Columns of a table that stand side by side; the first of *rows* is the head."""

    def __init__(
        self, rows: Sequence[Sequence[str]], columns: Sequence[int], least: Sequence[float], room: float
    ) -> None:
        self.rows = [[row[k] for k in columns] for row in rows]
        cells = list(zip(*self.rows, strict=True))
        wanted = [max(0.0, max(map(_width, cells[i])) + GAP - least[k]) for i, k in enumerate(columns)]
        spare = room - sum(least[k] for k in columns)
        share = min(1.0, max(0.0, spare) / sum(wanted)) if sum(wanted) else 0.0
        self.widths = [least[k] + share * wanted[i] - GAP for i, k in enumerate(columns)]
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


def _columns(least: Sequence[float], room: float) -> Iterator[list[int]]:
    """Yield the columns of each block: the first again and again, and as many others as fit beside it."""
    block = [0]
    for column in range(1, len(least)):
        if len(block) > 1 and sum(least[k] for k in block) + least[column] > room:
            yield block
            block = [0]
        block.append(column)
    yield block


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(latex, cells)) + r" \\[2pt]"


def _caption(caption: str) -> str:
    text = latex(caption)
    # A list of tables stands before the macro is known.
    short = re.sub(r"\\tpochar\{.\}\{([0-9A-F]+)\}", r"U+\1", text)
    return rf"\caption{{{text}}}" if short == text else rf"\caption[{{{short}}}]{{{text}}}"


def _below(notes: str) -> list[str]:
    return [r"\noindent\begin{minipage}{\linewidth}\raggedright", notes, r"\end{minipage}"] if notes else []


def _is_number(cell: str) -> bool:
    return re.match(r"[\u2212+]?\d|(\N{EN DASH}|not computed)?$", cell) is not None


def _longest(cell: str) -> float:
    """Return the width in em of the longest part of *cell* that is never broken."""
    pieces = _PIECE.findall(cell)
    parts = [part for piece in pieces for part in ([piece] if piece.startswith("[") else _parts(piece))]
    return max(map(_width, parts), default=0.0)


def _parts(word: str) -> list[str]:
    """Return *word* in the parts between which it may be broken; an interval stays whole."""
    if word.startswith("["):
        return [word]
    parts = [part for part in _BREAK_AFTER.split(word) if part]
    return [part[i : i + UNBROKEN] for part in parts for i in range(0, len(part), UNBROKEN)] or [word]


def _width(text: str) -> float:
    """Return the width of *text* in em, by the widths of Computer Modern; never too little."""
    return sum(map(_em, text))


def _em(sign: str) -> float:
    if sign in _NARROW or sign in _WIDE:
        return _NARROW.get(sign) or _WIDE[sign]
    if sign.isdigit() or (sign.islower() and sign in _LATIN | frozenset("abcdefghijklmnopqrstuvwxyz")):
        return 0.58
    if sign.isascii() or sign in _LATIN or sign in _LATEX or sign in _GREEK:
        return 0.78
    return 3.6  # by its code, as in U+1F600


def _part(text: str) -> str:
    """Return a part of a word, which stays whole: TeX would break D2-N5 behind its hyphen."""
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
