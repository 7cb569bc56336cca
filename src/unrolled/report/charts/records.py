"""What a chart shows, apart from how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Args:
        label: the quantity with its unit.
        kind: how its numbers are written, a key of :data:`unrolled.report.words.FORMATS`.
        log: logarithmic; values that are not positive are left out.
        low: where it begins; None to fit the data.
        high: where it ends; None to fit the data.
    """

    label: str
    kind: str = "number"
    log: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A thin line across the chart: a chance level, a best reachable figure."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity along an axis; ``low`` and ``high`` bound its 95% interval where there is one."""

    name: str
    tone: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] | None = None
    high: tuple[float | None, ...] | None = None
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class LineChart:
    """Series along a common axis."""

    series: tuple[Series, ...]
    x: Axis
    y: Axis
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Dot:
    """One figure with its interval, in the row ``row``; several of a row are told apart by ``name``."""

    row: str
    name: str
    tone: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DotChart:
    """Figures with intervals, a row for each thing compared. ``bars`` draws them from the axis' start."""

    dots: tuple[Dot, ...]
    axis: Axis
    references: tuple[Reference, ...] = ()
    bars: bool = False


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """One thing at two quantities; only labelled points carry their name in the drawing."""

    name: str
    tone: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    labelled: bool = True
    note: str = ""
    faint: bool = False


@dataclass(frozen=True, slots=True)
class ScatterChart:
    """Things at two quantities, with a stepped front through those that nothing beats.

    Args:
        points: what is shown.
        x: the horizontal axis.
        y: the vertical axis.
        front: positions of the front, by rising x.
        references: thin lines across.
        bare: no ticks, for maps whose units mean nothing.
    """

    points: tuple[ScatterPoint, ...]
    x: Axis
    y: Axis
    front: tuple[tuple[float, float], ...] = ()
    references: tuple[Reference, ...] = ()
    bare: bool = False


@dataclass(frozen=True, slots=True)
class HeatChart:
    """A matrix. ``centre`` makes the scale diverge around it; ``notes`` replaces what a cell says."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    row_title: str
    column_title: str
    kind: str = "share"
    centre: float | None = None
    notes: tuple[tuple[str, ...], ...] | None = None


Chart: TypeAlias = LineChart | DotChart | ScatterChart | HeatChart
