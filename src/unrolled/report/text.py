"""The report as Markdown, and its tables as CSV."""

from __future__ import annotations

import csv
import io
import re

from unrolled.report.charts.tables import Cell
from unrolled.report.page import cell
from unrolled.report.records import Grid, Report

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_markdown(report: Report) -> str:
    """The same sentences and tables; figures as links to their files beside it."""
    lines = [f"# {escape(report.title)}", "", escape(report.subtitle), "", "## Verdict", ""]
    lines += [" ".join(escape(sentence) for sentence in report.verdict), "", *_table(report.table)]
    for figure in report.overview:
        lines += [f"![{escape(figure.title)}](figures/{figure.slug}.svg)", "", escape(figure.conclusion), ""]
    for number, section in enumerate(report.sections, 1):
        lines += [f"## {number}. {escape(section.headline)}", "", f"*{escape(section.question)}*", ""]
        for sentence in section.sentences:
            lines += [escape(sentence), ""]
        for figure in section.figures:
            lines += [
                f"![{escape(figure.title)}](figures/{figure.slug}.svg)",
                "",
                escape(figure.conclusion),
                "",
            ]
        for table in section.tables:
            lines += _table(table)
        for one in section.missing:
            lines += [f"{escape(one.what)}. To fill this in:", "", f"    {one.command}", ""]
    lines += ["## How these figures came about", ""]
    for sentence in report.method:
        lines += [escape(sentence), ""]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Text in which Markdown and HTML mean nothing; `commands` stay as they are.

    >>> escape("a_b <i> | `--seeds 3`")
    'a\\\\_b &lt;i&gt; \\\\| `--seeds 3`'
    """
    parts = re.split(r"(`[a-z -]+[0-9]*`)", " ".join(text.split()))
    return "".join(part if place % 2 else _escape(part) for place, part in enumerate(parts))


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!])", r"\\\1", text)


def _table(grid: Grid) -> list[str]:
    rows = [[escape(cell(value, grid.kinds[at])) for at, value in enumerate(row)] for row in grid.rows]
    lines = [f"**{escape(grid.title)}**", "", "| " + " | ".join(escape(name) for name in grid.columns) + " |"]
    lines.append("|" + "|".join("---" if kind == "text" else "---:" for kind in grid.kinds) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return [*lines, "", escape(grid.note), ""]


def write_csv(grid: Grid) -> str:
    """The table's figures in full; text that a spreadsheet would run as a formula gets an apostrophe."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([harmless(name) for name in grid.columns])
    writer.writerows([harmless(value) for value in row] for row in grid.rows)
    return stream.getvalue()


def harmless(value: Cell) -> Cell:
    """A cell that no spreadsheet takes for a formula.

    >>> harmless("=1+1"), harmless(-0.5), harmless("lstm")
    ("'=1+1", -0.5, 'lstm')
    """
    return "'" + value if isinstance(value, str) and value.lstrip().startswith(FORMULA) else value
