"""Any chart as a whole SVG: within a page, or as a file that stands alone."""

from __future__ import annotations

import textwrap

from markupsafe import Markup

from unrolled.report.charts.dots import draw_dots
from unrolled.report.charts.heat import SHADES, draw_heat
from unrolled.report.charts.lines import draw_lines
from unrolled.report.charts.records import Chart, DotChart, LineChart, ScatterChart
from unrolled.report.charts.scatter import draw_scatter
from unrolled.report.charts.svg import element, text
from unrolled.report.palette import all_tones

WIDE = 720
NARROW = 340
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"


def draw(chart: Chart, width: int, *, label: str) -> Markup:
    """The chart as an ``<svg>`` for a page, whose style sheet colours it.

    Args:
        chart: what to show.
        width: pixels of the drawing's own grid; :data:`WIDE` or :data:`NARROW`.
        label: what a screen reader calls it.
    """
    content, height = _content(chart, width)
    return element(
        "svg",
        content,
        class_="chart",
        role="group",
        aria_label=label,
        viewBox=f"0 0 {width} {height:.0f}",
        data_width=width,
    )


def standalone(chart: Chart, title: str, conclusion: str) -> str:
    """The chart as an SVG file with its title, its conclusion and its own style, on white."""
    content, height = _content(chart, WIDE)
    headline = textwrap.wrap(title, 72) or [""]
    closing = textwrap.wrap(conclusion, 104)
    top = 30 + 20 * len(headline)
    bottom = top + height + 8 + 17 * len(closing)
    parts = [
        element("title", title),
        element("desc", conclusion),
        element("style", Markup(style())),
        element("rect", x=0, y=0, width=WIDE + 48, height=round(bottom + 24), fill="#ffffff"),
        *(text(row, 24, 34 + 20 * place, css="title") for place, row in enumerate(headline)),
        element("g", content, transform=f"translate(24 {top})"),
        *(text(row, 24, top + height + 16 + 17 * place, css="closing") for place, row in enumerate(closing)),
    ]
    whole = element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDE + 48} {bottom + 24:.0f}",
        width=WIDE + 48,
        height=round(bottom + 24),
    )
    return str(whole) + "\n"


def style() -> str:
    """The style of a chart that stands alone: the page's light colours, spelled out."""
    tones = "".join(f".{name}{{color:{tone.light}}}" for name, tone in all_tones().items())
    shades = "".join(
        f".shade-{step} .cell{{fill:#2166ac;fill-opacity:{step * 0.1:.1f}}}"
        f".fall-{step} .cell{{fill:#b35806;fill-opacity:{step * 0.1:.1f}}}"
        for step in range(SHADES + 1)
    )
    return (
        f"text{{font-family:{FONT};font-size:12px;fill:#22262b}}"
        ".title{font-size:16px;font-weight:600}.closing{font-size:13px;fill:#4b525b}"
        ".tick,.note,.figure{font-size:11px}.tick,.note,.label{fill:#5b626b}"
        ".grid{stroke:#e3e5e8}.axis{stroke:#9aa0a8}.reference{stroke:#6d747d;stroke-dasharray:2 3}"
        ".line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}"
        ".dashed{stroke-dasharray:6 4}"
        ".band{fill:currentColor;fill-opacity:.13}.mark{fill:currentColor;stroke:#ffffff;stroke-width:1}"
        ".whisker{stroke:currentColor;stroke-width:2}.bar{fill:currentColor}"
        ".leader{stroke:currentColor;stroke-opacity:.5}.inked{fill:currentColor}.inked,.figure{paint-order:stroke;stroke:#ffffff;stroke-width:3px}"
        ".front{fill:none;stroke:#6d747d;stroke-width:1.5;stroke-dasharray:5 4}"
        ".panel{fill:#f7f8f8;stroke:#e3e5e8}.quiet{opacity:0}.faint .mark{fill-opacity:.55}"
        ".cell-figure{font-size:11px}.shade-none .cell{fill:#f0f1f2}"
        ".shade-8 .cell-figure,.shade-7 .cell-figure,.fall-8 .cell-figure,.fall-7 .cell-figure{fill:#ffffff}"
        f"{tones}{shades}"
    )


def _content(chart: Chart, width: float) -> tuple[Markup, float]:
    if isinstance(chart, LineChart):
        return draw_lines(chart, width)
    if isinstance(chart, DotChart):
        return draw_dots(chart, width)
    if isinstance(chart, ScatterChart):
        return draw_scatter(chart, width)
    return draw_heat(chart, width)
