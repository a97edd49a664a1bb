"""Plots as SVG, small enough to be read in the page's source; colours follow the page's light or dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Point = tuple[float, float]

COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")

_WIDTH: Final = 460
_HEIGHT: Final = 300
_LEFT: Final = 52
_BOTTOM: Final = 44
_TOP: Final = 14
_RIGHT: Final = 16
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot.

    Attributes:
        name: for the legend.
        points: x and y, x ascending.

    """

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        title: what it shows, with its unit.
        low: value at its beginning.
        high: value at its end, above ``low``.
        is_share: ticks are per cent.

    """

    title: str
    low: float
    high: float
    is_share: bool = False

    def place(self, value: float) -> float:
        """Return where a value is, from 0 to 1; what lies beyond is put on the border."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def ticks(self) -> list[tuple[float, str]]:
        """Return values with what is written beside them."""
        step = (self.high - self.low) / _TICKS
        values = [self.low + step * number for number in range(_TICKS + 1)]
        digits = 0 if self.is_share and step >= 0.0099 else 1 if self.is_share else 2
        shown = [100 * value if self.is_share else value for value in values]
        return [(value, f"{number:.{digits}f}") for value, number in zip(values, shown, strict=True)]


def plot(title: str, x: Axis, y: Axis, series: Sequence[Series], *, is_stepped: bool = False) -> str:
    """Return a plot of lines.

    Args:
        title: read out to those who do not see it.
        x: the axis below.
        y: the axis on the left.
        series: four at most.
        is_stepped: draw each value as far as the next one, as histograms are.

    """
    lines = "".join(
        f'<path d="{_path(one.points, x, y, is_stepped=is_stepped)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for one, colour in zip(series, COLOURS, strict=False)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" aria-label="{escape(title)}" '
        f'font-size="11" fill="currentColor">{_grid(x, y)}{lines}{_legend(series)}</svg>'
    )


def _grid(x: Axis, y: Axis) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value, text in x.ticks():
        at = _across(x, value)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="currentColor" opacity=".15"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">{text}</text>')
    for value, text in y.ticks():
        at = _down(y, value)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{right}" stroke="currentColor" opacity=".15"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 33}" text-anchor="middle">{escape(x.title)}</text>')
    parts.append(
        f'<text x="13" y="{middle}" text-anchor="middle" transform="rotate(-90 13 {middle})">{escape(y.title)}</text>'
    )
    return "".join(parts)


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return ""
    rows = [
        f'<rect x="{_LEFT + 10}" y="{_TOP + 8 + 16 * row}" width="14" height="4" fill="{colour}"/>'
        f'<text x="{_LEFT + 30}" y="{_TOP + 14 + 16 * row}">{escape(one.name)}</text>'
        for row, (one, colour) in enumerate(zip(series, COLOURS, strict=False))
    ]
    return "".join(rows)


def _path(points: Sequence[Point], x: Axis, y: Axis, *, is_stepped: bool) -> str:
    steps = []
    for number, (across, down) in enumerate(points):
        at, height = _across(x, across), _down(y, down)
        if number == 0:
            steps.append(f"M{at:.1f} {height:.1f}")
        else:
            steps.append(f"H{at:.1f}V{height:.1f}" if is_stepped else f"L{at:.1f} {height:.1f}")
    return "".join(steps)


def _across(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _down(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _TOP - _BOTTOM)
