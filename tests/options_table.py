"""The table of options in docs/configuration.md; ``python -m tests.options_table`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from tpo.config.option import Setting
from tpo.config.settings import OPTIONS
from tpo.registry import describe

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
BEGIN, END = "<!-- options: made by python -m tests.options_table -->\n", "<!-- end of options -->\n"


def table() -> str:
    """Return the table as the definition of the settings makes it."""
    head = "| flag | default | description |\n|---|---|---|\n"
    return head + "".join(map(_row, OPTIONS.values()))


def _row(setting: Setting) -> str:
    option = setting.option
    flags = " ".join(f"`{flag}`" for flag in (option.short, setting.flag) if flag)
    default = setting.default_text
    exact = default if option.default is not None or not default else f"`{default}`"
    text = f"{option.help} {option.docs}".strip()
    if option.group is not None:
        kinds = describe(option.group).replace("http://HOST:PORT/v1", "`http://HOST:PORT/v1`")  # no link
        text = text.replace("{kinds}", kinds)
    return f"| {flags} | {exact} | {text} |\n".replace("|  |", "| |")


def main() -> None:
    """Write the table into the page."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
