"""A study's folder → its report as files."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from unrolled.data.storage import write_atomically
from unrolled.errors import DataError, UsageError
from unrolled.evidence.findings import load_findings
from unrolled.evidence.results import StudyResults
from unrolled.report.build import build_report
from unrolled.report.charts import standalone
from unrolled.report.facts import Facts
from unrolled.report.page import data_of, write_page
from unrolled.report.text import write_csv, write_markdown
from unrolled.training.record import PLAN, read_plan


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes the report of a study and returns the page's path.

    Beside ``NAME.html`` a folder ``NAME`` holds ``report.md``, tables as CSV, and under ``figures`` every
    figure as SVG, PNG and CSV.

    Args:
        folder: the study's.
        out: the page; ``report.html`` in the study's folder without it.

    Raises:
        DataError: the study has no results, or they cannot be read.
        UsageError: ``out`` does not end in .html.
        MachineError: the disk refuses.
    """
    import resvg_py

    page = out or folder / "report.html"
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError("--out", f"no page's name (got {str(page)!r})", expected="a file that ends in .html")
    report = build_report(load_facts(folder))
    beside = page.with_suffix("")
    write_atomically(beside / "report.md", write_markdown(report).encode("utf-8", "replace"))
    for table in report.tables:
        write_atomically(beside / f"{table.slug}.csv", write_csv(table).encode("utf-8", "replace"))
    for figure in report.figures:
        drawing = standalone(figure.chart, figure.title, figure.conclusion)
        start = beside / "figures" / figure.slug
        write_atomically(start.with_suffix(".svg"), drawing.encode("utf-8", "replace"))
        write_atomically(start.with_suffix(".png"), bytes(resvg_py.svg_to_bytes(svg_string=drawing)))
        write_atomically(start.with_suffix(".csv"), write_csv(data_of(figure)).encode("utf-8", "replace"))
    write_atomically(page, write_page(report).encode("utf-8", "replace"))
    return page


def load_facts(folder: Path) -> Facts:
    """All that a study's folder holds for a report.

    Raises:
        DataError: there are no results, or a file cannot be read.
    """
    path = folder / "results.json"
    if not path.exists():
        raise DataError(
            str(folder),
            "holds no results.json",
            expected="a study whose runs have ended",
            action="the command that began the study, or unrolled lab --out FOLDER",
        )
    try:
        document = json.loads(path.read_text("utf-8"))
        if isinstance(document, dict):
            document["schema_name"] = document.pop("schema", "")
        results = StudyResults.model_validate(document)
    except (ValueError, ValidationError) as error:
        raise DataError(
            str(path),
            "cannot be read as results",
            expected="the file that `unrolled lab` wrote",
            action="the command that began the study writes it anew",
        ) from error
    settings: dict[str, dict[str, object]] = {}
    for plan in sorted((folder / "runs").glob(f"*/{PLAN}")):
        model = read_plan(plan.parent).model
        settings.setdefault(str(model.get("architecture")), model)
    return Facts(results, load_findings(folder), settings, str(folder))
