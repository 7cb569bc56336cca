"""Dots or bars with intervals, a row for each thing compared."""

from __future__ import annotations

from markupsafe import Markup

from unrolled.report.charts.frame import draw_horizontal, draw_legend, draw_references
from unrolled.report.charts.records import Dot, DotChart
from unrolled.report.charts.scales import Scale, fit
from unrolled.report.charts.svg import clip, element, group, line, marker, point, text, width_of
from unrolled.report.words import FORMATS, interval

ROW = 26.0
LANE = 13.0


def draw_dots(chart: DotChart, width: float) -> tuple[Markup, float]:
    """The chart's content and its height."""
    narrow = width < 500
    rows = list(dict.fromkeys(dot.row for dot in chart.dots))
    names = list(dict.fromkeys(dot.name for dot in chart.dots))
    several = len(names) > 1 and any(dot.name != dot.row for dot in chart.dots)
    entries = [(name, next(dot.tone for dot in chart.dots if dot.name == name)) for name in names]
    legend, legend_height = draw_legend(entries, left=0, top=0, width=width) if several else (Markup(""), 0.0)
    left = min(max((width_of(row) for row in rows), default=40.0) + 16, 0.38 * width)
    values = [v for dot in chart.dots for v in (dot.value, dot.low, dot.high)]
    values += [reference.value for reference in chart.references]
    if chart.bars and not chart.axis.log:
        values.append(0.0)
    scale = fit(values, chart.axis, start=left, stop=width - 64, margin=0.03)
    top = legend_height + (6 if not chart.references else 20 if len(chart.references) == 1 else 30)
    lanes = {row: [dot for dot in chart.dots if dot.row == row] for row in rows}
    heights = [max(ROW, LANE * len(lanes[row]) + 10) for row in rows]
    bottom = top + sum(heights)
    parts = [
        legend,
        draw_horizontal(scale, top=top, bottom=bottom, narrow=narrow, grid=True),
        draw_references(chart.references, scale, low=top, high=bottom, upright=True),
    ]
    y = top
    for row, height in zip(rows, heights, strict=True):
        middle = y + height / 2
        label = text(clip(row, left - 12), left - 12, middle + 4, css="row", anchor="end")
        parts.append(group([label], aria_hidden="true"))
        first = middle - LANE * (len(lanes[row]) - 1) / 2
        for lane, dot in enumerate(lanes[row]):
            parts.append(_dot(chart, dot, scale, first + lane * LANE, several))
        y += height
    return Markup("").join(parts), bottom + 42


def _dot(chart: DotChart, dot: Dot, scale: Scale, y: float, several: bool) -> Markup:
    if not scale.shows(dot.value):
        return Markup("")
    write = FORMATS[chart.axis.kind]
    x = scale(dot.value)
    parts = []
    end = x
    if chart.bars:
        parts.append(
            element("rect", class_="bar", x=scale.start, y=y - 5, width=max(x - scale.start, 1), height=10)
        )
    if dot.low is not None and dot.high is not None:
        low, end = scale(dot.low), max(x, scale(dot.high))
        parts.append(line(low, y, scale(dot.high), y, "whisker"))
    if not chart.bars:
        parts.append(marker(dot.tone, x, y, 4.6))
    figure = text(write(dot.value), end + 9, y + 4, css="figure")
    bounds = interval(dot.low, dot.high, chart.axis.kind)
    name = f"{dot.row}, {dot.name}" if several else dot.row
    tip = f"{name}\n{chart.axis.label}: {write(dot.value)}" + (f"\n{bounds}" if bounds else "")
    return point([*parts, figure], tip, tone=dot.tone, x=x, y=y, quiet=False)
