"""A matrix of shaded cells that carry their figures."""

from __future__ import annotations

import math

from markupsafe import Markup

from unrolled.report.charts.records import HeatChart
from unrolled.report.charts.svg import clip, element, group, point, text, width_of
from unrolled.report.words import FORMATS

SHADES = 8


def draw_heat(chart: HeatChart, width: float) -> tuple[Markup, float]:
    """The chart's content and its height."""
    narrow = width < 500
    size = 11.0
    left = min(max((width_of(row) for row in chart.rows), default=40.0) + 14, 0.32 * width)
    column_width = min((width - left - 4) / max(len(chart.columns), 1), 110.0)
    if any(width_of(column) > column_width - 6 for column in chart.columns):
        # Slanted headings lean out over the last column.
        column_width = min((width - left - 44) / len(chart.columns), 110.0)
    slanted = any(width_of(column) > column_width - 6 for column in chart.columns)
    head = 24.0 + (min(0.72 * max(map(width_of, chart.columns), default=0.0), 96.0) if slanted else 18.0)
    row_height = 26.0 if len(chart.rows) > 4 else 40.0
    known = [v for row in chart.values for v in row if v is not None and math.isfinite(v)]
    written = FORMATS[chart.kind]
    fits = all(width_of(written(value), size) < column_width - 2 for value in known) and not (
        narrow and len(chart.columns) > 8
    )
    title = f"{chart.row_title} down, {chart.column_title} across"
    parts = [group([text(clip(title, width), 0, 12, css="label")], aria_hidden="true")]
    heads = []
    for place, column in enumerate(chart.columns):
        x = left + (place + 0.5) * column_width
        if slanted:
            label = text(clip(column, 124), 0, 0, css="tick")
            heads.append(element("g", label, transform=f"translate({x:.1f} {head - 6:.1f}) rotate(-45)"))
        else:
            heads.append(text(column, x, head - 8, css="tick", anchor="middle"))
    parts.append(group(heads, aria_hidden="true"))
    y = head
    for place, row in enumerate(chart.rows):
        label = text(clip(row, left - 10), left - 10, y + row_height / 2 + 4, css="row", anchor="end")
        parts.append(group([label], aria_hidden="true"))
        for number, column in enumerate(chart.columns):
            value = chart.values[place][number]
            x = left + number * column_width
            note = chart.notes[place][number] if chart.notes else ""
            said = note or ("not measured" if value is None else written(value))
            cell = element(
                "rect", class_="cell", x=x + 1, y=y + 1, width=column_width - 2, height=row_height - 2, rx=2
            )
            inside = [cell]
            if value is not None and fits:
                inside.append(
                    text(
                        written(value),
                        x + column_width / 2,
                        y + row_height / 2 + 4,
                        css="cell-figure",
                        anchor="middle",
                    )
                )
            parts.append(
                point(
                    inside,
                    f"{row} · {column}\n{said}",
                    tone=_shade(value, known, chart.centre),
                    x=x + column_width / 2,
                    y=y + row_height / 2,
                    quiet=False,
                )
            )
        y += row_height
    return Markup("").join(parts), y + 6


def _shade(value: float | None, known: list[float], centre: float | None) -> str:
    """The CSS class of a cell: ``shade-0 … shade-8``, or ``fall-…`` below the centre of a diverging scale."""
    if value is None or not math.isfinite(value):
        return "shade-none"
    if centre is None:
        low, high = min(0.0, *known, 0.0), max(known)
        return f"shade-{round(SHADES * (value - low) / ((high - low) or 1.0))}"
    reach = max(abs(v - centre) for v in known) or 1.0
    strength = round(SHADES * abs(value - centre) / reach)
    return f"{'shade' if value >= centre else 'fall'}-{strength}"
