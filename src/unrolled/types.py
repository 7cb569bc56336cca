"""The frozen records that rooms hand to each other. No behaviour beyond what keeps them consistent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import DataError

IntArray: TypeAlias = NDArray[np.int32]
LongArray: TypeAlias = NDArray[np.int64]
FloatArray: TypeAlias = NDArray[np.float32]
DoubleArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Token sequences of unequal length in two flat arrays.

    One block of memory instead of a list per review: it maps from disk, hashes and slices at once.

    Args:
        values: int32, shape (total tokens,); all sequences one after the other.
        offsets: int64, shape (sequences + 1,); sequence ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
    """

    values: IntArray
    offsets: LongArray

    def __post_init__(self) -> None:
        if self.offsets.ndim != 1 or len(self.offsets) < 1 or self.offsets[0] != 0:
            raise DataError(
                "Ragged", "offsets do not start at 0", expected="int64 offsets from 0 to len(values)"
            )
        if self.offsets[-1] != len(self.values) or np.any(np.diff(self.offsets) < 0):
            raise DataError(
                "Ragged",
                f"offsets do not fit the values (got last offset={self.offsets[-1]}, "
                f"values={len(self.values)})",
                expected="rising offsets that end at len(values)",
            )

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int]] | Sequence[NDArray[np.integer]]) -> Ragged:
        """The same sequences, packed. ``sequences`` holds integers that fit int32."""
        offsets = np.zeros(len(sequences) + 1, np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        values = np.empty(int(offsets[-1]), np.int32)
        for start, stop, sequence in zip(offsets[:-1], offsets[1:], sequences, strict=True):
            values[start:stop] = np.asarray(sequence)
        return cls(values, offsets)

    @property
    def lengths(self) -> LongArray:
        """Tokens per sequence, int64, shape (sequences,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> IntArray:
        """The tokens of one sequence, a view, int32, shape (length,)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        index %= len(self)
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: LongArray) -> Ragged:
        """The sequences at ``indices`` (int, shape (n,)), in that order, packed anew."""
        lengths = self.lengths[indices]
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        # Position of every token in the old array: its sequence's old start plus its place within.
        shift = np.repeat(self.offsets[:-1][indices] - offsets[:-1], lengths)
        return Ragged(self.values[np.arange(offsets[-1]) + shift], offsets)


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a generated review truly says, word by word. Only generated data has it.

    Args:
        roles: int8, shape (words,); the role of every word, an index into the generator's ``ROLES``.
        evidence: signed strength of the review's verdict; its sign is the true label.
        label: the true class before label noise.
    """

    roles: NDArray[np.int8]
    evidence: float
    label: int


@dataclass(frozen=True, slots=True)
class Split:
    """One part of a data set: labels beside texts, or beside tokens where a source has no text.

    Args:
        labels: int32, shape (n,); index into the data set's ``classes``.
        texts: n strings, or None when the source holds token ids only.
        tokens: n sequences of token ids (start 1, out-of-vocabulary 2, words from 4), or None.
        annotations: n ground truths, for generated data only.
        groups: n names; items of one name (one author, one product) belong on one side of every split.
        rows: n row or line numbers, or file names, where each item stood in its source.
    """

    labels: IntArray
    texts: Sequence[str] | None = None
    tokens: Ragged | None = None
    annotations: Sequence[Annotation] | None = None
    groups: Sequence[str] | None = None
    rows: Sequence[int | str] | None = None

    def __post_init__(self) -> None:
        if (self.texts is None) == (self.tokens is None):
            raise DataError("Split", "needs texts or tokens, and not both")
        for name in ("texts", "tokens", "annotations", "groups", "rows"):
            part = getattr(self, name)
            if part is not None and len(part) != len(self.labels):
                raise DataError(
                    "Split",
                    f"{name} and labels differ in number (got {len(part)} and {len(self.labels)})",
                    expected="one label for each sequence",
                )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled corpus as its source delivers it, before any vocabulary is fitted.

    Args:
        name: "demo", "imdb" or the file's name, as reports show it.
        classes: label names in index order, at least two.
        train: the part to learn from.
        test: the part that is read once; None when the source brings a single part.
        validation: the part to choose on; None when it is to be drawn from ``train``.
        word_index: word to rank (from 1), for sources that bring token ids; None for texts.
        sha256: hex digest of the content in canonical order: same data, same digest, whatever the format.
        notices: sentences a reader of the results must know ("12 texts stand in both train and test").
        best_accuracy: the highest accuracy any classifier can reach, where it is known by construction.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split | None
    sha256: str
    validation: Split | None = None
    word_index: Mapping[str, int] | None = None
    notices: tuple[str, ...] = ()
    best_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class EncodedSplit:
    """Token ids and labels of one part. ``tokens`` holds n sequences, ``labels`` int32, shape (n,)."""

    tokens: Ragged
    labels: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: LongArray) -> EncodedSplit:
        """The items at ``indices`` (int, shape (n,)), in that order."""
        return EncodedSplit(self.tokens.take(indices), self.labels[indices])


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """A data set ready for training: what every model, run and measure reads.

    Token ids follow Keras' IMDb convention (0 pads, 1 starts, 2 stands for an unknown word, words from 4
    by falling frequency in ``train``) and are *not* cut to a vocabulary size: each model clips to its own.

    Args:
        name: as in :class:`Dataset`.
        classes: label names in index order.
        train: what to fit.
        validation: what to choose on; under the ``notebook`` protocol the test part itself.
        test: what is read for the final figure.
        vocabulary_size: number of ids in use, the highest possible id plus one.
        sha256: the data set's digest.
        notices: as in :class:`Dataset`.
        best_accuracy: as in :class:`Dataset`.
    """

    name: str
    classes: tuple[str, ...]
    train: EncodedSplit
    validation: EncodedSplit
    test: EncodedSplit
    vocabulary_size: int
    sha256: str
    notices: tuple[str, ...] = ()
    best_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class SequenceBatch:
    """Padded tokens as a model takes them.

    Args:
        tokens: int32, shape (batch, time); 0 where padded.
        labels: int32, shape (batch,).
        weights: float32, shape (batch,); 0 for rows that only fill the batch, 1 for real ones.
    """

    tokens: IntArray
    labels: IntArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Machine:
    """Where figures were taken: they mean nothing without it."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    packages: Mapping[str, str] = field(default_factory=dict)


def digest(*arrays: NDArray[Any] | str) -> str:
    """Hex sha256 over arrays (dtype, shape and bytes) and strings, in the order given."""
    sha = hashlib.sha256()
    for array in arrays:
        if isinstance(array, str):
            payload = array.encode("utf-8", "surrogatepass")
            sha.update(f"str:{len(payload)};".encode())
            sha.update(payload)
        else:
            contiguous = np.ascontiguousarray(array)
            sha.update(f"{contiguous.dtype.str}:{contiguous.shape};".encode())
            sha.update(contiguous.data if contiguous.size else b"")
    return sha.hexdigest()
