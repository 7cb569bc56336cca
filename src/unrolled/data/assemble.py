"""From tables to a data set: classes numbered, parts compared, content fingerprinted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unrolled.data import limits
from unrolled.data.content import content_digest
from unrolled.data.duplicates import describe_shared, describe_shared_groups
from unrolled.data.imdb.reviews import CLASSES, clean_texts, is_imdb
from unrolled.data.tables.table import Table, shorten, show_path
from unrolled.errors import DataError
from unrolled.types import Dataset, Split

PARTS = ("train", "validation", "test")


def split_table(table: Table) -> dict[str, Table]:
    """The table by the parts that its split column names; all of it as "train" when there is none.

    Raises:
        DataError: there is a split column, but no row for training.
    """
    if table.splits is None:
        return {"train": table}
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    for index, part in enumerate(table.splits):
        rows[part].append(index)
    if not rows["train"]:
        raise DataError(
            table.where,
            "the split column names no row for training",
            expected="train in some rows",
            action="correct the column, or rename it if it means something else",
        )
    parts = {part: table.select(indices) for part, indices in rows.items() if indices}
    parts["train"] = replace(parts["train"], notices=table.notices)
    return parts


def assemble(name: str, tables: Mapping[str, Table]) -> Dataset:
    """One data set out of its parts.

    Tables that hold IMDb's reviews are recognised: named "imdb", classes "negative" and "positive", and
    line-break tags replaced by a space.

    Args:
        name: the data set's name.
        tables: by part; "train" always, "validation" and "test" where there are any.

    Returns:
        The data set; notices from the tables first, then on what the parts share.

    Raises:
        DataError: a single class, too many, or a label that training never shows.
    """
    train = tables["train"]
    renamed: Mapping[str, str] = {}
    if all(is_imdb(table) for table in tables.values()):
        name, renamed = "imdb", CLASSES
    classes = tuple(sorted(renamed.get(label, label) for label in _count_classes(train)))
    numbers = {label: number for number, label in enumerate(classes)}
    numbers |= {label: numbers[full] for label, full in renamed.items()}
    parts: dict[str, Split | None] = dict.fromkeys(PARTS)
    for part, table in tables.items():
        texts = clean_texts(table.texts) if renamed else list(table.texts)
        parts[part] = Split(
            _number_labels(part, table, numbers), texts=texts, groups=table.groups, rows=table.rows
        )
    notices = [notice for table in tables.values() for notice in table.notices]
    return _finish(name, classes, parts, [*notices, *_similar_classes(classes)])


def assemble_tokens(path: Path, *, is_known: bool) -> Dataset:
    """IMDb out of Keras' ``imdb.npz``, with the words when their list lies beside it or in the cache."""
    from unrolled.data.imdb.cache import read_cached_parts
    from unrolled.data.imdb.locate import find_word_index
    from unrolled.data.imdb.npz import read_word_index
    from unrolled.data.imdb.pins import WORDS, check_pin

    parts, notices = read_cached_parts(path, is_known=is_known)
    splits: dict[str, Split | None] = dict.fromkeys(PARTS)
    for name, (tokens, labels) in zip(("train", "test"), parts, strict=True):
        splits[name] = Split(labels, tokens=tokens)
        if len(np.unique(labels)) < 2 and name == "train":
            raise _one_class(show_path(path), "negative" if labels.max(initial=0) == 0 else "positive")
    word_file = find_word_index(path)
    words = None
    if word_file is None:
        notices = (*notices, f"{WORDS.name} is not here: token ids cannot be shown as words.")
    else:
        if is_known:
            check_pin(word_file, WORDS)
        words = read_word_index(word_file)
    return _finish("imdb", ("negative", "positive"), splits, list(notices), words)


def _finish(
    name: str,
    classes: tuple[str, ...],
    parts: Mapping[str, Split | None],
    notices: Sequence[str],
    words: Mapping[str, int] | None = None,
) -> Dataset:
    train = parts["train"]
    if train is None or len(train) == 0:
        raise DataError(name, "there is nothing to train on", expected="at least one labelled text")
    return Dataset(
        name=name,
        classes=classes,
        train=train,
        test=parts["test"],
        validation=parts["validation"],
        sha256=content_digest(classes, parts),
        word_index=words,
        notices=(*notices, *describe_shared(parts), *describe_shared_groups(parts)),
    )


def _count_classes(train: Table) -> Counter[str]:
    counts = Counter(train.labels)
    if len(counts) < 2:
        raise _one_class(train.where, next(iter(counts)))
    if len(counts) > limits.MAX_CLASSES:
        raise DataError(
            train.where,
            f"there are too many classes (got {len(counts):,} different labels in {len(train):,} rows)",
            expected=f"up to {limits.MAX_CLASSES:,}",
            action="choose another column for the labels (--label-column)",
        )
    return counts


def _number_labels(
    part: str, table: Table, numbers: Mapping[str, int]
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    try:
        return np.fromiter((numbers[label] for label in table.labels), np.int32, count=len(table))
    except KeyError:
        index = next(i for i, label in enumerate(table.labels) if label not in numbers)
        raise DataError(
            table.place(index),
            f"{part} has a label that training never shows (got label={shorten(table.labels[index])})",
            expected=f"one of {', '.join(shorten(label, 30) for label in list(numbers)[:12])}",
            action="correct the label, remove the row, or add such rows to training",
        ) from None


def _similar_classes(classes: Sequence[str]) -> list[str]:
    """A sentence for classes that differ only by case or spaces: seldom meant."""
    seen: dict[str, str] = {}
    found = []
    for label in classes:
        twin = seen.setdefault(" ".join(label.casefold().split()), label)
        if twin is not label:
            found.append(f"The classes {twin!r} and {label!r} differ only by case or spaces.")
    return found


def _one_class(where: str, label: str) -> DataError:
    return DataError(
        where,
        f"there is a single class (got label={shorten(label)} in every row of training)",
        expected="two classes or more",
        action="check the label column and that the file is complete",
    )
