"""JSONL: one JSON object a line, read strictly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from unrolled.data import limits
from unrolled.data.tables.columns import SAMPLE_ROWS, ColumnRequest, choose_columns
from unrolled.data.tables.formats import READERS
from unrolled.data.tables.lines import Lines
from unrolled.data.tables.table import Table, TableBuilder, shorten
from unrolled.errors import DataError


@READERS.register(".ndjson")
@READERS.register(".jsonl")
def read_json_lines(path: Path, where: str, request: ColumnRequest) -> Table:
    """The table of a file with one JSON object a line.

    Fields that are not asked for may differ from line to line. Numbers and booleans are labels as they are
    written; a text must be a string or null.
    """
    with Lines(path, where, newline="\n") as lines:
        records = _parse_lines(lines, where)
        head = list(islice(records, SAMPLE_ROWS))
        if not head:
            raise DataError(
                where,
                "the file is empty",
                expected="labelled texts",
                action="check that it was written whole",
            )
        names = list(head[0][1])
        choice = choose_columns(
            where, names, request, lambda: {name: [r.get(name) for _, r in head] for name in names}
        )
        builder = TableBuilder(where, names, "line")
        for line, record in chain(head, records):
            place = f"{where}, line {line}"
            text = _field(record, choice.text, place)
            if text is not None and not isinstance(text, str):
                raise _wrong_kind(place, choice.text, text, "a string or null")
            label = _label(_field(record, choice.label, place), choice.label, place)
            split = group = None
            if choice.split is not None:
                split = _field(record, choice.split, place)
                if not isinstance(split, str):
                    raise _wrong_kind(place, choice.split, split, "train, validation or test")
            if choice.group is not None:
                group = _label(_field(record, choice.group, place), choice.group, place) or ""
            builder.add(line, text, label, split, group)
        builder.notices += lines.notices()
    if choice.guessed:
        builder.notices.append(choice.notice())
    return builder.build()


def _parse_lines(lines: Lines, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    decode = json.JSONDecoder(
        object_pairs_hook=_unique_pairs,
        parse_constant=_refuse_constant,
        parse_int=_parse_integer,
        parse_float=_parse_float,
    ).decode
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            check_depth(line)
            record = decode(line)
            if not isinstance(record, dict):
                raise _Refusal(f"an object belongs here (got {_kind(record)})")
            # Decoded UTF-8 holds no lone surrogate; an escape can bring one.
            if "\\ud" in line or "\\uD" in line:
                check_surrogates(record)
        except json.JSONDecodeError as error:
            raise _broken(where, number, f"not valid JSON ({error.msg} at column {error.colno})") from None
        except (_Refusal, RecursionError) as error:
            raise _broken(where, number, str(error)) from None
        yield number, record


class _Refusal(Exception):  # noqa: N818 - never leaves this module
    """JSON that Python would read and we do not."""


_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def check_depth(line: str) -> None:
    """Refuses deep nesting before a recursive parser meets it; linear time, no recursion."""
    if line.count("[") + line.count("{") <= limits.MAX_DEPTH:
        return
    depth = 0
    for match in _STRUCTURE.finditer(line):
        mark = match[0]
        if mark in "[{":
            depth += 1
            if depth > limits.MAX_DEPTH:
                raise _Refusal(f"the nesting is deeper than {limits.MAX_DEPTH}")
        elif mark in "]}":
            depth -= 1


def check_surrogates(value: Any) -> None:
    """Refuses half a character: such a string can be neither saved nor shown."""
    try:
        # Depth is checked before, so the encoder's recursion is bounded.
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _Refusal(
            f"a lone surrogate stands in a string (got \\u{ord(error.object[error.start]):04x})"
        ) from None


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refusal(f"a key stands twice (got {shorten(twice)})")
    return found


def _refuse_constant(name: str) -> Any:
    raise _Refusal(f"{name} is no JSON")


def _parse_integer(digits: str) -> int:
    if len(digits) > limits.MAX_DIGITS:
        raise _Refusal(f"an integer is too long (got {len(digits):,} digits, most {limits.MAX_DIGITS})")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refusal(f"a number is too large (got {shorten(digits)})")
    return value


def _field(record: dict[str, Any], name: str, place: str) -> Any:
    try:
        return record[name]
    except KeyError:
        raise DataError(
            place,
            f"a field is missing (no {shorten(name)})",
            expected="text and label in every line",
            action="add it or remove the line",
        ) from None


def _label(value: Any, name: str, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _wrong_kind(place, name, value, "a string, a number or a boolean")


def _wrong_kind(place: str, name: str, value: Any, expected: str) -> DataError:
    return DataError(
        place,
        f"the field {shorten(name)} is of the wrong kind (got {_kind(value)})",
        expected=expected,
        action="correct the line, or choose another column",
    )


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return kinds.get(type(value), "a number")


def _broken(where: str, number: int, what: str) -> DataError:
    return DataError(
        f"{where}, line {number}",
        what,
        expected="one JSON object a line, as RFC 8259 has it",
        action="correct or remove the line",
    )
