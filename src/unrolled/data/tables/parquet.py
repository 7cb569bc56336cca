"""Parquet: frame, schema and declared sizes are checked before a value is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unrolled.data import limits
from unrolled.data.tables.columns import SAMPLE_ROWS, ColumnChoice, ColumnRequest, choose_columns
from unrolled.data.tables.formats import READERS
from unrolled.data.tables.table import Table, TableBuilder, one_line, shorten
from unrolled.errors import DataError

MAGIC = b"PAR1"
MAX_FOOTER_BYTES = 64 * 2**20


@READERS.register(".pq")
@READERS.register(".parquet")
def read_parquet(path: Path, where: str, request: ColumnRequest) -> Table:
    """The table of a Parquet file; only the columns that are needed are read.

    Strings are read as dictionaries, so that one value repeated a million times stays one value until the
    limits have seen it.
    """
    check_frame(path, where)
    import pyarrow.parquet as pq

    with unreadable(where):
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        names = list(schema.names)
        _check_rows(where, file.metadata)
        check_sizes(path, where, file.metadata)
        choice = choose_columns(where, names, request, lambda: sample_rows(path, where, schema))
        columns = list(choice.wanted())
        _check_kinds(where, schema, choice)
        strings = [name for name in columns if is_string(schema.field(name).type)]
        file = pq.ParquetFile(path, read_dictionary=strings, page_checksum_verification=True)
        builder = TableBuilder(where, names, "row")
        for group in range(file.num_row_groups):
            _add_group(builder, file.read_row_group(group, columns=columns, use_threads=False), choice)
    if choice.guessed:
        builder.notices.append(choice.notice())
    return builder.build()


@contextmanager
def unreadable(where: str) -> Iterator[None]:
    """Turns what Arrow raises for a broken file into a DataError; the disk's own failures pass."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        # Arrow reports a broken file as OSError too; the disk's own failures carry a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            where,
            f"it cannot be read as Parquet ({one_line(error)})",
            expected="a whole, unencrypted Parquet file",
            action="write or download the file again",
        ) from None


def check_frame(path: Path, where: str) -> None:
    """Refuses a file whose beginning and end are not Parquet's.

    Raises:
        DataError: empty, wrong magic, or a footer that does not fit into the file.
    """
    size = path.stat().st_size
    if size == 0:
        raise DataError(
            where, "the file is empty", expected="labelled texts", action="check that it was written whole"
        )
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(0, size - 8))
        tail = stream.read(8)
    if head != MAGIC:
        raise DataError(
            where,
            f"it is no Parquet file (got first bytes {head!r})",
            expected=f"the first bytes {MAGIC!r}",
            action="check the format; rename the file if it is another",
        )
    footer = struct.unpack("<I", tail[:4])[0] if len(tail) == 8 else 0
    if size < 12 or tail[4:] != MAGIC or not 0 < footer <= min(size - 12, MAX_FOOTER_BYTES):
        raise DataError(
            where,
            f"the footer is cut or damaged (file of {size:,} bytes)",
            expected="a file that ends with its footer",
            action="write or download the file again",
        )


def _check_rows(where: str, metadata: Any) -> None:
    if metadata.num_rows > limits.MAX_ROWS:
        raise DataError(
            where,
            f"it declares too many rows (got {metadata.num_rows:,})",
            expected=f"up to {limits.MAX_ROWS:,}",
            action="take a sample of the rows",
        )


def check_sizes(path: Path, where: str, metadata: Any, *, whole: bool = True) -> None:
    """Holds the size that the footer declares against the limits; on the whole file only where asked.

    The row groups' own totals are read, not those of their columns: on some damaged footers Arrow ends
    the whole process when asked for a column.
    """
    packed = path.stat().st_size
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    too_dense = unpacked > limits.RATIO_FLOOR_BYTES and unpacked > limits.MAX_RATIO * packed
    if too_dense or unpacked < 0 or (whole and unpacked > limits.MAX_UNPACKED_BYTES):
        raise DataError(
            where,
            f"it would unfold too much (got {unpacked:,} bytes out of {packed:,})",
            expected=f"up to {limits.MAX_UNPACKED_BYTES:,} bytes, and {limits.MAX_RATIO} for one packed byte",
            action="check where the file comes from; write texts and labels to a file of their own",
        )


