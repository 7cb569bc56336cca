"""Tables of any size, row by row: what predicting needs, which asks for texts and no labels.

Files of text take little memory whatever their size. Parquet's are read a batch at a time, and take what one
of their row groups does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from unrolled.data.tables.columns import SAMPLE_ROWS, choose_text_column
from unrolled.data.tables.delimited import Records, raised_field_limit
from unrolled.data.tables.json_lines import parse_lines
from unrolled.data.tables.lines import Lines
from unrolled.data.tables.parquet_rows import SUFFIXES as PARQUET
from unrolled.data.tables.parquet_rows import ParquetRows
from unrolled.data.tables.table import check_field, shorten, show_path
from unrolled.errors import DataError

DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*DELIMITERS, *JSON_LINES, *PARQUET)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its fields as they stand in the file, and its text, "" for an empty one."""

    fields: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class TableStream:
    """An open table.

    Args:
        columns: names of the first row, or of the first object.
        text_column: the one that holds the texts.
        rows: the rows, in the file's order; read once.
        position: bytes read so far, rounded up to the read-ahead.
    """

    columns: tuple[str, ...]
    text_column: str
    rows: Iterator[Row]
    position: Callable[[], int]


def can_stream(path: Path) -> bool:
    """Whether the suffix is one of a table that can be read row by row."""
    return path.suffix.lower() in SUFFIXES


@contextmanager
def stream_table(path: Path, text_column: str | None = None) -> Iterator[TableStream]:
    """Opens a CSV, TSV, JSONL or Parquet file of any size; memory does not grow with it.

    Args:
        path: the file; its suffix tells the format.
        text_column: the column of the texts; found by name or content where None.

    Raises:
        DataError: at once or while rows are read, as :func:`unrolled.data.tables.read.read_table`.
    """
    where = show_path(path)
    if not path.is_file():
        raise DataError(where, "there is no such file", expected="a table of texts", action="check the path")
    suffix = path.suffix.lower()
    if not can_stream(path):
        raise DataError(
            where,
            f"the file format is unknown (got suffix={suffix!r})",
            expected=f"one of {', '.join(SUFFIXES)}",
            action="convert the file, or rename it after its format",
        )
    if suffix in PARQUET:
        table = ParquetRows(path, where)
        column = choose_text_column(where, table.names, text_column, table.sample)
        rows = (Row(record, _text(where, number, record, column)) for number, record in table.reading(column))
        yield TableStream(tuple(table.names), column, rows, table.position)
        return
    newline = "\n" if suffix in JSON_LINES else ""
    with Lines(path, where, newline=newline) as lines:
        if suffix in JSON_LINES:
            yield _open(where, lines, parse_lines(lines, where), None, text_column)
            return
        with raised_field_limit():
            records = Records(iter(lines), where, DELIMITERS[suffix])
            names = [name.strip() for name in records.header]
            named = ((number, dict(zip(names, record, strict=True))) for number, record in records)
            yield _open(where, lines, named, names, text_column)


def _open(
    where: str,
    lines: Lines,
    records: Iterator[tuple[int, dict[str, Any]]],
    names: list[str] | None,
    text_column: str | None,
) -> TableStream:
    head = list(islice(records, SAMPLE_ROWS))
    if names is None:
        if not head:
            raise DataError(
                where, "the file is empty", expected="texts", action="check that it was written whole"
            )
        names = list(head[0][1])
    chosen = choose_text_column(
        where, names, text_column, lambda: {name: [record.get(name) for _, record in head] for name in names}
    )
    rows = (Row(record, _text(where, number, record, chosen)) for number, record in chain(head, records))
    return TableStream(tuple(names), chosen, rows, lines.position)


def _text(where: str, number: int, record: dict[str, Any], column: str) -> str:
    value = record.get(column)
    if value is None and column in record:
        return ""
    if not isinstance(value, str):
        what = "there is no text" if value is None else f"not a text (got {type(value).__name__})"
        raise DataError(
            f"{where}, row {number}",
            f"{what} in field {shorten(column)}",
            expected="a string",
            action="correct the row, or --text-column NAME",
        )
    check_field(f"{where}, row {number}", value)
    return value
