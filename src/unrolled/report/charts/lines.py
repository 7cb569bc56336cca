"""Lines with interval bands."""

from __future__ import annotations

from markupsafe import Markup

from unrolled.report.charts.frame import (
    draw_horizontal,
    draw_legend,
    draw_references,
    draw_vertical,
    spread,
    vertical_room,
)
from unrolled.report.charts.records import LineChart, Series
from unrolled.report.charts.scales import Scale, fit
from unrolled.report.charts.svg import clip, element, group, line, marker, path, point, text, width_of
from unrolled.report.words import FORMATS, interval

MAX_POINTS = 40
LABEL_ROOM = 150.0


def draw_lines(chart: LineChart, width: float) -> tuple[Markup, float]:
    """The chart's content and its height."""
    narrow = width < 500
    height = 240.0 if narrow else 300.0
    values = [v for s in chart.series for part in (s.y, s.low or (), s.high or ()) for v in part]
    values += [r.value for r in chart.references]
    entries = [(series.name, series.tone) for series in chart.series]
    labelled = not narrow and 1 < len(chart.series) <= 14
    legend, legend_height = (
        draw_legend(entries, left=0, top=0, width=width)
        if len(entries) > 1 and not labelled
        else (Markup(""), 0.0)
    )
    top, bottom = legend_height + 28, legend_height + 28 + height
    vertical = fit(values, chart.y, start=bottom, stop=top, margin=0.04)
    left = vertical_room(vertical)
    labels = max((width_of(series.name) for series in chart.series), default=0.0) + 22
    right = width - (min(labels, LABEL_ROOM) if labelled else 14)
    spans = [x for series in chart.series for x in series.x]
    horizontal = fit(spans, chart.x, start=left, stop=right, margin=0.0)
    parts = [
        legend,
        draw_vertical(vertical, left=left, right=right, top=legend_height + 13),
        draw_horizontal(horizontal, top=top, bottom=bottom, narrow=narrow),
        *(_band(series, horizontal, vertical) for series in chart.series),
        draw_references(chart.references, vertical, low=left, high=right, upright=False),
        *(_stroke(series, horizontal, vertical) for series in chart.series),
    ]
    if labelled:
        parts.append(_end_labels(chart, horizontal, vertical, right))
    parts += [_points(chart, series, horizontal, vertical) for series in chart.series]
    return Markup("").join(parts), bottom + 42


def _runs(series: Series, horizontal: Scale, vertical: Scale) -> list[list[tuple[float, float]]]:
    """Unbroken stretches of a series as positions: a gap in the data is a gap in the line."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(series.x, series.y, strict=True):
        if y is None or not (vertical.shows(y) and horizontal.shows(x)):
            runs.append([])
        else:
            runs[-1].append((horizontal(x), vertical(y)))
    return [run for run in runs if run]


def _stroke(series: Series, horizontal: Scale, vertical: Scale) -> Markup:
    css = "line dashed" if series.dashed else "line"
    strokes = [
        element("path", class_=css, d=path(run))
        for run in _runs(series, horizontal, vertical)
        if len(run) > 1
    ]
    return group(strokes, class_=series.tone, aria_hidden="true")


def _band(series: Series, horizontal: Scale, vertical: Scale) -> Markup:
    if series.low is None or series.high is None:
        return Markup("")
    edges = [
        (horizontal(x), vertical(low), vertical(high))
        for x, low, high in zip(series.x, series.low, series.high, strict=True)
        if low is not None and high is not None and vertical.shows(high) and horizontal.shows(x)
    ]
    if len(edges) < 2:
        return Markup("")
    outline = [(x, high) for x, _, high in edges] + [(x, low) for x, low, _ in reversed(edges)]
    band = element("path", class_="band", d=path(outline) + "Z")
    return group([band], class_=series.tone, aria_hidden="true")


def _end_labels(chart: LineChart, horizontal: Scale, vertical: Scale, right: float) -> Markup:
    ends = []
    for series in chart.series:
        runs = _runs(series, horizontal, vertical)
        if runs:
            ends.append((series, *runs[-1][-1]))
    placed = spread([y for _, _, y in ends], gap=15.0, low=vertical.stop, high=vertical.start)
    parts = []
    for (series, x, y), at in zip(ends, placed, strict=True):
        name = clip(series.name, LABEL_ROOM - 22)
        parts.append(
            element(
                "g",
                line(x + 4, y, right + 12, at, "leader"),
                text(name, right + 15, at + 4, css="series inked"),
                class_=series.tone,
            )
        )
    return group(parts, aria_hidden="true")


def _points(chart: LineChart, series: Series, horizontal: Scale, vertical: Scale) -> Markup:
    places = [
        place
        for place, (x, y) in enumerate(zip(series.x, series.y, strict=True))
        if vertical.shows(y) and horizontal.shows(x)
    ]
    quiet = len(places) > 24
    every = -(-len(places) // MAX_POINTS) if places else 1
    write_x, write_y = FORMATS[chart.x.kind], FORMATS[chart.y.kind]
    parts = []
    # Every k-th from the end, so that the last figure is always among them.
    for place in sorted(places[::-1][::every]):
        y = series.y[place]
        if y is None:
            continue
        low = series.low[place] if series.low else None
        high = series.high[place] if series.high else None
        bounds = interval(low, high, chart.y.kind)
        tip = f"{series.name}\n{chart.x.label}: {write_x(series.x[place])}\n{chart.y.label}: {write_y(y)}"
        px, py = horizontal(series.x[place]), vertical(y)
        mark = marker(series.tone, px, py, 3.2 if len(places) > 12 else 3.8)
        tip = tip + (f"\n{bounds}" if bounds else "")
        parts.append(point([mark], tip, tone=series.tone, x=px, y=py, quiet=quiet))
    return group(parts)
