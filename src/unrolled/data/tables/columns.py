"""Which column holds the texts and which the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unrolled.data import limits
from unrolled.data.tables.table import shorten
from unrolled.errors import DataError, UsageError, nearest

SAMPLE_ROWS = 1_000
"""Rows that are looked at when names do not tell."""

LOOK_CHARACTERS = 1_000
"""Characters of each text that are looked at."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TEXT_NAMES = _words(
    "text texts review reviews review_text reviewtext sentence sentences comment comments comment_text "
    "content contents body document documents message messages tweet tweets utterance query sms post "
    "passage paragraph phrase question"
)
"""Names that mean the text. A text column beats one of ``LESSER_TEXT_NAMES``."""

LESSER_TEXT_NAMES = _words("title headline summary abstract description subject")

LABEL_NAMES = _words(
    "label labels sentiment sentiments class classes target targets category categories polarity y "
    "emotion intent topic tag class_name label_name"
)


@dataclass(frozen=True, slots=True)
class ColumnRequest:
    """The columns that the user asked for; None where they are to be found out."""

    text: str | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        taken: dict[str, str] = {}
        for role in ("text", "label", "group", "split"):
            name = getattr(self, role)
            if name is None:
                continue
            other = taken.setdefault(name, role)
            if other != role:
                raise UsageError(
                    "columns",
                    f"{other} and {role} are one column (got {other}_column={role}_column={name!r})",
                    expected="two different columns",
                    action=f"name another one for the {role}s",
                )


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """The columns to read; ``split`` is None when none assigns rows to parts, ``group`` unless asked for.

    ``guessed`` is True when content and not a name decided, which a reader of the results must know.
    """

    text: str
    label: str
    split: str | None
    guessed: bool
    group: str | None = None

    def wanted(self) -> tuple[str, ...]:
        """The columns that exist in this choice: text, label, then split and group where there are any."""
        return tuple(name for name in (self.text, self.label, self.split, self.group) if name is not None)

    def notice(self) -> str:
        """The sentence that tells how the columns were found."""
        return f"columns were guessed from their content (text {self.text!r}, label {self.label!r})."


Sample = Mapping[str, Sequence[Any]]


def choose_columns(
    where: str, names: Sequence[str], request: ColumnRequest, sample: Callable[[], Sample]
) -> ColumnChoice:
    """The text, label and split column: as requested, else by name, else by content.

    Args:
        where: the file, for messages.
        names: its columns.
        request: what the user asked for.
        sample: gives up to ``SAMPLE_ROWS`` values of each column that may be chosen; called only when
            names fail.

    Returns:
        The choice.

    Raises:
        DataError: a requested column is missing, a name stands twice, or the choice is not clear.
    """
    _check_names(where, names)
    for role in ("text", "label", "group", "split"):
        option, wanted = f"{role}_column", getattr(request, role)
        if wanted is not None and wanted not in names:
            raise DataError(
                where,
                f"there is no such column (got {option}={shorten(wanted)})",
                expected=f"one of {_listed(names)}",
                action=nearest(wanted, names),
            )
    if len(names) < 2:
        raise DataError(
            where,
            f"there is a single column (got {_listed(names)})",
            expected="a column of texts and a column of labels",
            action="check the separator, and that the first row names the columns",
        )
    taken = {request.label, request.group, request.split}
    free = [name for name in names if name not in taken]
    text = request.text or _by_name(where, "text", free, (TEXT_NAMES, LESSER_TEXT_NAMES))
    free = [name for name in names if name not in {text, request.group, request.split}]
    label = request.label or _by_name(where, "label", free, (LABEL_NAMES,))
    guessed = text is None or label is None
    if text is None or label is None:
        seen = sample()
        others = {request.group, request.split}
        text = text or _by_content(where, "text", [n for n in names if n not in {label, *others}], seen)
        label = label or _by_content(where, "label", [n for n in names if n not in {text, *others}], seen)
    used = (text, label, request.group)
    split = request.split or next((n for n in names if _fold(n) == "split" and n not in used), None)
    return ColumnChoice(text, label, split, guessed, request.group)


def _check_names(where: str, names: Sequence[str]) -> None:
    if len(names) > limits.MAX_COLUMNS:
        raise DataError(
            where,
            f"there are too many columns (got {len(names):,})",
            expected=f"up to {limits.MAX_COLUMNS:,}",
            action="check the separator",
        )
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(
                where,
                f"two columns have the same name (got {shorten(name)} twice)",
                expected="a different name for each column",
                action="rename or remove one",
            )
        seen.add(name)


def _by_name(
    where: str, what: str, names: Sequence[str], vocabularies: Sequence[frozenset[str]]
) -> str | None:
    """The one column whose name says that it is ``what``; None when no name does."""
    for vocabulary in vocabularies:
        found = [name for name in names if _fold(name) in vocabulary]
        if len(found) > 1:
            raise _unclear(where, what, found)
        if found:
            return found[0]
    return None


def _by_content(where: str, what: str, names: Sequence[str], seen: Sample) -> str:
    """The one column whose values look like ``what``."""
    looks_right = _looks_like_text if what == "text" else _looks_like_label
    found = [name for name in names if _fold(name) != "split" and looks_right(seen.get(name, ()))]
    if len(found) != 1:
        raise _unclear(where, what, found or names)
    return found[0]


def _looks_like_text(values: Sequence[Any]) -> bool:
    """Mostly distinct strings of several words."""
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) < 2 or len(texts) < len(values) / 2:
        return False
    mean_words = sum(text.count(" ", 0, LOOK_CHARACTERS) + 1 for text in texts) / len(texts)
    return mean_words >= 3 and len(set(texts)) > len(texts) / 2


def _looks_like_label(values: Sequence[Any]) -> bool:
    """Few distinct short values, each of them several times on average."""
    present = [str(value) for value in values if value is not None and not isinstance(value, float)]
    distinct = set(present)
    if len(present) < len(values) or not 2 <= len(distinct) <= min(50, len(present) // 2):
        return False
    return "" not in distinct and max(map(len, distinct)) <= 40


def _unclear(where: str, what: str, candidates: Sequence[str]) -> DataError:
    return DataError(
        where,
        f"it is not clear which column is the {what} (candidates: {_listed(candidates)})",
        expected=f"one column named like {'text or review' if what == 'text' else 'label or sentiment'}",
        action=f"--{what}-column NAME ({what}_column= in Python)",
    )


def _fold(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(shorten(name, 40) for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
