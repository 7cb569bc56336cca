"""Any table file, by its suffix."""

from __future__ import annotations

from pathlib import Path

from unrolled.data.tables import delimited, json_lines, parquet
from unrolled.data.tables.columns import ColumnRequest
from unrolled.data.tables.formats import READERS
from unrolled.data.tables.table import Table, show_path
from unrolled.errors import DataError

# The readers file themselves under their suffixes when their modules are imported.
_MODULES = (delimited, json_lines, parquet)

_HINTS = {
    ".json": "one JSON object a line, in a file named .jsonl",
    ".gz": "unpack the file first",
    ".zip": "unpack the file first",
    ".xlsx": "save the sheet as CSV in UTF-8",
    ".txt": "a folder per class that holds the .txt files, or a CSV file",
}


def is_table_file(path: Path) -> bool:
    """Whether the suffix is one that a reader is registered for."""
    return path.suffix.lower() in READERS


def read_table(path: Path, request: ColumnRequest) -> Table:
    """The labelled texts of one file.

    Args:
        path: a file whose suffix tells its format.
        request: columns that the user asked for.

    Returns:
        The table, rows in the file's order.

    Raises:
        DataError: the file is not there, of no known format, or not what its format demands.
    """
    where = show_path(path)
    if not path.is_file():
        what = "it is not a file" if path.exists() else "there is no such file"
        raise DataError(where, what, expected="a file of labelled texts", action="check the path")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise DataError(
            where,
            f"the file format is unknown (got suffix={suffix!r})",
            expected=f"one of {', '.join(READERS.names())}",
            action=_HINTS.get(suffix, "convert the file, or rename it after its format"),
        )
    return READERS.get(suffix)(path, where, request)
