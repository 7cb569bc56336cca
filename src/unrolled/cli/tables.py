"""The table at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from unrolled.evidence.results import Accuracy, ModelResults, StudyResults


def print_results(results: StudyResults, folder: Path, *, by_class: bool = False) -> None:
    """Prints a study's table, its verdicts and where the files are, on standard output.

    ``by_class`` adds the figures that a rare class can move: balanced accuracy and macro-F1.
    """
    console = Console()
    notebook = results.protocol == "notebook"
    compared = results.comparison is not None
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("test accuracy", no_wrap=True)
    if compared:
        table.add_column("same", no_wrap=True)
    if by_class:
        table.add_column("balanced", justify="right", no_wrap=True)
        table.add_column("macro-F1", justify="right", no_wrap=True)
    if notebook:
        table.add_column("best", justify="right", no_wrap=True)
    table.add_column("s/epoch", justify="right", no_wrap=True)
    # Beside the figures of the classes a terminal of 80 columns has no room for all the others.
    if not notebook and not by_class:
        table.add_column("epochs", justify="right", no_wrap=True)
    if not by_class:
        table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for model in _ranked(results):
        table.add_row(*_row(model, notebook=notebook, compared=compared, by_class=by_class))
    console.print(table)
    console.print()
    for verdict in results.verdicts:
        console.print(verdict, highlight=False, markup=False)
    machine = results.machine
    console.print(
        f"{results.protocol} protocol; one thread per run; {machine.processor}, {machine.cores} cores. "
        f"{' '.join(_notes(results, by_class=by_class))}",
        style="dim",
        highlight=False,
        markup=False,
    )
    console.print(f"Results: {folder / 'results.json'}", highlight=False, markup=False, soft_wrap=True)


def _ranked(results: StudyResults) -> list[ModelResults]:
    def key(model: ModelResults) -> float:
        return -model.test_accuracy.mean if model.test_accuracy else 1.0

    return sorted(results.models, key=key)


def _notes(results: StudyResults, *, by_class: bool) -> list[str]:
    """What the columns mean, for those that this table has."""
    notes = [] if by_class else ["MB: peak memory of the process."]
    notes.append("ms: median latency for one text.")
    if any(model.test_accuracy and model.test_accuracy.ci95 for model in results.models):
        notes.insert(0, "Brackets: 95% interval over seeds.")
    if results.comparison is not None:
        kind = "models" if results.comparison.scope == "architectures" else "trained models"
        notes.insert(0, f"Same letter: {kind} that cannot be told apart on these items.")
    if results.protocol == "notebook":
        notes.append("best: at the epoch that is best on test, so optimistic.")
    return notes


def _row(model: ModelResults, *, notebook: bool, compared: bool, by_class: bool) -> list[str]:
    if model.test_accuracy is None:
        return [model.name, "", f"({model.status})"]
    parameters = "" if model.parameters is None else f"{model.parameters:,}"
    row = [model.name, parameters, _accuracy(model.test_accuracy)]
    if compared:
        row.append(model.letters)
    if by_class:
        for score in (model.balanced_accuracy, model.macro_f1):
            row.append("" if score is None else f"{score.mean:.3f}")
    if notebook:
        best = model.best_epoch_test_accuracy
        row.append("" if best is None else f"{best.mean:.3f}")
    row.append("" if model.seconds_per_epoch is None else _short(model.seconds_per_epoch.median))
    if not notebook and not by_class:
        row.append(_epochs(model.epochs))
    if not by_class:
        row.append("" if not model.peak_memory_bytes else f"{model.peak_memory_bytes / 1e6:,.0f}")
    row.append("" if model.latency_ms is None else _short(model.latency_ms.p50))
    return row


def _accuracy(accuracy: Accuracy) -> str:
    if accuracy.ci95 is None:
        return f"{accuracy.mean:.3f}"
    low, high = accuracy.ci95
    return f"{accuracy.mean:.3f} [{low:.3f}, {min(high, 1.0):.3f}]"


def _epochs(epochs: tuple[int, ...]) -> str:
    low, high = min(epochs), max(epochs)
    return str(low) if low == high else f"{low}–{high}"


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"
