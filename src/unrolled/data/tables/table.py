"""Labelled texts as one file holds them, and the builder that every reader fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from unrolled.data import limits
from unrolled.errors import DataError


@dataclass(frozen=True, slots=True)
class Table:
    """Texts with their labels, row by row in the file's order, before classes are numbered.

    Args:
        where: the file or folder as the user knows it.
        names: all its columns.
        texts: n strings; a missing text is an empty one.
        labels: n strings, none empty, exactly as they stand in the file.
        splits: n names out of train, validation and test; None when the file does not tell.
        rows: n row or line numbers (or file names), for messages.
        unit: what ``rows`` counts, "row" or "line"; empty when they are names.
        notices: what was met and tolerated, as sentences.
        groups: n names, none empty; None when no column was asked for.
    """

    where: str
    names: tuple[str, ...]
    texts: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str] | None
    rows: Sequence[int | str]
    unit: str
    notices: tuple[str, ...]
    groups: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def place(self, index: int) -> str:
        """Where row ``index`` stands, as an error message names it."""
        return name_place(self.where, self.unit, self.rows[index])

    def select(self, indices: Sequence[int]) -> Table:
        """The rows at ``indices``, in that order, without splits and notices."""
        return replace(
            self,
            texts=[self.texts[i] for i in indices],
            labels=[self.labels[i] for i in indices],
            rows=[self.rows[i] for i in indices],
            splits=None,
            notices=(),
            groups=None if self.groups is None else [self.groups[i] for i in indices],
        )


class TableBuilder:
    """Collects rows, refuses what breaks a limit, and counts what deserves a notice.

    Args:
        where: the file or folder as the user knows it.
        names: all its columns.
        unit: what row numbers count, "row" or "line"; empty when rows are named by file.

    Attributes:
        notices: what was met and tolerated, as sentences; :meth:`build` puts the file's name before each.
    """

    def __init__(self, where: str, names: Sequence[str], unit: str) -> None:
        self.where, self.names, self.unit = where, tuple(names), unit
        self.notices: list[str] = []
        self._texts: list[str] = []
        self._labels: list[str] = []
        self._splits: list[str] = []
        self._groups: list[str] = []
        self._rows: list[int | str] = []
        self._num_empty = self._num_missing = self._num_characters = 0

    @property
    def num_rows(self) -> int:
        """Rows taken in so far."""
        return len(self._texts)

    def add(
        self,
        row: int | str,
        text: str | None,
        label: str | None,
        split: str | None = None,
        group: str | None = None,
    ) -> None:
        """Takes in one row; ``text`` None is a missing text, ``split`` and ``group`` are values or None.

        Raises:
            DataError: no label, an empty group, a field of 10 MB, an unknown split, or too much of it all.
        """
        if text is None:
            self._num_missing += 1
            text = ""
        elif not text:
            self._num_empty += 1
        elif len(text) > _SURELY_SHORT:
            check_field(name_place(self.where, self.unit, row), text)
        if not label:
            raise DataError(
                name_place(self.where, self.unit, row),
                "the label is empty",
                expected="a label in every row",
                action="fill it in or remove the row",
            )
        self._num_characters += len(text)
        if self._num_characters > limits.MAX_TOTAL_CHARACTERS or len(self._texts) >= limits.MAX_ROWS:
            raise DataError(
                name_place(self.where, self.unit, row),
                f"the file unfolds into too much (got {self._num_characters:,} characters so far)",
                expected=f"up to {limits.MAX_ROWS:,} rows and {limits.MAX_TOTAL_CHARACTERS:,} characters",
                action="take a sample of the rows",
            )
        if split is not None:
            self._splits.append(self._canonical_split(row, split))
        if group is not None:
            if not group:
                raise DataError(
                    name_place(self.where, self.unit, row),
                    "the group is empty",
                    expected="a group in every row",
                    action="fill it in or remove the row",
                )
            self._groups.append(group)
        self._texts.append(text)
        self._labels.append(label)
        self._rows.append(row)

    def build(self) -> Table:
        """The finished table.

        Raises:
            DataError: it holds no row.
        """
        if not self._texts:
            raise DataError(
                self.where,
                "it has no rows",
                expected="at least one labelled text",
                action="check that the file is the right one and complete",
            )
        if self._num_empty:
            self.notices.append(f"{count_texts(self._num_empty, 'is', 'are')} empty.")
        if self._num_missing:
            verb = count_texts(self._num_missing, "is", "are")
            self.notices.append(f"{verb} missing and counted as empty.")
        return Table(
            self.where,
            self.names,
            self._texts,
            self._labels,
            self._splits or None,
            self._rows,
            self.unit,
            # Results travel: they name the file, not the folders of the machine it lay on.
            tuple(f"{PurePath(self.where).name}: {notice}" for notice in self.notices),
            self._groups or None,
        )

    def _canonical_split(self, row: int | str, split: str) -> str:
        try:
            return SPLIT_NAMES[split.strip().lower()]
        except KeyError:
            raise DataError(
                name_place(self.where, self.unit, row),
                f"the split is unknown (got split={shorten(split)})",
                expected="train, validation or test",
                action="correct it, or rename the column if it means something else",
            ) from None


SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What a split may be called, in a column or as a file's or folder's name."""

# No character takes more than four bytes in UTF-8, so that shorter texts need no encoding to be measured.
_SURELY_SHORT = limits.MAX_FIELD_BYTES // 4 - 1


def check_field(place: str, text: str) -> None:
    """Refuses a text that takes 10 MB or more.

    Raises:
        DataError: it does.
    """
    if len(text) > _SURELY_SHORT and len(text.encode("utf-8", "surrogatepass")) >= limits.MAX_FIELD_BYTES:
        raise field_too_large(place)


def field_too_large(place: str, hint: str = "") -> DataError:
    """The error for a field of 10 MB or more."""
    return DataError(
        place,
        f"a field is too large{hint}",
        expected=f"fields under {limits.MAX_FIELD_BYTES:,} bytes",
        action="cut long texts, or close the quote that swallows the rows after it",
    )


def name_place(where: str, unit: str, row: int | str) -> str:
    """The place of one row, as an error message names it."""
    return f"{where}, {unit} {row}" if unit else f"{where}/{row}"


def count_texts(number: int, singular: str, plural: str) -> str:
    """A count with its noun and verb.

    >>> count_texts(1, "is", "are"), count_texts(1200, "is", "are")
    ('1 text is', '1,200 texts are')
    """
    return f"1 text {singular}" if number == 1 else f"{number:,} texts {plural}"


def show_path(path: Path) -> str:
    """The path on one line, whatever characters its name holds."""
    name = str(path)
    return name if name.isprintable() else ascii(name)


def one_line(error: object, length: int = 160) -> str:
    """A foreign error's message on one printable line.

    >>> one_line(ValueError("cut off\\nat \\x0f"))
    'cut off at ?'
    """
    words = " ".join(str(error).split())[:length]
    return "".join(mark if mark.isprintable() else "?" for mark in words)


def shorten(value: object, length: int = 60) -> str:
    """The value's ``repr`` on one line of at most ``length`` characters and an ellipsis.

    >>> shorten("a" * 100, 8)
    "'aaaaaaa…"
    """
    # Cut first: the repr of ten megabytes is not free.
    shown = repr(value[:length] if isinstance(value, str) else value)
    if not shown.isprintable():
        shown = ascii(value)
    long = len(shown) > length or (isinstance(value, str) and len(value) > length)
    return shown[:length] + "…" if long else shown
