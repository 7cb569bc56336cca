"""How labelled texts leave ``unrolled predict``: lines for people, CSV for tables, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from unrolled.errors import DataError

if TYPE_CHECKING:
    from unrolled.data.tables.stream import Row
    from unrolled.types import FloatArray

PREDICTED, PROBABILITY = "predicted", "probability_"


class Sink(Protocol):
    """Where answers go, chunk by chunk."""

    def write(self, rows: Sequence[Row], probabilities: FloatArray) -> None:
        """Takes the rows of a chunk and their probabilities, float32, shape (rows, classes)."""

    def close(self) -> None:
        """Writes what comes after the last row."""


class LineSink:
    """A line for each text: label, probability, text, with tabs between; only the text may hold more."""

    def __init__(self, stream: BinaryIO, classes: Sequence[str]) -> None:
        self._stream, self._classes = stream, [_printable(name) for name in classes]

    def write(self, rows: Sequence[Row], probabilities: FloatArray) -> None:
        """Takes a chunk."""
        for row, chances in zip(rows, probabilities, strict=True):
            label = self._classes[int(chances.argmax())]
            self._stream.write(f"{label}\t{chances.max():.4f}\t{_printable(row.text)}\n".encode())

    def close(self) -> None:
        """Nothing follows."""


class CsvSink:
    """The table as it was, with the label and a probability for each class at the end of each row.

    Args:
        stream: receives UTF-8; lines end with a line feed.
        classes: label names.
        columns: the table's; without any, the text takes their place.
        where: the table, for messages.

    Raises:
        DataError: the table already has a column of such a name.
    """

    def __init__(self, stream: BinaryIO, classes: Sequence[str], columns: Sequence[str], where: str) -> None:
        self._stream, self._classes, self._columns = stream, classes, tuple(columns)
        gained = [PREDICTED, *(f"{PROBABILITY}{name}" for name in classes)]
        taken = [name for name in gained if name in self._columns]
        if taken:
            raise DataError(
                where,
                f"the table has a column of the answers' name (got {taken[0]!r})",
                expected=f"no column {PREDICTED!r}, and none that begins with {PROBABILITY!r}",
                action="rename or remove the columns of an earlier prediction",
            )
        self._write([[*(self._columns or ("text",)), *gained]])

    def write(self, rows: Sequence[Row], probabilities: FloatArray) -> None:
        """Takes a chunk."""
        names = [self._classes[index] for index in probabilities.argmax(axis=1)]
        chances = [[f"{value:.7g}" for value in found] for found in probabilities.tolist()]
        self._write(
            [
                [*self._fields(row), name, *found]
                for row, name, found in zip(rows, names, chances, strict=True)
            ]
        )

    def close(self) -> None:
        """Nothing follows."""

    def _fields(self, row: Row) -> list[str]:
        if not self._columns:
            return [row.text]
        return [_cell(row.fields.get(name)) for name in self._columns]

    def _write(self, records: Sequence[Sequence[str]]) -> None:
        buffer = io.StringIO(newline="")
        plain = csv.writer(buffer, lineterminator="\n")
        quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for record in records:
            # The writer leaves a lone carriage return bare, and readers would end the line there.
            (quoted if any("\r" in field for field in record) else plain).writerow(record)
        self._stream.write(buffer.getvalue().encode())


class JsonSink:
    """One document, written as it grows: ``{"run": …, "predictions": [{text, label, probabilities}, …]}``."""

    def __init__(self, stream: BinaryIO, classes: Sequence[str], run: str) -> None:
        self._stream, self._classes, self._between = stream, classes, "\n"
        head = json.dumps({"run": run}, ensure_ascii=False)[:-1]
        stream.write(f'{head}, "predictions": ['.encode())

    def write(self, rows: Sequence[Row], probabilities: FloatArray) -> None:
        """Takes a chunk."""
        for row, chances in zip(rows, probabilities, strict=True):
            found = {
                "text": row.text,
                "label": self._classes[int(chances.argmax())],
                "probabilities": dict(zip(self._classes, map(float, chances), strict=True)),
            }
            self._stream.write(f"{self._between}{json.dumps(found, ensure_ascii=False)}".encode())
            self._between = ",\n"

    def close(self) -> None:
        """Ends the document."""
        self._stream.write(b"\n]}\n")


def _cell(value: Any) -> str:
    """A field of a table as CSV holds it; what is no text as JSON writes it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _printable(text: str) -> str:
    """The text on one line, without what would command a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
