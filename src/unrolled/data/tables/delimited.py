"""CSV and TSV: a first row of names, quotes as RFC 4180 has them, nothing guessed away."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

from unrolled.data import limits
from unrolled.data.tables.columns import SAMPLE_ROWS, ColumnChoice, ColumnRequest, choose_columns
from unrolled.data.tables.formats import READERS
from unrolled.data.tables.lines import Lines
from unrolled.data.tables.table import Table, TableBuilder, field_too_large, shorten
from unrolled.errors import DataError

_field_limit_lock = threading.Lock()


@READERS.register(".csv")
def read_csv(path: Path, where: str, request: ColumnRequest) -> Table:
    """The table of a file separated by commas, or by semicolons or tabs where its first row has no comma."""
    return _read_delimited(path, where, request, ",;\t")


@READERS.register(".tab")
@READERS.register(".tsv")
def read_tsv(path: Path, where: str, request: ColumnRequest) -> Table:
    """The table of a file separated by tabs."""
    return _read_delimited(path, where, request, "\t")


def _read_delimited(path: Path, where: str, request: ColumnRequest, delimiters: str) -> Table:
    with Lines(path, where, newline="") as lines, _raised_field_limit():
        records = _Records(iter(lines), where, delimiters)
        header = [name.strip() for name in records.header]
        rows = iter(records)
        # A look at the first rows, which are then read like the others.
        head = list(islice(rows, SAMPLE_ROWS))
        choice = choose_columns(
            where,
            header,
            request,
            lambda: {name: [record[i] for _, record in head] for i, name in enumerate(header)},
        )
        builder = TableBuilder(where, header, "row")
        text, label = header.index(choice.text), header.index(choice.label)
        split = None if choice.split is None else header.index(choice.split)
        group = None if choice.group is None else header.index(choice.group)
        for row, record in chain(head, rows):
            builder.add(
                row,
                record[text],
                record[label],
                None if split is None else record[split],
                None if group is None else record[group],
            )
        builder.notices += lines.notices() + records.notices()
    if choice.guessed:
        builder.notices.append(choice.notice())
    table = builder.build()
    if choice.guessed:
        _check_header(where, choice, table)
    return table


class _Records:
    """The rows behind the header, numbered as a spreadsheet numbers them: the header is row 1."""

    def __init__(self, lines: Iterator[str], where: str, delimiters: str) -> None:
        self.where = where
        self._num_blank = 0
        first = ""
        for first in lines:
            if first.strip():
                break
            self._num_blank += 1
        if not first.strip():
            raise DataError(
                where,
                "the file is empty",
                expected="labelled texts",
                action="check that it was written whole",
            )
        self._skipped = self._num_blank
        self.delimiter = next((mark for mark in delimiters if mark in first), delimiters[0])
        self._is_usual = self.delimiter == delimiters[0]
        self._reader = csv.reader(chain([first], lines), delimiter=self.delimiter, strict=True)
        try:
            self.header = next(self._reader)
        except csv.Error as error:
            raise self._broken(self._skipped + 1, 1, error) from None

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        reader, header, width = self._reader, self.header, len(self.header)
        row, line = self._skipped + 1, reader.line_num
        try:
            for record in reader:
                row += 1
                if len(record) != width:
                    if record:
                        raise self._ragged(row, line + 1, len(record))
                    self._num_blank += 1
                elif record == header:
                    raise DataError(
                        self._place(row, line + 1),
                        "the header stands here again",
                        expected="names in the first row only",
                        action="remove this row",
                    )
                else:
                    yield row, record
                line = reader.line_num
        except csv.Error as error:
            raise self._broken(row + 1, line + 1, error) from None

    def notices(self) -> list[str]:
        """What was tolerated, as sentences; whole only when all rows have been read."""
        found = []
        if not self._is_usual:
            name = {";": "semicolons", "\t": "tabs"}[self.delimiter]
            found.append(f"fields are separated by {name}.")
        if self._num_blank:
            lines = "1 blank line was" if self._num_blank == 1 else f"{self._num_blank:,} blank lines were"
            found.append(f"{lines} skipped.")
        return found

    def _place(self, row: int, line: int) -> str:
        line += self._skipped
        return f"{self.where}, row {row}" + (f" (line {line})" if line != row else "")

    def _ragged(self, row: int, line: int, width: int) -> DataError:
        return DataError(
            self._place(row, line),
            f"the row does not fit the header (got {width:,} fields)",
            expected=f"{len(self.header):,} fields",
            action='put fields that hold the separator between quotes ("), and double the quotes within',
        )

    def _broken(self, row: int, line: int, error: csv.Error) -> DataError:
        place, message = self._place(row, line), str(error)
        if "field limit" in message:
            return field_too_large(place, " (or its quote is never closed)")
        if "unexpected end" in message:
            return DataError(
                place,
                "a quote is opened here and never closed",
                expected="quotes in pairs",
                action='close it; a quote within a quoted field is written twice ("")',
            )
        return DataError(
            place,
            f"the row cannot be read ({message})",
            expected="a quoted field to end with its closing quote",
            action='write quotes within a quoted field twice ("")',
        )


def _check_header(where: str, choice: ColumnChoice, table: Table) -> None:
    """Refuses a file without a header, whose first row would otherwise be lost as names."""
    if choice.label in set(table.labels):
        raise DataError(
            f"{where}, row 1",
            f"the first row looks like data (got {shorten(choice.label)} as a name and as a label)",
            expected="a first row that names the columns",
            action="add one, as text,label",
        )


@contextmanager
def _raised_field_limit() -> Iterator[None]:
    # The limit belongs to the whole csv module; others in this process keep theirs.
    with _field_limit_lock:
        previous = csv.field_size_limit(limits.MAX_FIELD_BYTES - 1)
        try:
            yield
        finally:
            csv.field_size_limit(previous)
