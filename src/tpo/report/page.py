"""The HTML page: markup, style and scripts in one self-contained file.

Its Content-Security-Policy allows only the page's own style and scripts, by their hashes: no request, no
other script, no form, no frame. The live view serves the same parts with another source of data.
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
"""Scripts that load the data: from the file itself, or from the server."""

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
"""Scripts in dependency order."""


def head_and_script(*, source: str = EMBEDDED, connect: str = "'none'") -> tuple[bytes, bytes]:
    """Return the page up to its data, and the script to write after the data blocks it needs first.

    Args:
        source: the script that loads the data, :data:`EMBEDDED` or :data:`LIVE`.
        connect: value of ``connect-src`` in the Content-Security-Policy; a page that is a file needs
            ``'none'``.
    """
    style = _style()
    policy = content_security_policy(source, connect)
    markup = Template(_read("web/page.html")).substitute(policy=policy, style=style)
    return markup.encode(), f"<script>{_script(source)}</script>\n".encode()


def content_security_policy(source: str = EMBEDDED, connect: str = "'none'") -> str:
    """Return the Content-Security-Policy of the page that :func:`head_and_script` returns."""
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
    """Return the libraries, each in its own scope, followed by the page's parts in one scope."""
    parts = "\n".join(_read(name) for name in (source, *PARTS))
    libraries = "\n".join(_read(name) for name in LIBRARIES)
    return f'{libraries}\n(() => {{\n"use strict";\n{parts}\n}})();\n'


def _read(name: str) -> str:
    # Browsers hash the parsed text, in which every line end is a line feed.
    return resources.files("tpo.report").joinpath(name).read_text("utf-8").replace("\r\n", "\n")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
