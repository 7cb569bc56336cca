"""A chart's figures as a table, for those who cannot or would rather not see it."""

from __future__ import annotations

from unrolled.report.charts.records import Chart, DotChart, HeatChart, LineChart, ScatterChart

Cell = str | float | None
Content = tuple[tuple[str, ...], tuple[str, ...], list[tuple[Cell, ...]]]


def data_table(chart: Chart) -> Content:
    """The columns, how each writes its numbers, and the rows.

    Returns:
        names of the columns, their kinds (keys of ``words.FORMATS``), and rows of text, numbers and None.
    """
    if isinstance(chart, LineChart):
        return _of_lines(chart)
    if isinstance(chart, DotChart):
        return _of_dots(chart)
    if isinstance(chart, ScatterChart):
        return _of_points(chart)
    return _of_cells(chart)


def _of_lines(chart: LineChart) -> Content:
    columns, kinds = ["series", chart.x.label, chart.y.label], ["text", chart.x.kind, chart.y.kind]
    bounded = any(series.low and series.high for series in chart.series)
    if bounded:
        columns += ["from", "to"]
        kinds += [chart.y.kind] * 2
    rows: list[tuple[Cell, ...]] = []
    for series in chart.series:
        for place, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            ends: tuple[Cell, ...] = ()
            if bounded:
                ends = (
                    series.low[place] if series.low else None,
                    series.high[place] if series.high else None,
                )
            rows.append((series.name, x, y, *ends))
    return tuple(columns), tuple(kinds), rows


def _of_dots(chart: DotChart) -> Content:
    several = any(dot.name != dot.row for dot in chart.dots)
    bounded = any(dot.low is not None for dot in chart.dots)
    kind = chart.axis.kind
    columns = ("", *(("series",) if several else ()), chart.axis.label, *(("from", "to") if bounded else ()))
    kinds = ("text", *(("text",) if several else ()), kind, *((kind, kind) if bounded else ()))
    rows: list[tuple[Cell, ...]] = [
        (
            dot.row,
            *((dot.name,) if several else ()),
            dot.value,
            *((dot.low, dot.high) if bounded else ()),
        )
        for dot in chart.dots
    ]
    return columns, kinds, rows


def _of_points(chart: ScatterChart) -> Content:
    noted = any(point.note for point in chart.points)
    columns = ("", chart.x.label, chart.y.label, *(("note",) if noted else ()))
    kinds = ("text", chart.x.kind, chart.y.kind, *(("text",) if noted else ()))
    return (
        columns,
        kinds,
        [(point.name, point.x, point.y, *((point.note,) if noted else ())) for point in chart.points],
    )


def _of_cells(chart: HeatChart) -> Content:
    columns = (f"{chart.row_title} \\ {chart.column_title}", *chart.columns)
    rows: list[tuple[Cell, ...]] = []
    for place, (name, values) in enumerate(zip(chart.rows, chart.values, strict=True)):
        cells: tuple[Cell, ...] = chart.notes[place] if chart.notes else values
        rows.append((name, *cells))
    kind = "text" if chart.notes else chart.kind
    return columns, ("text", *[kind] * len(chart.columns)), rows
