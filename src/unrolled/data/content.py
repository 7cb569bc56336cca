"""The fingerprint of a data set: of what it says, not of the file it came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from unrolled.types import LongArray, Split, digest


def content_digest(classes: Sequence[str], parts: Mapping[str, Split | None]) -> str:
    """Hex sha256 over classes, and labels and sequences of every part, in the order given.

    Lengths go in beside the joined strings, so that no two data sets share one byte stream.

    >>> train = Split(np.zeros(2, np.int32), texts=["ab", "c"])
    >>> other = Split(np.zeros(2, np.int32), texts=["a", "bc"])
    >>> content_digest(["x"], {"train": train}) == content_digest(["x"], {"train": other})
    False
    """
    pieces: list[str | np.ndarray[tuple[int, ...], np.dtype[np.int32 | np.int64]]] = ["classes"]
    pieces += [_lengths(classes), "".join(classes)]
    for name, part in parts.items():
        if part is None:
            continue
        pieces += [name, part.labels.astype("<i4", copy=False)]
        if part.groups is not None:
            # Groups decide who is drawn: other groups are another data set.
            pieces += ["groups", _lengths(part.groups), "".join(part.groups)]
        if part.texts is not None:
            pieces += ["texts", _lengths(part.texts), "".join(part.texts)]
        elif part.tokens is not None:
            pieces += ["tokens", part.tokens.values.astype("<i4", copy=False)]
            pieces.append(part.tokens.offsets.astype("<i8", copy=False))
    return digest(*pieces)


def _lengths(strings: Sequence[str]) -> LongArray:
    return np.fromiter(map(len, strings), "<i8", count=len(strings))
