"""What charts share: axes, gridlines, references, legends, and labels that do not collide."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from unrolled.report.charts.records import Reference
from unrolled.report.charts.scales import Scale
from unrolled.report.charts.svg import clip, element, group, line, marker, text, width_of

LINE = 15.0


def draw_horizontal(scale: Scale, *, top: float, bottom: float, narrow: bool, grid: bool = False) -> Markup:
    """The axis below a chart: tick labels, its name, and gridlines when they help."""
    room = abs(scale.stop - scale.start)
    found = scale.ticks(max(2, int(room / (72 if narrow else 90))))
    parts = []
    free_from = -1e9
    for value, label in found:
        x = scale(value)
        half = width_of(label, 11) / 2
        if x - half < free_from:
            continue
        free_from = x + half + 6
        parts.append(line(x, top if grid else bottom, x, bottom + 4, "grid" if grid else "axis"))
        parts.append(text(label, x, bottom + 17, css="tick", anchor="middle"))
    if not grid:
        parts.append(line(scale.start, bottom, scale.stop, bottom, "axis"))
    middle = (scale.start + scale.stop) / 2
    name = clip(scale.axis.label, room + 60)
    parts.append(text(name, middle, bottom + 35, css="label", anchor="middle"))
    return group(parts, aria_hidden="true")


def draw_vertical(scale: Scale, *, left: float, right: float, top: float) -> Markup:
    """The axis at the left: gridlines, tick labels, its name above them, read without turning the head."""
    parts = [text(scale.axis.label, 0, top, css="label")]
    for value, label in scale.ticks(5):
        y = scale(value)
        parts.append(line(left, y, right, y, "grid"))
        parts.append(text(label, left - 8, y + 4, css="tick", anchor="end"))
    return group(parts, aria_hidden="true")


def vertical_room(scale: Scale) -> float:
    """Pixels that the tick labels at the left need."""
    return max((width_of(label, 11) for _, label in scale.ticks(5)), default=20.0) + 12


def draw_references(
    references: Sequence[Reference], scale: Scale, *, low: float, high: float, upright: bool
) -> Markup:
    """Thin lines across, each with its name at the end where it disturbs least."""
    parts = []
    taken: list[tuple[float, float]] = []
    for reference in references:
        if not scale.shows(reference.value) or not scale.low <= reference.value <= scale.high:
            continue
        at = scale(reference.value)
        if upright:
            parts.append(line(at, low, at, high, "reference"))
            wide = width_of(reference.label, 11)
            after = at + wide + 4 < max(scale.start, scale.stop) + 30
            span = (at, at + wide + 8) if after else (at - wide - 8, at)
            # A name that would run into another one moves up by a line.
            raised = 13 if any(span[0] < end and start < span[1] for start, end in taken) else 0
            taken.append(span)
            parts.append(
                text(
                    reference.label,
                    at + (4 if after else -4),
                    low - 3 - raised,
                    css="note",
                    anchor="start" if after else "end",
                )
            )
        else:
            parts.append(line(low, at, high, at, "reference"))
            parts.append(text(reference.label, low + 4, at - 4, css="note"))
    return group(parts, aria_hidden="true")


def draw_legend(
    entries: Sequence[tuple[str, str]], *, left: float, top: float, width: float
) -> tuple[Markup, float]:
    """Marks with their names, in as many lines as they need.

    Args:
        entries: (name, tone) of each.
        left: pixels.
        top: pixels.
        width: pixels that a line may take.

    Returns:
        the drawing and its height.
    """
    parts = []
    x, y = left, top + 11
    for name, tone in entries:
        shown = clip(name, width - 20)
        room = 16 + width_of(shown) + 14
        if x > left and x + room > left + width + 14:
            x, y = left, y + LINE + 3
        parts.append(
            element(
                "g",
                marker(tone, x + 5, y - 4, 4),
                text(shown, x + 15, y, css="series"),
                class_=tone,
            )
        )
        x += room
    return group(parts, aria_hidden="true"), (y - top + 8 if entries else 0.0)


def spread(positions: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Positions moved apart as little as needed so that neighbours keep ``gap``, within ``low … high``.

    >>> spread([10.0, 11.0, 50.0], gap=10.0, low=0.0, high=100.0)
    [5.5, 15.5, 50.0]
    """
    order = sorted(range(len(positions)), key=lambda place: positions[place])
    if not order:
        return []
    gap = min(gap, (high - low) / max(len(order) - 1, 1))
    # Neighbours that overlap merge into a block around their common centre, until none overlap.
    blocks: list[tuple[float, int]] = []
    for place in order:
        centre, size = positions[place], 1
        while True:
            half = gap * (size - 1) / 2
            centre = min(max(centre, low + half), high - half)
            if not blocks:
                break
            before, members = blocks[-1]
            if before + gap * (members - 1) / 2 + gap <= centre - half + 1e-9:
                break
            blocks.pop()
            centre = (before * members + centre * size) / (members + size)
            size += members
        blocks.append((centre, size))
    found = [0.0] * len(order)
    place = 0
    for centre, size in blocks:
        for member in range(size):
            found[order[place]] = centre + gap * (member - (size - 1) / 2)
            place += 1
    return found
