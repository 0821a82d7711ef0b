"""Two texts side by side in one's mind: which words went, which came."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from rich.text import Text

from tpo.cli.escape import visible

GONE = "red strike"
COME = "bold green"
LONGEST = 2000
"""Words beyond which texts are shown without marks: matching takes quadratic time."""


def difference(before: str, after: str) -> tuple[Text, Text]:
    """*before* with the words that went marked, *after* with those that came."""
    old, new = _words(before), _words(after)
    if max(len(old), len(new)) > LONGEST:
        return Text("".join(old)), Text("".join(new))
    left, right = Text(), Text()
    for kind, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        left.append("".join(old[a:b]), style="" if kind == "equal" else GONE)
        right.append("".join(new[c:d]), style="" if kind == "equal" else COME)
    return left, right


def _words(text: str) -> list[str]:
    """Words and the spaces between them, together the whole of *text* as it may be shown."""
    return re.findall(r"\s+|\w+|[^\w\s]", visible(text))
