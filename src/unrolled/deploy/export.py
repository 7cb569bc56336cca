"""From a finished run to a folder that is understood, and answers, without this project."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unrolled.data.storage import write_atomically
from unrolled.deploy import manifest as names
from unrolled.deploy.card import write_card
from unrolled.deploy.figures import measure
from unrolled.deploy.formats import FORMATS, Options, answers
from unrolled.deploy.manifest import Manifest, is_export
from unrolled.deploy.network import fits_length, reference
from unrolled.deploy.parity import TOLERANCE, accuracy, choose_inputs, compare, insist
from unrolled.deploy.report import ExportReport, Quantization
from unrolled.deploy.source import RunSource, load_source
from unrolled.errors import UsageError

#: The share of the tolerance from which on recurrent layers are written the more exact way. In ONNX that
#: costs time alone, and other inputs than those tried may lie further off; a Keras file then needs ours.
MARGINS = {"onnx": 0.25, "keras": 1.0}


def export_run(
    run_folder: Path,
    destination: Path,
    *,
    format: str = "onnx",
    int8: bool = False,
    tolerance: float = TOLERANCE,
) -> ExportReport:
    """Exports a finished run; nothing is left in ``destination`` unless the export answers as the run does.

    Args:
        run_folder: a finished run, in its study.
        destination: made, or replaced when it holds an earlier export.
        format: "onnx", "keras" or "safetensors".
        int8: weights in eight bits (ONNX only); the cost in accuracy is measured and written down.
        tolerance: how far a probability may lie from the run's, in float32. A recurrent network can carry a
            rounding error of 1e-7 to 1e-4 on single texts; whoever accepts that says so.

    Returns:
        What was written and how it compares.

    Raises:
        UsageError: an unknown format, no tolerance, or a destination that holds something else.
        DataError: no finished run, or damaged files.
        MachineError: the export does not answer as the run does, a package is missing, or the disk refuses.
    """
    FORMATS.get(format)
    if not 0.0 < tolerance < 1.0:
        raise UsageError(
            "--tolerance", f"out of range (got {tolerance})", expected="above 0 and below 1", action="1e-5"
        )
    source = load_source(Path(run_folder))
    destination = Path(destination)
    _check_destination(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place, so that a failure or a full disk leaves the old export or none.
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".tmp", dir=destination.parent))
    try:
        folder.chmod(0o755)
        manifest, report = _build(source, folder, format, Options(int8=int8), tolerance)
        margin = MARGINS.get(format, 1.0) * (report.parity.tolerance or float("inf"))
        if source.spec.neural and report.parity.max_difference > margin:
            manifest, report = _build(source, folder, format, Options(int8=int8, exact=True), tolerance)
        insist(report.parity)
        card = write_card(source, manifest, report, measure(source))
        write_atomically(folder / names.CARD, card.encode())
        _move(folder, destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sizes = {path.name: path.stat().st_size for path in sorted(destination.iterdir())}
    return replace(report, folder=destination, files=sizes)


def _build(
    source: RunSource, folder: Path, format: str, options: Options, tolerance: float
) -> tuple[Manifest, ExportReport]:
    """Writes all but the card into ``folder``, and compares it with the trained network."""
    written = FORMATS.get(format)(source, folder, options)
    _write_companions(source, folder, format, options)
    manifest = _manifest(source, folder, format, options.int8, written.facts)
    write_atomically(folder / names.MANIFEST, manifest.to_json().encode())
    report = _prove(source, folder, manifest, written.float32_bytes, tolerance)
    return manifest, replace(report, exact=options.exact)


def _write_companions(source: RunSource, folder: Path, format: str, options: Options) -> None:
    if source.vocabulary is not None:
        source.vocabulary.save(folder / names.TOKENIZER)
    labels = json.dumps(list(source.classes), ensure_ascii=False) + "\n"
    write_atomically(folder / names.LABELS, labels.encode())
    config: dict[str, Any] = {
        "model": source.spec.model_dump(),
        "training": source.plan["training"],
        "export": {"format": format, **asdict(options)},
        "data": {"name": source.data.name if source.data else None, "sha256": source.plan["data_sha256"]},
        "weights_sha256": source.record["weights_sha256"],
    }
    write_atomically(
        folder / names.CONFIG, (json.dumps(config, ensure_ascii=False, indent=1) + "\n").encode()
    )


def _manifest(source: RunSource, folder: Path, format: str, int8: bool, facts: dict[str, Any]) -> Manifest:
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name == names.MANIFEST:
            continue
        payload = path.read_bytes()
        files[path.name] = (hashlib.sha256(payload).hexdigest(), len(payload))
    return Manifest(
        folder=folder,
        name=source.name,
        architecture=source.spec.architecture,
        format=format,
        precision="int8" if int8 else "float32",
        length=source.spec.length if source.spec.neural else None,
        window=facts.get("window"),
        masked=source.spec.padding == "masked",
        features=facts.get("features"),
        gradients=bool(facts.get("gradients")),
        files=files,
    )


def _prove(
    source: RunSource, folder: Path, manifest: Manifest, float32_bytes: int | None, tolerance: float
) -> ExportReport:
    """Compares what was written with the trained network."""
    inputs = choose_inputs(source)
    expected = reference(source)
    found, whole = answers(source, folder, manifest)
    if fits_length(source) and manifest.format != "onnx":
        # Such a network insists on its length; only the ONNX graph fills up and cuts by itself.
        whole = ()
    exact = manifest.precision == "float32"
    parity, got = compare(
        inputs,
        expected,
        found,
        stretched=whole,
        tolerance=tolerance if exact else None,
        real=source.data is not None,
    )
    quantization = None
    if float32_bytes is not None:
        before = expected(inputs.texts)
        # Without labels, what can be said is how often the two agree.
        labels = before.argmax(axis=1) if source.data is None else source.data.test.labels[inputs.rows]
        quantization = Quantization(
            (accuracy(before, labels), accuracy(got, labels)),
            len(labels),
            (float32_bytes, (folder / names.MODEL).stat().st_size),
        )
    return ExportReport(
        folder, source.name, manifest.format, manifest.precision, parity, quantization, exact=False
    )


def _check_destination(destination: Path) -> None:
    if destination.is_dir() and (is_export(destination) or not any(destination.iterdir())):
        return
    if destination.exists():
        raise UsageError(
            str(destination),
            "the place is taken by something that is no export",
            expected="a new folder, an empty one, or an earlier export",
            action="another --out folder",
        )


def _move(folder: Path, destination: Path) -> None:
    """Puts the finished folder in its place; an earlier export goes only once the new one is complete."""
    old = None
    if destination.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", suffix=".old", dir=destination.parent))
        destination.replace(old)
    folder.replace(destination)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
