"""Plots as SVG, small enough to be read in the page's source; colours follow the page's light or dark."""

import math
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
_MOST_TICKS: Final = 6
_ROUND: Final = (1, 2, 5, 10)
"""Between ticks there is one of these times a power of ten."""

_LEGEND_ROW: Final = 16
_TINY: Final = 1e-9
"""What rounding may have taken from a value at the end of an axis, in steps."""


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
        """Return round values within the axis, with what is written beside them.

        >>> [text for _, text in Axis("side of the face (px)", 32.0, 64.0).ticks()]
        ['40', '50', '60']
        """
        scale = 100.0 if self.is_share else 1.0
        low, high = scale * self.low, scale * self.high
        power = 10.0 ** math.floor(math.log10((high - low) / _MOST_TICKS))
        step = next(one * power for one in _ROUND if one * power * _MOST_TICKS >= high - low)
        digits = max(0, -math.floor(math.log10(step)))
        numbers = range(math.ceil(low / step - _TINY), math.floor(high / step + _TINY) + 1)
        return [(number * step / scale, f"{number * step:.{digits}f}") for number in numbers]


def plot(title: str, x: Axis, y: Axis, series: Sequence[Series], *, is_stepped: bool = False) -> str:
    """Return a plot of lines.

    Args:
        title: read out to those who do not see it.
        x: the axis below.
        y: the axis on the left.
        series: four at most; one without points is left out.
        is_stepped: draw each value as far as the next one, as histograms are.

    """
    shown = [one for one in series if one.points]
    legend = _legend(shown)
    above = _LEGEND_ROW * len(shown) if legend else 0
    lines = "".join(
        f'<path d="{_path(one.points, x, y, is_stepped=is_stepped)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for one, colour in zip(shown, COLOURS, strict=False)
    )
    return (
        f'<svg viewBox="0 {-above} {_WIDTH} {_HEIGHT + above}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(title)}" font-size="11" fill="currentColor">{_grid(x, y)}{lines}{legend}</svg>'
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
    """Return names and colours, above the plot, where no line runs; nothing where there is one line."""
    if len(series) < 2:
        return ""
    rows = [
        f'<rect x="{_LEFT}" y="{8 - _LEGEND_ROW * row}" width="14" height="4" fill="{colour}"/>'
        f'<text x="{_LEFT + 20}" y="{13 - _LEGEND_ROW * row}">{escape(one.name)}</text>'
        for row, (one, colour) in zip(range(len(series), 0, -1), zip(series, COLOURS, strict=False), strict=False)
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
