"""Parquet row by row, a small batch at a time: what :mod:`unrolled.data.tables.stream` reads it with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unrolled.data.tables.parquet import (
    check_frame,
    check_sizes,
    column_values,
    is_string,
    sample_rows,
    unreadable,
)
from unrolled.errors import DataError

SUFFIXES = (".parquet", ".pq")
BATCH_ROWS = 1_024


class ParquetRows:
    """An open Parquet file; iterating gives (row number from 1, fields by name).

    Nested columns are left out: no text stands in them, and a table in text has no place for them.

    Args:
        path: the file.
        where: its name in messages.

    Attributes:
        names: the flat columns.
    """

    def __init__(self, path: Path, where: str) -> None:
        check_frame(path, where)
        import pyarrow.parquet as pq
        import pyarrow.types as kinds

        self.path, self.where = path, where
        with unreadable(where):
            file = pq.ParquetFile(path)
            self._schema = file.schema_arrow
            check_sizes(path, where, file.metadata, whole=False)
            self._num_rows = file.metadata.num_rows
            self.names = [field.name for field in self._schema if not kinds.is_nested(field.type)]
        self._size = path.stat().st_size
        self._done = 0

    def sample(self) -> dict[str, list[Any]]:
        """The first values of every column that could be the text."""
        with unreadable(self.where):
            return sample_rows(self.path, self.where, self._schema)

    def reading(self, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows, where the column ``text`` holds the texts.

        Raises:
            DataError: the column holds no strings, or a page is damaged.
        """
        import pyarrow.parquet as pq
        import pyarrow.types as kinds

        kind = self._schema.field(text).type
        if not is_string(kind) and not kinds.is_null(kind):
            raise DataError(
                self.where,
                f"the column {text!r} holds no texts (got {str(kind)[:60]})",
                expected="a column of strings",
                action="--text-column NAME",
            )
        strings = [name for name in self.names if is_string(self._schema.field(name).type)]
        with unreadable(self.where):
            # A dictionary keeps one value repeated a million times one value.
            file = pq.ParquetFile(self.path, read_dictionary=strings, page_checksum_verification=True)
            for batch in file.iter_batches(BATCH_ROWS, columns=self.names, use_threads=False):
                first = self._done + 1
                columns = [column_values(self.where, [batch.column(name)], first) for name in self.names]
                for values in zip(*columns, strict=True):
                    self._done += 1
                    yield self._done, dict(zip(self.names, values, strict=True))

    def position(self) -> int:
        """Bytes read so far, by the share of the rows."""
        return int(self._size * self._done // max(1, self._num_rows))
