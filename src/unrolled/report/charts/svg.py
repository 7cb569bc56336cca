"""Elements of SVG as text in which everything from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from markupsafe import Markup, escape

from unrolled.report.palette import tone_of

Attribute = str | float | int


def element(name: str, *children: Markup | str, **attributes: Attribute) -> Markup:
    """One element; text and attribute values are escaped, markup made here is not escaped again.

    Underscores in attribute names stand for dashes; one at the end is dropped, as in ``class_``.

    >>> element("text", "a < b", class_="tick", x=1.0)
    Markup('<text class="tick" x="1">a &lt; b</text>')
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(_attribute_name(key), _number(value)) for key, value in attributes.items()
    )
    if not children:
        return Markup("<{}{}/>").format(Markup(name), written)
    content = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, content)


@cache
def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _number(value: Attribute) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.1f}".removesuffix(".0")


def group(children: Sequence[Markup], **attributes: Attribute) -> Markup:
    """Elements together; nothing when there are none."""
    return element("g", *children, **attributes) if children else Markup("")


def text(content: str, x: float, y: float, *, css: str, anchor: str = "start") -> Markup:
    """A line of text whose baseline is at ``y``."""
    return element("text", content, class_=css, x=x, y=y, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> Markup:
    """A straight line."""
    return element("line", class_=css, x1=x1, y1=y1, x2=x2, y2=y2)


def path(points: Sequence[tuple[float, float]]) -> str:
    """The path data of a polyline, to a tenth of a pixel."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def marker(tone: str, x: float, y: float, radius: float = 4.0) -> Markup:
    """The mark of a tone, of equal visual weight in every shape."""
    shape = tone_of(tone).marker
    if shape == "circle":
        return element("circle", class_="mark", cx=x, cy=y, r=radius)
    if shape == "square":
        side = radius * 0.9
        return element("rect", class_="mark", x=x - side, y=y - side, width=2 * side, height=2 * side)
    reach = radius * 1.25
    corners = {
        "diamond": [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)],
        "triangle": [(x, y - reach), (x + reach, y + 0.8 * reach), (x - reach, y + 0.8 * reach)],
    }[shape]
    return element("path", class_="mark", d=path(corners) + "Z")


def point(children: Sequence[Markup], tip: str, *, tone: str, x: float, y: float, quiet: bool) -> Markup:
    """Something a reader can point at or step onto: the first line of ``tip`` names it.

    Args:
        children: what is drawn.
        tip: lines of text; read aloud as one sentence, shown as they are.
        tone: CSS class of its colour.
        x: where the pointer finds it, pixels.
        y: where the pointer finds it, pixels.
        quiet: invisible until found.
    """
    return element(
        "g",
        *children,
        class_=f"point {tone}{' quiet' if quiet else ''}",
        role="img",
        tabindex="-1",
        aria_label=", ".join(tip.split("\n")),
        data_tip=tip,
        data_x=x,
        data_y=y,
    )


def width_of(content: str, size: float = 12.0) -> float:
    """About how wide a text is in the system's font, pixels; on the generous side."""
    wide = sum(1.0 if letter in "mwMW@—…" or ord(letter) > 0x2E80 else 0.0 for letter in content)
    thin = sum(letter in "iljtf.,:;'|! ()[]" for letter in content)
    return size * (0.58 * len(content) + 0.3 * wide - 0.25 * thin)


def clip(content: str, room: float, size: float = 12.0) -> str:
    """The text, cut with an ellipsis where it would be wider than ``room`` pixels."""
    if width_of(content, size) <= room:
        return content
    kept = content
    while kept and width_of(kept + "…", size) > room:
        kept = kept[:-1]
    return kept + "…"
