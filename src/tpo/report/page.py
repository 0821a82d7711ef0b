"""The page: its markup, style and scripts put into one file that may ask nothing of anyone.

The policy in its head allows the page's own style and scripts by their hashes and nothing else: no request,
no other script, no form, no frame. A live view takes another source of data in place of the embedded one, and
serves the same parts.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from string import Template

STYLES = ("vendor/uplot/uPlot.min.css", "web/page.css")
LIBRARIES = ("vendor/uplot/uPlot.iife.min.js", "vendor/jsdiff/diff.min.js")
EMBEDDED = "web/source-embedded.js"
LIVE = "web/source-live.js"
"""Where the data comes from: the file itself, or the server that sent it."""

PARTS = (
    "web/elements.js",
    "web/numbers.js",
    "web/text.js",
    "web/difference.js",
    "web/chart-options.js",
    "web/charts.js",
    "web/state.js",
    "web/results.js",
    "web/runs.js",
    "web/head.js",
    "web/rows.js",
    "web/table.js",
    "web/candidates.js",
    "web/trajectory.js",
    "web/queries.js",
    "web/keys.js",
    "web/main.js",
)
"""In the order in which they build on each other."""


def front(*, source: str = EMBEDDED, connect: str = "'none'") -> tuple[bytes, bytes]:
    """The page up to its data, and its script, which goes after the data that it needs at once.

    Args:
        source: the script that says where the data comes from: ``embedded()`` or its like.
        connect: whom the page may ask, as Content-Security-Policy's ``connect-src`` puts it; a page that is
            a file asks nobody.
    """
    style = _style()
    markup = Template(_read("web/page.html")).substitute(policy=policy(source, connect), style=style)
    return markup.encode(), f"<script>{_script(source)}</script>\n".encode()


def policy(source: str = EMBEDDED, connect: str = "'none'") -> str:
    """The Content-Security-Policy of the page that :func:`front` makes of the same."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(_script(source))}",
            f"style-src {_hash(_style())}",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _style() -> str:
    return "\n".join(_read(name) for name in STYLES)


END = b"</body>\n</html>\n"


def _script(source: str) -> str:
    """Libraries first, each in its own scope, then the page's parts in one."""
    parts = "\n".join(_read(name) for name in (source, *PARTS))
    libraries = "\n".join(_read(name) for name in LIBRARIES)
    return f'{libraries}\n(() => {{\n"use strict";\n{parts}\n}})();\n'


def _read(name: str) -> str:
    # Browsers hash what they parsed, and parsing turns every line end into a line feed.
    return resources.files("tpo.report").joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
