"""``unrolled lab``: every model on one corpus, side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unrolled.data.vocabulary import Vocabulary
    from unrolled.evidence.results import StudyResults
    from unrolled.training.settings import Protocol
    from unrolled.training.study import Study
    from unrolled.types import EncodedDataset


def lab(
    data: Annotated[str, typer.Option(help="demo, imdb, or a path to your own data.")] = "demo",
    protocol: Annotated[str, typer.Option(help="standard or notebook.")] = "standard",
    models: Annotated[
        str | None, typer.Option(help="Names, separated by commas; all of them without it.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs per model.")] = 1,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Instead of what the protocol prescribes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the study lives; results/DATA-PROTOCOL without it.")
    ] = None,
    length: Annotated[int | None, typer.Option(min=1, help="Steps per sequence.")] = None,
    vocabulary_size: Annotated[int | None, typer.Option(min=4, help="Token ids that networks know.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the labels.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; one per core without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json on standard output.")] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="End with the table: no analyses, no report.")
    ] = False,
) -> None:
    """Train and compare models; run the same command again to go on with a study that was stopped."""
    from unrolled.cli.tables import print_results
    from unrolled.training.study import lease

    chosen = {"length": length, "vocabulary_size": vocabulary_size}
    folder = out or Path("results") / f"{Path(data).stem}-{protocol}"
    with lease(folder):
        study = prepare(
            folder,
            data,
            protocol=protocol,
            names=[name.strip() for name in models.split(",")] if models else None,
            num_seeds=seeds,
            epochs=epochs,
            model_settings={key: value for key, value in chosen.items() if value is not None},
            columns={"text_column": text_column, "label_column": label_column},
        )
        results = finish(study, workers)
        page = None if no_report else write_page(folder, results, workers)
    if as_json:
        print(results.to_json(), end="")
    else:
        print_results(results, folder)
    if page is not None:
        print(f"Report: {page}", file=sys.stderr if as_json else sys.stdout)
    report_failures(study)


def finish(study: Study, workers: int | None) -> StudyResults:
    """Runs what a study has left to do and writes its results."""
    from unrolled.cli.progress import watch
    from unrolled.evidence.summary import summarise_study

    watch(study, num_workers=workers)
    results = summarise_study(study)
    save(study.folder, results.to_json())
    return results


def write_page(folder: Path, results: StudyResults, workers: int | None) -> Path | None:
    """Takes the quick measures and writes the report; None where no model has figures to report."""
    from unrolled.evidence.quick import analyse_quickly
    from unrolled.report import write_report

    if not any(model.test_accuracy for model in results.models):
        return None
    for sentence in analyse_quickly(folder, num_workers=workers):
        print(sentence, file=sys.stderr)
    return write_report(folder)


def report_failures(study: Study) -> None:
    """Ends the command with status 4 when a run has failed; the table and its verdicts say why."""
    if any(run.record is not None and run.record.status == "failed" for run in study.runs()):
        raise typer.Exit(4)


def prepare(
    folder: Path,
    source: str,
    *,
    protocol: str,
    names: list[str] | None,
    num_seeds: int,
    epochs: int | None,
    model_settings: dict[str, int],
    columns: dict[str, str | None],
) -> Study:
    """Loads and encodes a corpus and lays out its study, or finds it as it was left."""
    from unrolled.training.settings import select_architectures
    from unrolled.training.study import plan_runs, prepare_study

    wanted = parse_protocol(protocol)
    architectures = select_architectures(names)
    encoded, vocabulary = load_corpus(source, protocol=wanted, columns=columns)
    plans = plan_runs(
        architectures, encoded, wanted, num_seeds=num_seeds, epochs=epochs, model_settings=model_settings
    )
    return prepare_study(folder, encoded, vocabulary, wanted, plans)


def load_corpus(
    source: str, *, protocol: Protocol, columns: dict[str, str | None]
) -> tuple[EncodedDataset, Vocabulary | None]:
    """A corpus as token ids in three parts, and its vocabulary."""
    from unrolled.data.encoding import encode_dataset
    from unrolled.data.load import load_dataset

    return encode_dataset(
        load_dataset(source, text_column=columns["text_column"], label_column=columns["label_column"]),
        protocol=protocol,
    )


def save(folder: Path, text: str) -> None:
    """Writes ``results.json``, whole or not at all."""
    from unrolled.data.storage import write_atomically

    write_atomically(folder / "results.json", text.encode())


def parse_protocol(name: str) -> Protocol:
    """The protocol called ``name``; a UsageError names the nearest otherwise."""
    from unrolled.errors import UsageError, nearest

    protocols: dict[str, Any] = {"standard": "standard", "notebook": "notebook"}
    if name not in protocols:
        raise UsageError(
            "--protocol",
            f"unknown name (got protocol={name!r})",
            expected="standard or notebook",
            action=nearest(name, protocols),
        )
    found: Protocol = protocols[name]
    return found
