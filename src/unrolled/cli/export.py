"""``unrolled export``: a finished run as a folder that answers without this project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.deploy.report import ExportReport, Parity, Quantization


def export(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    format: Annotated[str, typer.Option(help="onnx, keras or safetensors.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="The export's folder; RUN/FORMAT without it. Replaces an export.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights in eight bits (ONNX only); what that costs is measured.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="How far a probability may lie from the run's, in float32.")
    ] = 1e-5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Export a trained model, and prove on real inputs that the export answers as the model does."""
    from unrolled.deploy.export import export_run
    from unrolled.deploy.formats import FORMATS

    FORMATS.get(format)
    destination = out or run / (f"{format}-int8" if int8 else format)
    report = export_run(run, destination, format=format, int8=int8, tolerance=tolerance)
    if as_json:
        print(json.dumps({"run": str(run), **report.to_dict()}, ensure_ascii=False, indent=1))
        return
    print_export(report)


def print_export(report: ExportReport) -> None:
    """Prints what was written, how it compares with the run, and how to use it."""
    print(f"{report.name} as {report.format}, {report.precision}: {report.folder}")
    widest = max(map(len, report.files))
    for name, size in report.files.items():
        print(f"  {name:<{widest}} {size:>13,} bytes")
    print(f"Parity: {_parity(report.parity)}")
    if report.quantization is not None:
        print(f"Eight bits: {_quantization(report.quantization, real=report.parity.real)}")
    if report.format == "onnx":
        print(
            f'Next: unrolled predict {report.folder} "a text" · unrolled serve {report.folder}; README.md in '
            "it says how to use it without this package."
        )


def _parity(parity: Parity) -> str:
    low, high = parity.lengths
    asked = f"{parity.num_texts:,} {'test items' if parity.real else 'random texts'}"
    if parity.num_stretched:
        asked += f" and {parity.num_stretched} inputs of other lengths"
    bound = "measured" if parity.tolerance is None else f"at most {parity.tolerance:g} is accepted"
    labels = f"{parity.labels_changed:,} labels differ" if parity.labels_changed else "all labels equal"
    undecided = f", {parity.num_undecided:,} undecided" if parity.num_undecided else ""
    return (
        f"on {asked}, {low:,} to {high:,} tokens, the largest difference of a probability is "
        f"{parity.max_difference:.1e} ({bound}), {labels}{undecided}."
    )


def _quantization(cost: Quantization, *, real: bool) -> str:
    (before, after), (full, small) = cost.accuracy, cost.bytes
    items = "test items" if real else "random texts, against float32"
    return (
        f"accuracy {before:.4f} before and {after:.4f} after ({after - before:+.4f} on {cost.num_items:,} "
        f"{items}), {full:,} bytes before and {small:,} after."
    )
