"""A plot as SVG: lines over two logarithmic axes. Pure, and short enough not to need a library."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 70, 150, 40, 55
COLOURS = ("#2563eb", "#dc2626", "#059669", "#9333ea")

Points = Sequence[tuple[float, float]]


def svg(title: str, across: str, up: str, lines: Mapping[str, Points]) -> str:
    """The plot; points are (across, up), both more than 0."""
    points = [point for line in lines.values() for point in line]
    low = tuple(math.floor(math.log10(min(p[axis] for p in points))) for axis in (0, 1))
    high = tuple(math.ceil(math.log10(max(p[axis] for p in points))) for axis in (0, 1))
    high = tuple(max(h, l + 1) for l, h in zip(low, high, strict=True))  # noqa: E741
    x, y = (
        _scale(low[0], high[0], LEFT, WIDTH - RIGHT),
        _scale(low[1], high[1], HEIGHT - BOTTOM, TOP),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    ]
    parts += [
        '<rect width="100%" height="100%" fill="white"/>',
        _text(WIDTH / 2, 20, title, "middle", 15),
    ]
    for power in range(low[0], high[0] + 1):
        parts += [
            _line(x(10.0**power), TOP, x(10.0**power), HEIGHT - BOTTOM),
            _text(x(10.0**power), HEIGHT - BOTTOM + 18, _number(power), "middle"),
        ]
    for power in range(low[1], high[1] + 1):
        parts += [
            _line(LEFT, y(10.0**power), WIDTH - RIGHT, y(10.0**power)),
            _text(LEFT - 8, y(10.0**power) + 4, _number(power), "end"),
        ]
    parts += [
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, "middle"),
        _text(LEFT - 50, TOP - 14, up, "start"),
    ]
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [
            f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{colour}"/>' for a, b in line
        ]
        parts.append(_text(WIDTH - RIGHT + 10, y(line[-1][1]) + 4, name, "start", 12, colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _scale(low: int, high: int, start: float, end: float):  # type: ignore[no-untyped-def]
    return lambda value: start + (math.log10(value) - low) / (high - low) * (end - start)


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 12, colour: str = "#222") -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{colour}">{escaped}</text>'
    )
