"""``unrolled predict``: labels for texts, from a word on the command line to a table of any size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from unrolled.errors import DataError, UsageError

if TYPE_CHECKING:
    from unrolled.cli.answers import Answerer
    from unrolled.cli.labelled import Sink
    from unrolled.data.tables.stream import Row

CHUNK_ROWS = 4_096
CHUNK_CHARACTERS = 8_000_000


@dataclass(frozen=True, slots=True)
class Questions:
    """Texts to label, one after the other.

    Args:
        columns: of the table they stand in; none where they come alone.
        rows: read once.
        size: bytes in all; None where nobody knows.
        position: bytes read so far.
    """

    columns: tuple[str, ...]
    rows: Iterator[Row]
    size: int | None = None
    position: Callable[[], int] = int


def predict(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or an export's.")],
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts; standard input, a line each, without.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--input", help="CSV, TSV, JSONL or Parquet of any size instead.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the answers go, as CSV; standard output without it.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of --input that holds the texts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead.")] = False,
) -> None:
    """Label texts with a trained model.

    A table keeps its rows, their order and its columns, and gains the label and a probability per class.
    """
    from unrolled.cli.answers import open_answerer
    from unrolled.cli.labelled import CsvSink, JsonSink, LineSink
    from unrolled.data.storage import replace_atomically

    _check_usage(texts, table, text_column)
    with _questions(texts, table, text_column) as questions:
        answerer = open_answerer(model)

        def answer(stream: BinaryIO) -> None:
            sink: Sink
            if as_json:
                sink = JsonSink(stream, answerer.classes, str(model))
            elif table is not None or output is not None:
                where = "the texts" if table is None else str(table)
                sink = CsvSink(stream, answerer.classes, questions.columns, where)
            else:
                sink = LineSink(stream, answerer.classes)
            _label(answerer, questions, sink, shown=output is not None or not sys.stdout.isatty())

        if output is None:
            answer(sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with replace_atomically(output) as stream:
                answer(stream)


def _check_usage(texts: list[str] | None, table: Path | None, text_column: str | None) -> None:
    for number, text in enumerate(texts or (), 1):
        # The shell may pass bytes on that are no text; Python keeps them as lone surrogates.
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UsageError(f"text {number}", "it is not UTF-8", expected="valid Unicode")
    if texts and table is not None:
        raise UsageError(
            "unrolled predict",
            "texts and --input are both given",
            expected="one of them",
            action="leave out the texts",
        )
    if text_column is not None and table is None:
        raise UsageError(
            "--text-column",
            "there is no table (no --input is given)",
            expected="--input FILE beside it",
            action="--input FILE",
        )


@contextmanager
def _questions(texts: list[str] | None, table: Path | None, text_column: str | None) -> Iterator[Questions]:
    from unrolled.data.tables.stream import Row, stream_table

    if table is not None:
        with stream_table(table, text_column) as stream:
            yield Questions(stream.columns, stream.rows, table.stat().st_size, stream.position)
        return
    if texts:
        yield Questions((), (Row({}, text) for text in texts))
        return
    if sys.stdin.isatty():
        print("Reading texts from standard input, one a line; Ctrl-D ends them.", file=sys.stderr, flush=True)
    yield Questions((), (Row({}, line) for line in _lines(sys.stdin.buffer)))


def _lines(stream: BinaryIO) -> Iterator[str]:
    """The lines of a stream of bytes without their ends.

    Raises:
        DataError: a line is no UTF-8, or too long to be a text.
    """
    from unrolled.data.limits import MAX_FIELD_BYTES

    number = 0
    while raw := stream.readline(MAX_FIELD_BYTES):
        number += 1
        place = f"standard input, line {number:,}"
        if len(raw) >= MAX_FIELD_BYTES:
            raise DataError(place, "the line is too long", expected=f"lines under {MAX_FIELD_BYTES:,} bytes")
        try:
            yield raw.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            raise DataError(
                place,
                f"it is not UTF-8 (got byte 0x{raw[error.start]:02x} at offset {error.start} of the line)",
                expected="text in UTF-8",
                action="iconv -f LATIN1 -t UTF-8",
            ) from None


def _label(answerer: Answerer, questions: Questions, sink: Sink, *, shown: bool) -> None:
    """Answers chunk by chunk, so that memory does not grow with what is read."""
    with _progress(questions, shown=shown) as advance:
        for rows in _chunks(questions.rows):
            sink.write(rows, answerer.probabilities([row.text for row in rows]))
            advance(len(rows))
    sink.close()


def _chunks(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        chunk.append(row)
        characters += len(row.text)
        if len(chunk) == CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
            yield chunk
            chunk, characters = [], 0
    if chunk:
        yield chunk


@contextmanager
def _progress(questions: Questions, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A function that takes the number of rows done; it moves a bar on a terminal, for tables alone."""
    if not (shown and questions.size and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[rows]:,} texts"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=questions.size, rows=0)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress.update(task, completed=min(questions.position(), questions.size or 0), rows=done)

        yield advance
