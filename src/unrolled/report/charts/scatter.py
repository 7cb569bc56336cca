"""Points at two quantities, with the front that nothing beats."""

from __future__ import annotations

from markupsafe import Markup

from unrolled.report.charts.frame import draw_horizontal, draw_references, draw_vertical, vertical_room
from unrolled.report.charts.records import ScatterChart, ScatterPoint
from unrolled.report.charts.scales import Scale, fit
from unrolled.report.charts.svg import clip, element, group, line, marker, path, point, text, width_of
from unrolled.report.words import FORMATS, interval

Box = tuple[float, float, float, float]


def draw_scatter(chart: ScatterChart, width: float) -> tuple[Markup, float]:
    """The chart's content and its height."""
    narrow = width < 500
    height = 280.0 if narrow else 360.0
    top, bottom = (10.0, 10 + height) if chart.bare else (28.0, 28 + height)
    values = [v for p in chart.points for v in (p.y, p.low, p.high)]
    values += [reference.value for reference in chart.references]
    vertical = fit(values, chart.y, start=bottom, stop=top, margin=0.06)
    left = 6.0 if chart.bare else vertical_room(vertical)
    right = width - 16
    horizontal = fit([p.x for p in chart.points], chart.x, start=left, stop=right, margin=0.07)
    frame = (
        [element("rect", class_="panel", x=left, y=top, width=right - left, height=bottom - top)]
        if chart.bare
        else [
            draw_vertical(vertical, left=left, right=right, top=13),
            draw_horizontal(horizontal, top=top, bottom=bottom, narrow=narrow),
        ]
    )
    shown = [p for p in chart.points if horizontal.shows(p.x) and vertical.shows(p.y)]
    parts = [
        *frame,
        draw_references(chart.references, vertical, low=left, high=right, upright=False),
        _front(chart, horizontal, vertical),
        *(_point(chart, p, horizontal, vertical) for p in shown),
        _labels(shown, horizontal, vertical, (left, top, right + 14, bottom)),
    ]
    return Markup("").join(parts), bottom + (8 if chart.bare else 42)


def _front(chart: ScatterChart, horizontal: Scale, vertical: Scale) -> Markup:
    places = [(horizontal(x), vertical(y)) for x, y in chart.front]
    if not places:
        return Markup("")
    # Along a step nothing cheaper is as good; it rises only where a better one begins.
    steps = [places[0]]
    for x, y in places[1:]:
        steps += [(x, steps[-1][1]), (x, y)]
    steps.append((horizontal.stop, steps[-1][1]))
    return group([element("path", class_="front", d=path(steps))], aria_hidden="true")


def _point(chart: ScatterChart, at: ScatterPoint, horizontal: Scale, vertical: Scale) -> Markup:
    x, y = horizontal(at.x), vertical(at.y)
    parts = []
    if at.low is not None and at.high is not None:
        parts.append(line(x, vertical(at.low), x, vertical(at.high), "whisker"))
    parts.append(marker(at.tone, x, y, 3.0 if at.faint else 5.2))
    tip = at.name
    if not chart.bare:
        tip += f"\n{chart.x.label}: {FORMATS[chart.x.kind](at.x)}"
        tip += f"\n{chart.y.label}: {FORMATS[chart.y.kind](at.y)}"
    bounds = interval(at.low, at.high, chart.y.kind)
    tip += (f"\n{bounds}" if bounds else "") + (f"\n{at.note}" if at.note else "")
    tone = f"{at.tone} faint" if at.faint else at.tone
    return point(parts, tip, tone=tone, x=x, y=y, quiet=False)


def _labels(shown: list[ScatterPoint], horizontal: Scale, vertical: Scale, room: Box) -> Markup:
    """Names beside their points, where neither points nor names are in the way; else left to the hover."""
    places = [(horizontal(p.x), vertical(p.y)) for p in shown]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    parts = []
    for at, (x, y) in zip(shown, places, strict=True):
        if not at.labelled:
            continue
        name = clip(at.name, 130)
        wide = width_of(name)
        # Right, left, above, below, and the corners: the first that is free.
        for dx, dy, anchor in (
            (10, 4, "start"),
            (-10, 4, "end"),
            (0, -11, "middle"),
            (0, 19, "middle"),
            (8, -8, "start"),
            (8, 16, "start"),
            (-8, -8, "end"),
            (-8, 16, "end"),
            (10, -18, "start"),
            (10, 26, "start"),
        ):
            start = x + dx - {"start": 0.0, "end": wide, "middle": wide / 2}[anchor]
            box = (start, y + dy - 10, start + wide, y + dy + 3)
            if _inside(box, room) and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                label = text(name, x + dx, y + dy, css="series inked", anchor=anchor)
                parts.append(element("g", label, class_=at.tone))
                break
    return group(parts, aria_hidden="true")


def _inside(box: Box, room: Box) -> bool:
    return box[0] >= room[0] and box[1] >= room[1] - 8 and box[2] <= room[2] and box[3] <= room[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
