"""What a corpus consists of, before anyone trains on it: parts, classes, lengths, oddities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.data.duplicates import describe_shared
from unrolled.data.vocabulary import Vocabulary
from unrolled.types import Dataset, LongArray, Split

# The share of texts that a length in a summary leaves room for.
QUANTILES = (0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One part of a corpus.

    Args:
        name: train, validation or test.
        num_items: its texts or sequences.
        num_by_class: by label, in the order of the classes.
        lengths: median, 90th percentile and longest, in words (or token ids) per item.
        num_empty: items without a single word.
        unknown_share: share of its words that the training part does not hold; None for the training part
            and for token ids.
    """

    name: str
    num_items: int
    num_by_class: dict[str, int]
    lengths: tuple[int, int, int]
    num_empty: int
    unknown_share: float | None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A corpus at a glance.

    Args:
        name: as reports show it.
        sha256: of its content.
        parts: train first.
        num_words: distinct words of the training part; for token ids those that the source names.
        best_accuracy: the highest that can be reached, where it is known by construction.
        notices: what a reader of results on it must know.
    """

    name: str
    sha256: str
    parts: tuple[PartSummary, ...]
    num_words: int
    best_accuracy: float | None
    notices: tuple[str, ...]


def summarise_dataset(dataset: Dataset) -> DatasetSummary:
    """Parts, classes, lengths and oddities of a corpus as it came from its source."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    vocabulary = None if dataset.train.texts is None else Vocabulary.fit(dataset.train.texts)
    parts = tuple(
        _summarise(name, split, dataset.classes, vocabulary)
        for name, split in splits.items()
        if split is not None
    )
    shared = tuple(line for line in describe_shared(splits) if line not in dataset.notices)
    words = len(dataset.word_index or ()) if vocabulary is None else len(vocabulary.index)
    return DatasetSummary(
        dataset.name, dataset.sha256, parts, words, dataset.best_accuracy, (*dataset.notices, *shared)
    )


def _summarise(
    name: str, split: Split, classes: tuple[str, ...], vocabulary: Vocabulary | None
) -> PartSummary:
    lengths, unknown = _measure(split, vocabulary)
    counts = np.bincount(split.labels, minlength=len(classes))
    median, ninetieth, longest = (
        np.quantile(lengths, QUANTILES, method="nearest").tolist() if len(lengths) else (0, 0, 0)
    )
    return PartSummary(
        name=name,
        num_items=len(split),
        num_by_class={label: int(count) for label, count in zip(classes, counts, strict=True)},
        lengths=(int(median), int(ninetieth), int(longest)),
        num_empty=int((lengths == 0).sum()),
        unknown_share=None if name == "train" else unknown,
    )


def _measure(split: Split, vocabulary: Vocabulary | None) -> tuple[LongArray, float | None]:
    """Words per item, and the share of them that the vocabulary does not hold."""
    if split.tokens is not None:
        return split.tokens.lengths, None
    if split.texts is None or vocabulary is None:
        raise ValueError("a part without texts has tokens")
    counted = Vocabulary.fit(split.texts).encode_ragged(split.texts).lengths
    known = int(vocabulary.encode_ragged(split.texts).lengths.sum())
    return counted, 1 - known / max(int(counted.sum()), 1)
