"""Figure files for papers: SVG, PNG and PDF drawn by matplotlib, and the numbers as CSV.

Only this module imports matplotlib. It needs no display and changes no global state.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpo.errors import MissingExtra, StoreError
from tpo.export.atomic_writer import replacing, replacing_text
from tpo.report.figures import Figure, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

FORMATS = ("svg", "png", "pdf")
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#5d3a9b", "#404040")
"""Colors by run number, distinguishable with any color vision (after Okabe and Ito)."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("--", "-.", ":")
INCHES = (4.6, 3.1)
PANEL_COLUMNS = 3
PANEL_INCHES = (2.5, 2.0)
LEGEND_LINE = 0.17
"""Height of a line of the legend in inches."""
TWO_COLUMNS = 34
"""Maximum characters of a name for a legend with two columns."""
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text remains text
    "pdf.fonttype": 42,  # TrueType, as publishers require
    "svg.hashsalt": "tpo",  # the same figure gives the same bytes
    "text.parse_math": False,  # a dollar sign in a run's name is not a formula
}
TIMELESS: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


def save_figures(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Write each figure to *folder* as NAME.svg, .png, .pdf and .csv.

    Raises:
        MissingExtra: matplotlib is not installed.
        StoreError: a file cannot be written.
    """
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise MissingExtra("matplotlib", "report", "drawing figures") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}") from error
    with rc_context(STYLE):
        return [path for figure in figures for path in (*_save(figure, folder), _save_csv(figure, folder))]


def _save(figure: Figure, folder: Path) -> list[Path]:
    canvas = _canvas(figure)
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # one layout serves all formats
    paths = [folder / f"{figure.name}.{kind}" for kind in FORMATS]
    for path, kind in zip(paths, FORMATS, strict=True):
        with replacing(path) as fresh:
            canvas.savefig(fresh, format=kind, dpi=200, metadata=TIMELESS[kind])
    return paths


def _save_csv(figure: Figure, folder: Path) -> Path:
    path = folder / f"{figure.name}.csv"
    with replacing_text(path) as file:
        csv.writer(file).writerows(figure.rows())
    return path


def _canvas(figure: Figure) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    panels = figure.panels
    columns = 1 if len(panels) == 1 else min(PANEL_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    single = len(panels) == 1
    names = list(dict.fromkeys(series.name for series in figure.series))
    names += [name for name, _ in figure.baselines]
    width, height = INCHES if single else (columns * PANEL_INCHES[0], rows * PANEL_INCHES[1])
    across = max(1, int(width / INCHES[0] * 2)) if max(map(len, names), default=0) <= TWO_COLUMNS else 1
    lines = -(-len(names) // across) if len(names) > 1 else 0
    canvas = Canvas(figsize=(width, height + lines * LEGEND_LINE), layout="constrained")
    grid = canvas.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(panels):
            axes.set_visible(False)
            continue
        _draw(axes, figure, panels[place], place, columns)
    if not single:
        canvas.suptitle(figure.title, fontsize=STYLE["font.size"] + 1)
        grid[-1][0].set_xlabel(figure.x)
        canvas.supylabel(figure.y, fontsize=STYLE["font.size"])
    if lines:  # outside the axes, to cover no point
        handles = {
            label: handle
            for axes in grid.flat
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=across)
    return canvas


def _draw(axes: Axes, figure: Figure, panel: str, place: int, columns: int) -> None:
    from matplotlib.ticker import MaxNLocator

    if panel:  # the axes' labels stand once, outside the panels
        axes.set_title(panel, fontsize=STYLE["font.size"])
        axes.tick_params(labelbottom=place + columns >= len(figure.panels))
    else:
        axes.set(xlabel=figure.x, ylabel=figure.y, title=figure.title)
    if figure.whole_x:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for series in figure.in_panel(panel):
        _series(axes, figure, series)
    for number, (name, value) in enumerate(figure.baselines):
        axes.axhline(value, color="0.45", linestyle=DASHES[number % 3], linewidth=1, label=name)


def _series(axes: Axes, figure: Figure, series: Series) -> None:
    color, x = COLORS[series.run % len(COLORS)], [point.x for point in series.points]
    if figure.kind == "line":
        _line(axes, series, color)
        return
    y = [point.y for point in series.points]
    if figure.kind == "histogram":
        axes.bar(x, y, width=figure.width or 1, color=color, alpha=0.5, label=series.name)
        return
    place = [other.run for other in figure.series].index(series.run)
    width = 0.8 / len(figure.series)
    shift = (place - (len(figure.series) - 1) / 2) * width
    axes.bar([value + shift for value in x], y, width=width, color=color, label=series.name)


def _line(axes: Axes, series: Series, color: str) -> None:
    dots = series.points
    x = [point.x for point in dots]
    mark = "none" if series.dashed else MARKS[series.run % len(MARKS)]
    dash = "--" if series.dashed else "-"
    y = [point.y for point in dots]
    axes.plot(x, y, dash, color=color, linewidth=1.4, label=series.name, marker=mark, markersize=4)
    low = [p.y if p.low is None else p.low for p in dots]
    high = [p.y if p.high is None else p.high for p in dots]
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
