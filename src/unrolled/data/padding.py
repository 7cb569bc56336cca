"""Sequences of unequal length as one rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from unrolled.errors import DataError, UsageError
from unrolled.types import IntArray, Ragged

Side = Literal["left", "right"]


def pad_sequences(
    sequences: Ragged | Sequence[Sequence[int]],
    length: int | None = None,
    side: Side = "left",
    truncate: Side = "left",
) -> IntArray:
    """The sequences as rows of one int32 array, filled up with zeros and cut to one length.

    A recurrent layer reads left to right, so by default both happen on the left: its last step meets
    the last words of a review, never padding.

    Args:
        sequences: token ids, one sequence a row; lists, arrays or a :class:`~unrolled.types.Ragged`.
        length: columns of the result; the longest sequence when None.
        side: where zeros go, "left" or "right".
        truncate: where tokens are cut from sequences longer than ``length``, "left" or "right".

    Returns:
        int32, shape (sequences, length).

    Raises:
        UsageError: an argument is out of its range.
        DataError: a sequence holds something that is no int32.

    >>> pad_sequences([[4, 5, 1], [1, 8, 3, 2]], 3).tolist()
    [[4, 5, 1], [8, 3, 2]]
    >>> pad_sequences([[4, 5, 1], [1, 8, 3, 2]]).tolist()
    [[0, 4, 5, 1], [1, 8, 3, 2]]
    """
    for name, value in (("side", side), ("truncate", truncate)):
        if value not in ("left", "right"):
            raise UsageError(
                "pad_sequences",
                f"{name} is unknown (got {name}={value!r})",
                expected="'left' or 'right'",
                action=f"{name}='left'",
            )
    if length is not None and (isinstance(length, bool) or not isinstance(length, int | np.integer)):
        raise _bad_length(length)
    if length is not None and length < 1:
        raise _bad_length(length)
    ragged = sequences if isinstance(sequences, Ragged) else pack_sequences(sequences)
    if length is None:
        length = int(ragged.lengths.max(initial=0))
    return _fill(ragged, int(length), side, truncate)


def pack_sequences(sequences: Sequence[Sequence[int]]) -> Ragged:
    """The sequences as one :class:`~unrolled.types.Ragged`, each element checked to be an int32.

    Raises:
        DataError: a sequence is nested, or holds anything but integers that fit 32 bits.
    """
    limits = np.iinfo(np.int32)
    arrays = []
    for row, sequence in enumerate(sequences):
        try:
            array = np.asarray(sequence)
        except (ValueError, OverflowError):
            array = np.asarray(None)
        if array.ndim == 1 and not array.size:
            array = array.astype(np.int32)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise DataError(
                f"sequence {row}",
                f"not a flat list of integers (got {_brief(sequence)})",
                expected="token ids",
                action="encode texts with a Vocabulary first",
            )
        if array.size and (array.max() > limits.max or array.min() < limits.min):
            raise DataError(
                f"sequence {row}",
                f"a token id is too large (got {int(array.max())})",
                expected=f"ids from 0 to {limits.max}",
                action="check how the ids were made",
            )
        arrays.append(array.astype(np.int32, copy=False))
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return Ragged(np.concatenate([np.empty(0, np.int32), *arrays]), offsets)


def _fill(ragged: Ragged, length: int, side: Side, truncate: Side) -> IntArray:
    padded = np.zeros((len(ragged), length), np.int32)
    starts, stops = ragged.offsets[:-1], ragged.offsets[1:]
    if truncate == "left":
        starts = np.maximum(starts, stops - length)
    else:
        stops = np.minimum(stops, starts + length)
    kept = stops - starts
    columns = length - kept if side == "left" else np.zeros_like(kept)
    values = ragged.values
    # One slice copy a row moves memory in blocks; index arrays of the size of the result cost 4 times more.
    bounds = zip(starts.tolist(), stops.tolist(), columns.tolist(), (columns + kept).tolist(), strict=True)
    for row, (start, stop, first, last) in enumerate(bounds):
        padded[row, first:last] = values[start:stop]
    return padded


def _bad_length(length: object) -> UsageError:
    return UsageError(
        "pad_sequences",
        f"length is out of range (got length={length!r})",
        expected="a whole number of at least 1, or None for the longest sequence",
        action="length=None",
    )


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
