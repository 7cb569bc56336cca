"""``unrolled data``: a corpus at a glance, and as files."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.data.summary import DatasetSummary


def data(
    source: Annotated[str, typer.Argument(help="demo, imdb, or a path to your own data.")] = "demo",
    text_column: Annotated[str | None, typer.Option(help="Column that holds the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the labels.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Training texts to generate; demo alone.")] = None,
    seed: Annotated[int, typer.Option(help="Of the generated corpus.")] = 0,
    write: Annotated[
        Path | None, typer.Option(help="A folder for train.csv, validation.csv and test.csv.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Show what a corpus consists of: parts, classes, lengths and what is odd; or write it as CSV."""
    from unrolled.data.load import load_dataset
    from unrolled.data.summary import summarise_dataset
    from unrolled.data.tables.write import write_tables

    dataset = load_dataset(source, text_column=text_column, label_column=label_column, seed=seed, size=size)
    found = summarise_dataset(dataset)
    files = [] if write is None else write_tables(dataset, write)
    if as_json:
        print(json.dumps({**asdict(found), "files": [str(path) for path in files]}, indent=1))
        return
    _print(found)
    for path in files:
        print(f"Written: {path}", file=sys.stderr)


def _print(found: DatasetSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("part", no_wrap=True)
    for column in ("items", "median words", "90%", "longest", "unknown"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("classes")
    for part in found.parts:
        unknown = "" if part.unknown_share is None else f"{part.unknown_share:.1%}"
        lengths = [f"{length:,}" for length in part.lengths]
        classes = ", ".join(f"{_printable(label)} {count:,}" for label, count in part.num_by_class.items())
        table.add_row(part.name, f"{part.num_items:,}", *lengths, unknown, classes)
    console.print(f"{_printable(found.name)}: {found.num_words:,} distinct words in train")
    console.print(table)
    if found.best_accuracy is not None:
        console.print(f"No classifier can be expected above {found.best_accuracy:.3f}.")
    for notice in found.notices:
        console.print(_printable(notice))
    console.print(f"sha256 {found.sha256}", style="dim", soft_wrap=True)


def _printable(text: str) -> str:
    """A name from a file without what would command a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
