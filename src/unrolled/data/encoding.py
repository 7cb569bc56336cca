"""From a corpus to token ids in three parts, and from those to batches of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, overload

import numpy as np

from unrolled.data.padding import pad_sequences
from unrolled.data.splitting import content_keys, draw, take
from unrolled.data.storage import load_encoded, save_encoded
from unrolled.data.units import Units
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError, UsageError, nearest
from unrolled.types import (
    Dataset,
    EncodedDataset,
    EncodedSplit,
    IntArray,
    LongArray,
    Ragged,
    SequenceBatch,
    Split,
)

__all__ = [
    "clip_vocabulary",
    "divide_dataset",
    "encode_dataset",
    "iterate_batches",
    "load_encoded",
    "save_encoded",
]

Protocol = Literal["standard", "notebook"]
START, OOV, INDEX_FROM = 1, 2, 3


def encode_dataset(
    dataset: Dataset,
    *,
    protocol: Protocol,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    units: Units = "words",
) -> tuple[EncodedDataset, Vocabulary | None]:
    """Token ids in three parts, and the vocabulary they were made with.

    ``standard`` draws a validation part from train unless the data set has one; ``notebook`` keeps all of
    train and validates on test. A missing test part is drawn from train first. The vocabulary is
    fitted on exactly the rows that are trained on, so that no word of another part gets a rank; it is
    complete, and each model clips it to its own size (:func:`clip_vocabulary`).

    Args:
        dataset: texts, or token ids with start 1, unknown 2 and words from 4, which pass through as they are.
        protocol: "standard" or "notebook".
        seed: which rows are drawn; the same rows on every machine.
        validation_fraction: share of train that becomes validation where it is drawn.
        test_fraction: share of train that becomes test where the data set has none.
        units: what a token of a text is, as in :class:`Vocabulary`.

    Returns:
        The encoded data set, and its vocabulary; None for token ids that came without a word index.

    Raises:
        UsageError: ``protocol``, ``seed`` or a fraction is out of its range.
        DataError: a class is missing from a part or too rare for it, or there is nothing to learn from.
    """
    parts = divide_dataset(
        dataset,
        protocol=protocol,
        seed=seed,
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
    )
    train, notices = parts.train, list(parts.notices)
    vocabulary = _vocabulary(dataset, train, units)
    splits = {"train": train, "test": parts.test, "validation": parts.validation}
    encoded: dict[str, EncodedSplit] = {}
    for name, split in splits.items():
        if split is None:
            continue
        if name == "validation" and split is parts.test:
            encoded[name] = encoded["test"]
            continue
        tokens = split.tokens
        if tokens is None:
            tokens = _known(vocabulary, dataset).encode_ragged(split.texts or ())
        encoded[name] = EncodedSplit(tokens, split.labels.astype(np.int32, copy=False))
        silent = 0 if split.texts is None else _count_silent(tokens)
        if silent:
            notices.append(f"{silent} of {len(split)} texts in {name} hold no word of the vocabulary")
    size = 1 + max(int(split.tokens.values.max(initial=OOV)) for split in encoded.values())
    result = EncodedDataset(
        name=dataset.name,
        classes=dataset.classes,
        vocabulary_size=max(size, 0 if vocabulary is None else vocabulary.size),
        sha256=dataset.sha256,
        notices=tuple(notices),
        best_accuracy=dataset.best_accuracy,
        **encoded,
    )
    return result, vocabulary


def divide_dataset(
    dataset: Dataset,
    *,
    protocol: Protocol,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
) -> Dataset:
    """The same corpus with all three parts, what is missing drawn from train.

    What :func:`encode_dataset` does first; on its own for whoever must know which row went where.
    Under ``notebook`` validation and test are one object.

    Args:
        dataset: as in :func:`encode_dataset`.
        protocol: likewise.
        seed: likewise.
        validation_fraction: likewise.
        test_fraction: likewise.

    Raises:
        UsageError: ``protocol``, ``seed`` or a fraction is out of its range.
        DataError: a class is missing from a part or too rare for it, or there is nothing to learn from.
    """
    if protocol not in ("standard", "notebook"):
        raise UsageError(
            "protocol",
            f"unknown name (got protocol={protocol!r})",
            expected="standard or notebook",
            action=nearest(str(protocol), ("standard", "notebook")),
        )
    notices = list(dataset.notices)
    train, validation, test = dataset.train, dataset.validation, dataset.test
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        _check_split(dataset, name, split)
    if test is None:
        train, test = _divide(dataset, train, "test", test_fraction, seed, notices)
    if protocol == "notebook":
        if validation is not None and validation is not test:
            notices.append("the notebook protocol validates on test: the validation part is not used")
        validation = test
    elif validation is None:
        train, validation = _divide(dataset, train, "validation", validation_fraction, seed, notices)

    return replace(dataset, train=train, validation=validation, test=test, notices=tuple(notices))


@overload
def clip_vocabulary(tokens: Ragged, size: int) -> Ragged: ...
@overload
def clip_vocabulary(tokens: IntArray, size: int) -> IntArray: ...


def clip_vocabulary(tokens: Ragged | IntArray, size: int) -> Ragged | IntArray:
    """The same sequences with every id of ``size`` or above replaced by 2, the id of unknown words.

    What Keras' IMDb loader calls ``num_words``. Nothing is copied when nothing changes.

    Args:
        tokens: int32 ids, packed or of any shape.
        size: number of ids that remain, at least 3.

    Raises:
        UsageError: ``size`` leaves no room for the reserved ids.
    """
    if size <= OOV:
        raise UsageError(
            "vocabulary_size",
            f"out of range (got vocabulary_size={size})",
            expected="at least 3: ids 0 to 2 are reserved",
            action="vocabulary_size=10000",
        )
    values = tokens.values if isinstance(tokens, Ragged) else tokens
    if values.max(initial=0) < size:
        return tokens
    clipped: IntArray = np.where(values < size, values, np.int32(OOV))
    return Ragged(clipped, tokens.offsets) if isinstance(tokens, Ragged) else clipped


def iterate_batches(
    split: EncodedSplit, *, batch_size: int, length: int, vocabulary_size: int, order: LongArray
) -> Iterator[SequenceBatch]:
    """Batches of one shape over the rows in ``order``, padded and truncated on the left.

    The last batch is filled up with copies of its first row at weight 0, so that a compiled step never
    meets a second shape, nor a layer a row without a token.

    Args:
        split: the rows to take from.
        batch_size: rows in every batch.
        length: columns in every batch.
        vocabulary_size: ids from here on become 2.
        order: int64, shape (n,); row numbers in the order in which to deliver them.

    Raises:
        UsageError: a size is out of its range.
    """
    if batch_size < 1:
        raise UsageError(
            "batch_size",
            f"out of range (got batch_size={batch_size})",
            expected="at least 1",
            action="batch_size=128",
        )
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        missing = batch_size - len(rows)
        weights = np.ones(batch_size, np.float32)
        if missing:
            rows = np.concatenate([rows, np.repeat(rows[:1], missing)])
            weights[batch_size - missing :] = 0
        tokens = clip_vocabulary(pad_sequences(split.tokens.take(rows), length), vocabulary_size)
        yield SequenceBatch(tokens, split.labels[rows], weights)


def _divide(
    dataset: Dataset, train: Split, purpose: str, fraction: float, seed: int, notices: list[str]
) -> tuple[Split, Split]:
    kept, drawn, remarks = draw(
        train, dataset.classes, fraction=fraction, seed=seed, purpose=purpose, where=dataset.name
    )
    notices += remarks
    keys = content_keys(train)
    shared = int(np.isin(keys[drawn], keys[kept]).sum())
    if shared:
        # Equal texts of one class stay together, so these carry different labels; groups may hold any.
        why = "under another label" if train.groups is None else "in another group"
        notices.append(f"{shared} of {len(drawn)} texts in {purpose} stand in train too, {why}")
    return take(train, kept), take(train, drawn)


def _vocabulary(dataset: Dataset, train: Split, units: Units) -> Vocabulary | None:
    if train.texts is None:
        if dataset.word_index is None:
            return None
        return Vocabulary(dict(dataset.word_index), start=START, oov=OOV, index_from=INDEX_FROM)
    vocabulary = Vocabulary.fit(train.texts, start=START, oov=OOV, index_from=INDEX_FROM, units=units)
    if not vocabulary.index:
        raise DataError(
            dataset.name,
            "the train part holds no word",
            expected="texts with words between separators",
            action="check which column holds the text",
        )
    return vocabulary


def _known(vocabulary: Vocabulary | None, dataset: Dataset) -> Vocabulary:
    if vocabulary is None:
        raise DataError(
            dataset.name,
            "train brings token ids and another part brings texts",
            expected="texts in every part, or token ids in every part",
            action="bring all parts in one form",
        )
    return vocabulary


def _check_split(dataset: Dataset, name: str, split: Split | None) -> None:
    if split is None:
        return
    where = f"{dataset.name}, {name} part"
    if split.tokens is not None and dataset.train.tokens is None:
        raise DataError(
            where,
            "token ids where train brings texts",
            expected="texts in every part, or token ids in every part",
            action="bring all parts in one form",
        )
    if split.tokens is not None and split.tokens.values.min(initial=0) < 0:
        raise DataError(
            where,
            f"a token id is negative (got id={int(split.tokens.values.min())})",
            expected="ids from 0",
            action="check how the ids were made",
        )
    counts = np.bincount(split.labels.clip(0), minlength=len(dataset.classes))
    if split.labels.min(initial=0) < 0 or len(counts) > len(dataset.classes):
        raise DataError(
            where,
            f"a label has no class (got labels {int(split.labels.min())} to {int(split.labels.max())})",
            expected=f"labels from 0 to {len(dataset.classes) - 1}",
            action="check the labels",
        )
    if len(dataset.classes) < 2 or not counts.all():
        absent = [label for label, count in zip(dataset.classes, counts, strict=True) if not count]
        raise DataError(
            where,
            f"no text of class {', '.join(map(repr, absent))}"
            if absent
            else f"a single class (got classes={dataset.classes})",
            expected="two classes or more, and texts of every class in every part",
            action="add texts of the missing class, or drop the class",
        )


def _count_silent(tokens: Ragged) -> int:
    """Sequences that hold nothing but the start and unknown words."""
    words = np.zeros(len(tokens.values) + 1, np.int64)
    np.cumsum(tokens.values > INDEX_FROM, out=words[1:])
    return int((words[tokens.offsets[1:]] == words[tokens.offsets[:-1]]).sum())
