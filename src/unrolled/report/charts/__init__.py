"""Charts as SVG text: records say what is shown, :func:`draw` how. No framework, no script, no style."""

from unrolled.report.charts.draw import draw, standalone
from unrolled.report.charts.records import (
    Axis,
    Chart,
    Dot,
    DotChart,
    HeatChart,
    LineChart,
    Reference,
    ScatterChart,
    ScatterPoint,
    Series,
)
from unrolled.report.charts.tables import data_table

__all__ = [
    "Axis",
    "Chart",
    "Dot",
    "DotChart",
    "HeatChart",
    "LineChart",
    "Reference",
    "ScatterChart",
    "ScatterPoint",
    "Series",
    "data_table",
    "draw",
    "standalone",
]