def _check_kinds(where: str, schema: Any, choice: ColumnChoice) -> None:
    import pyarrow.types as kinds

    allowed = {
        choice.text: (is_string, kinds.is_null),
        choice.label: (is_string, kinds.is_integer, kinds.is_boolean, kinds.is_floating),
    }
    if choice.split is not None:
        allowed[choice.split] = (is_string,)
    if choice.group is not None:
        allowed[choice.group] = (is_string, kinds.is_integer)
    for name, checks in allowed.items():
        kind = schema.field(name).type
        if not any(check(kind) for check in checks):
            nested = "nested" if kinds.is_nested(kind) else "of the wrong kind"
            raise DataError(
                where,
                f"the column {shorten(name)} is {nested} (got {shorten(str(kind))})",
                expected="flat columns: texts as strings, labels as strings or numbers",
                action="choose another column, or write this one as strings",
            )


def is_string(kind: Any) -> bool:
    """Whether an Arrow type holds strings, as they are or in a dictionary."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(kind):
        kind = kind.value_type
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def sample_rows(path: Path, where: str, schema: Any) -> dict[str, list[Any]]:
    """The first rows of every column that could be a text or a label."""
    import pyarrow.parquet as pq
    import pyarrow.types as kinds

    strings = [field.name for field in schema if is_string(field.type)]
    names = strings + [f.name for f in schema if kinds.is_integer(f.type) or kinds.is_boolean(f.type)]
    file = pq.ParquetFile(path, read_dictionary=strings)
    for batch in file.iter_batches(batch_size=SAMPLE_ROWS, columns=names, use_threads=False):
        return {name: column_values(where, [batch.column(name)], 1) for name in names}
    return {}


def _add_group(builder: TableBuilder, group: Any, choice: ColumnChoice) -> None:
    first = builder.num_rows + 1
    columns = {
        name: column_values(builder.where, group.column(name).chunks, first) for name in group.column_names
    }
    texts, labels = columns[choice.text], columns[choice.label]
    nothing = [None] * len(texts)
    splits = nothing if choice.split is None else [split or "" for split in columns[choice.split]]
    groups = nothing if choice.group is None else [_named(group) for group in columns[choice.group]]
    for row, (text, label, split, group) in enumerate(zip(texts, labels, splits, groups, strict=True), first):
        builder.add(row, text, _label(builder, label, row), split, group)


def _named(group: Any) -> str:
    return "" if group is None else str(group)


def column_values(where: str, chunks: Sequence[Any], first: int) -> list[Any]:
    """A column's values from row ``first`` on; equal strings of one dictionary are one object."""
    found: list[Any] = []
    for chunk in chunks:
        if not hasattr(chunk, "dictionary"):
            found += chunk.to_pylist()
            continue
        indices = chunk.indices.to_pylist()
        _check_indices(where, indices, len(chunk.dictionary), first + len(found))
        try:
            words = chunk.dictionary.to_pylist()
        except UnicodeDecodeError:
            raise _undecodable(where, chunk.dictionary, indices, first + len(found)) from None
        found += [None if index is None else words[index] for index in indices]
    return found


def _check_indices(where: str, indices: Sequence[int | None], num_words: int, first: int) -> None:
    """Refuses references to nowhere, which Arrow passes on as they stand in a damaged page."""
    present = [index for index in indices if index is not None]
    if present and not 0 <= min(present) <= max(present) < num_words:
        wrong = next(i for i, index in enumerate(indices) if index is not None and not 0 <= index < num_words)
        raise DataError(
            f"{where}, row {first + wrong}",
            f"the page is damaged (got reference {indices[wrong]} into {num_words:,} strings)",
            expected="a whole Parquet file",
            action="write or download the file again",
        )


def _undecodable(where: str, words: Any, indices: Sequence[int | None], first: int) -> DataError:
    for row, index in enumerate(indices, first):
        try:
            if index is not None:
                words[index].as_py()
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            return DataError(
                f"{where}, row {row}",
                f"it is not UTF-8 (got byte 0x{byte:02x} at offset {error.start} of the text)",
                expected="text in UTF-8",
                action="decode the texts before writing the file",
            )
    return DataError(where, "a string is not UTF-8", expected="text in UTF-8")


def _label(builder: TableBuilder, value: Any, row: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value != value:
        raise DataError(
            f"{builder.where}, row {row}",
            "the label is not a number (NaN)",
            expected="a label in every row",
            action="fill it in or remove the row",
        )
    return str(value)
