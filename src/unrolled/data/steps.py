"""Sequences of numbers instead of words: ragged on the way in, padded with a mark on the way to a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unrolled.types import EncodedSplit, FloatArray, LongArray, Ragged, SequenceBatch


class Steps(Ragged):
    """Sequences of unequal length whose steps are vectors of numbers.

    Takes the place of :class:`unrolled.types.Ragged` in an ``EncodedSplit``; ``values`` is float32, shape
    (total steps, features), and ``offsets`` as there.
    """

    __slots__ = ()

    @classmethod
    def from_arrays(cls, sequences: Sequence[NDArray[Any]]) -> Steps:
        """The sequences, each (time, features) with one number of features, packed."""
        offsets = np.zeros(len(sequences) + 1, np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        return cls(cast(Any, np.concatenate(sequences).astype(np.float32)), offsets)

    @property
    def num_features(self) -> int:
        """Numbers in each step."""
        return int(cast(FloatArray, self.values).shape[1])

    def take(self, indices: LongArray) -> Steps:
        """The sequences at ``indices`` (int, shape (n,)), in that order, packed anew."""
        lengths = self.lengths[indices]
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        shift = np.repeat(self.offsets[:-1][indices] - offsets[:-1], lengths)
        return Steps(self.values[np.arange(offsets[-1]) + shift], offsets)


def pad_steps(split: EncodedSplit, rows: LongArray, *, batch_size: int, length: int) -> SequenceBatch:
    """The rows as one batch, padded and truncated on the left, float32, (batch, length, features + 1).

    The last feature is the mark of a real step: 1, and 0 where padded. Any number may stand in a real
    step, zero as well, so that no value of the data can serve as the sign of padding. Missing rows are
    filled up with copies of the first at weight 0, as in :func:`unrolled.data.encoding.iterate_batches`.

    Args:
        split: labels beside :class:`Steps`.
        rows: int64, up to ``batch_size`` row numbers.
        batch_size: rows of the batch.
        length: columns of the batch.
    """
    steps = cast(Steps, split.tokens)
    missing = batch_size - len(rows)
    weights = np.ones(batch_size, np.float32)
    weights[batch_size - missing :] = 0
    rows = np.concatenate([rows, np.repeat(rows[:1], missing)])
    padded = np.zeros((batch_size, length, steps.num_features + 1), np.float32)
    for place, row in enumerate(rows):
        stop = steps.offsets[row + 1]
        start = max(steps.offsets[row], stop - length)
        if stop > start:
            padded[place, length - (stop - start) :, :-1] = steps.values[start:stop]
            padded[place, length - (stop - start) :, -1] = 1
    return SequenceBatch(cast(Any, padded), split.labels[rows], weights)
