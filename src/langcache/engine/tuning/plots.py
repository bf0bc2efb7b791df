"""Small line plots as SVG, for a page that loads nothing from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Series", "line_plot"]

_WIDTH, _HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 44
_TICKS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a plot.

    Attributes:
        name: What the legend calls it.
        points: Pairs of x and y.
        style: Its number, which the page's style sheet gives a colour: 1, 2 or 3.
        dots: Whether to draw the points, too.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: int = 1
    dots: bool = False


def line_plot(
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    *,
    x_range: tuple[float, float] = (0.0, 1.0),
    y_range: tuple[float, float] = (0.0, 1.0),
    x_mark: float | None = None,
    y_mark: float | None = None,
) -> str:
    """Return an SVG element.

    Args:
        title: What the plot shows; read out by screen readers.
        x_label: What the horizontal axis shows.
        y_label: What the vertical axis shows.
        series: The lines.
        x_range: The ends of the horizontal axis.
        y_range: The ends of the vertical axis. What lies outside is drawn at the edge.
        x_mark: Where to draw a vertical line, or None.
        y_mark: Where to draw a horizontal line, or None.
    """

    def x(value: float) -> float:
        share = (value - x_range[0]) / (x_range[1] - x_range[0])
        return round(_LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        share = (value - y_range[0]) / (y_range[1] - y_range[0])
        return round(_HEIGHT - _BOTTOM - min(1.0, max(0.0, share)) * (_HEIGHT - _TOP - _BOTTOM), 1)

    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for tick in _TICKS:
        at_x = x_range[0] + tick * (x_range[1] - x_range[0])
        at_y = y_range[0] + tick * (y_range[1] - y_range[0])
        parts += [
            f'<line class="grid" x1="{x(at_x)}" y1="{_TOP}" x2="{x(at_x)}" y2="{bottom}"/>',
            f'<line class="grid" x1="{_LEFT}" y1="{y(at_y)}" x2="{right}" y2="{y(at_y)}"/>',
            f'<text x="{x(at_x)}" y="{bottom + 16}" text-anchor="middle">{at_x:.4g}</text>',
            f'<text x="{_LEFT - 6}" y="{y(at_y) + 4}" text-anchor="end">{at_y:.4g}</text>',
        ]
    for each in series:
        line = " ".join(f"{x(a)},{y(b)}" for a, b in each.points)
        parts.append(f'<polyline class="line s{each.style}" points="{line}"/>')
        if each.dots:
            parts += [
                f'<circle class="dot s{each.style}" cx="{x(a)}" cy="{y(b)}" r="3"/>'
                for a, b in each.points
            ]
    if x_mark is not None:
        at = x(x_mark)
        parts.append(f'<line class="mark" x1="{at}" y1="{_TOP}" x2="{at}" y2="{bottom}"/>')
    if y_mark is not None:
        at = y(y_mark)
        parts.append(f'<line class="mark" x1="{_LEFT}" y1="{at}" x2="{right}" y2="{at}"/>')
    middle_x, middle_y = (_LEFT + right) / 2, (_TOP + bottom) / 2
    parts += [
        f'<text x="{middle_x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="12" y="{middle_y}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle_y})">{escape(y_label)}</text>',
        "</svg>",
    ]
    if len(series) > 1:
        names = "".join(
            f'<span class="s{each.style}">{escape(each.name)}</span>' for each in series
        )
        parts.append(f'<p class="legend">{names}</p>')
    return "".join(parts)
