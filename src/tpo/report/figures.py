"""Figures as plain values, drawn by the page and by figure files, and listed as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from tpo.report.bootstrap import Estimate

Kind = Literal["line", "bars", "histogram"]


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series with its interval; in a histogram *x* is the middle of the bar."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    queries: int | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one line or one set of bars: *run* sets the color; a derived series (best-of-n) is dashed.

    *panel* names the panel that draws it in a figure of several; one without a panel is in all of them.
    """

    name: str
    run: int
    points: tuple[Point, ...]
    dashed: bool = False
    panel: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: *name* is its file name, *baselines* are numbers drawn as horizontal lines."""

    name: str
    title: str
    caption: str
    x: str
    y: str
    kind: Kind
    series: tuple[Series, ...]
    baselines: tuple[tuple[str, float], ...] = ()
    whole_x: bool = False
    """True if x is a count, so that ticks are whole numbers."""
    width: float | None = None
    """Width of a histogram's bars, in units of x."""

    @property
    def panels(self) -> tuple[str, ...]:
        """Names of the panels, in order; one without a name if the figure is not divided."""
        return tuple(dict.fromkeys(each.panel for each in self.series if each.panel)) or ("",)

    def in_panel(self, panel: str) -> tuple[Series, ...]:
        """Return the series that *panel* draws."""
        return tuple(each for each in self.series if each.panel in ("", panel))

    def split(self) -> list[Figure]:
        """Return a figure for each panel."""
        if len(self.panels) == 1:
            return [self]
        return [
            replace(
                self,
                name=f"{self.name}-{number}",
                title=f"{self.title}: {panel}",
                series=tuple(replace(each, panel="") for each in self.in_panel(panel)),
            )
            for number, panel in enumerate(self.panels, 1)
        ]

    def record(self) -> dict[str, Any]:
        """Return the figure as JSON values for the page, with points as columns."""
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "x": self.x,
            "y": self.y,
            "kind": self.kind,
            "whole": self.whole_x,
            "width": self.width,
            "baselines": [[name, value] for name, value in self.baselines],
            "series": [_columns(series) for series in self.series],
        }

    def rows(self) -> list[list[Any]]:
        """Return a header, one row per point, then one row per baseline."""
        head: list[Any] = ["series", self.x, self.y, "low", "high", "queries"]
        rows = [[s.name, p.x, p.y, p.low, p.high, p.queries] for s in self.series for p in s.points]
        return [head, *rows, *([name, None, value, None, None, None] for name, value in self.baselines)]


def points(
    places: Sequence[float], estimates: Sequence[Estimate | None], queries: Sequence[int]
) -> tuple[Point, ...]:
    """Return a point for each estimate that is not None."""
    return tuple(
        Point(x, estimate.value, estimate.low, estimate.high, count)
        for x, estimate, count in zip(places, estimates, queries, strict=True)
        if estimate is not None
    )


def _columns(series: Series) -> dict[str, Any]:
    dots = series.points
    return {
        "name": series.name,
        "run": series.run,
        "dashed": series.dashed,
        "x": [dot.x for dot in dots],
        "y": [dot.y for dot in dots],
        "low": [dot.low for dot in dots],
        "high": [dot.high for dot in dots],
        "queries": [dot.queries for dot in dots],
    }
