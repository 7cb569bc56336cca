"""A folder per class, one text file per example."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from unrolled.data import limits
from unrolled.data.tables.lines import decode_text
from unrolled.data.tables.table import Table, TableBuilder, field_too_large, shorten, show_path
from unrolled.errors import DataError

SUFFIX = ".txt"


def find_classes(folder: Path) -> list[Path]:
    """The folders within ``folder`` that may be classes, sorted by name; hidden ones don't count."""
    return sorted((p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"), key=lambda p: p.name)


def read_class_folder(folder: Path) -> Table:
    """The table of ``folder/<class>/*.txt``: classes by name, files in natural order.

    Natural order counts: "2.txt" comes before "10.txt".

    Raises:
        DataError: a class without a .txt file, or a file that is not UTF-8 text.
    """
    where = show_path(folder)
    builder = TableBuilder(where, ("text", "label"), "")
    num_others = num_marks = 0
    for label in find_classes(folder):
        entries = [entry for entry in label.iterdir() if entry.name[0] != "." and not entry.is_dir()]
        files = [entry for entry in entries if entry.suffix.lower() == SUFFIX]
        if not files:
            raise DataError(
                show_path(label),
                f"the class {shorten(label.name)} has no {SUFFIX} file",
                expected=f"a folder per class, with a {SUFFIX} file per text",
                action="remove the folder, or give a file of labelled texts instead",
            )
        num_others += len(entries) - len(files)
        for file in sorted(files, key=_natural_order):
            text, had_mark = read_text(file)
            num_marks += had_mark
            builder.add(f"{label.name}/{file.name}", text, label.name)
    if num_others:
        builder.notices.append(f"files that are not {SUFFIX} were left out ({num_others:,}).")
    if num_marks:
        builder.notices.append(f"byte order marks at the start of files were skipped ({num_marks:,}).")
    return builder.build()


def read_text(file: Path) -> tuple[str, bool]:
    """The text of a small file, line ends as they are, and whether a byte order mark was skipped.

    Raises:
        DataError: 10 MB or more, not UTF-8, a NUL byte, or no regular file.
    """
    place = show_path(file)
    if not file.is_file():
        raise DataError(place, "it is not a regular file", expected="text files only", action="remove it")
    with file.open("rb") as stream:
        payload = stream.read(limits.MAX_FIELD_BYTES)
    if len(payload) >= limits.MAX_FIELD_BYTES:
        raise field_too_large(place)
    return decode_text(payload, place)


def _natural_order(file: Path) -> tuple[Sequence[tuple[int, int, str]], str]:
    """Runs of digits compare as numbers; the name itself breaks ties ("1.txt", "01.txt")."""
    parts = re.findall(r"([0-9]{1,100})|([^0-9]+)", file.name)
    return [(0, int(digits), "") if digits else (1, 0, other) for digits, other in parts], file.name
