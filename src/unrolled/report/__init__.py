"""The report: a study's results and findings as one page, as Markdown, as CSV, and its figures as files."""

from __future__ import annotations

from pathlib import Path


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes a study's report and returns the page's path; see :func:`unrolled.report.write.write_report`."""
    from unrolled.report.write import write_report as write

    return write(folder, out)
