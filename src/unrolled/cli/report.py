"""``unrolled report``: a study as one page that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    study: Annotated[Path, typer.Argument(help="A folder that `unrolled lab` or `unrolled compare` made.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; report.html in the study's folder without it.")
    ] = None,
) -> None:
    """Write a study's report: one HTML page, and beside it Markdown, CSV and every figure as SVG and PNG."""
    from unrolled.report import write_report

    print(f"Report: {write_report(study, out)}")
