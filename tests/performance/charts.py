"""Draw two kinds of charts as SVG, readable on light and on dark pages."""

import math
from collections.abc import Mapping, Sequence
from html import escape

#: Told apart by people who see few colours, on white and on black alike.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
_WIDTH, _HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 190, 40, 40
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}line,path{stroke:#8c959f;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
)

type Series = Mapping[str, Sequence[tuple[float, float]]]


def draw_lines(title: str, unit: str, series: Series) -> str:
    """Return a chart with logarithmic axes and a line for each series."""
    points = [point for line in series.values() for point in line]
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    high = max(high, low + 1)
    first, last = math.log10(xs[0]), math.log10(xs[-1])

    def scale_x(x: float) -> float:
        return _LEFT + (math.log10(x) - first) / ((last - first) or 1) * _get_inner_width()

    def scale_y(y: float) -> float:
        return _compute_y((math.log10(y) - low) / (high - low))

    parts = [_draw_text(scale_x(x), _HEIGHT - 15, f"{x:g}", "middle") for x in xs]
    for power in range(low, high + 1):
        y = scale_y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_draw_text(_LEFT - 8, y + 4, f"{10.0**power:g}", "end"))
    for number, line in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{scale_x(x):.1f},{scale_y(y):.1f}" for x, y in line)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts += [
            f'<circle cx="{scale_x(x):.1f}" cy="{scale_y(y):.1f}" r="4" fill="{colour}"/>'
            for x, y in line
        ]
    return _build_chart(f"{title}, {unit}", [*parts, *_draw_legend(series)])


def draw_stacked_bars(title: str, bars: Mapping[str, Mapping[str, float]]) -> str:
    """Return a chart with a stacked bar for each name. Each word of a name is on its own line."""
    names = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    highest = max(sum(bar.values()) for bar in bars.values())
    width = _get_inner_width() / len(bars)
    parts: list[str] = []
    for number, (name, bar) in enumerate(bars.items()):
        left, below = _LEFT + number * width + width * 0.15, 0.0
        for part, value in bar.items():
            top, bottom = _compute_y((below + value) / highest), _compute_y(below / highest)
            colour = COLOURS[names.index(part) % len(COLOURS)]
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{width * 0.7:.1f}" '
                f'height="{bottom - top:.1f}" fill="{colour}"/>'
            )
            below += value
        middle = left + width * 0.35
        parts.append(_draw_text(middle, _compute_y(below / highest) - 5, f"{below:.0f}", "middle"))
        for line, word in enumerate(name.split()):
            parts.append(_draw_text(middle, _HEIGHT - 22 + 15 * line, word, "middle"))
    return _build_chart(title, [*parts, *_draw_legend(names)])


def _get_inner_width() -> float:
    return _WIDTH - _LEFT - _RIGHT


def _compute_y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM - 15)


def _draw_legend(names: Mapping[str, object] | Sequence[str]) -> list[str]:
    parts = []
    for number, name in enumerate(names):
        y = _TOP + 20 * number
        colour = COLOURS[number % len(COLOURS)]
        left = _WIDTH - _RIGHT + 15
        parts.append(f'<rect x="{left}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(_draw_text(left + 18, y + 11, name))
    return parts


def _draw_text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _build_chart(title: str, parts: Sequence[str]) -> str:
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            _draw_text(_LEFT, 22, title),
            *parts,
            "</svg>\n",
        )
    )
