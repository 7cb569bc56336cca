"""Texts that stand in more than one part, where they would let a model recognise instead of judge."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import combinations, pairwise

from unrolled.types import Split


def count_shared(part: Split, known: Split) -> int:
    """How many sequences of ``part`` stand, exactly the same, also in ``known``.

    Empty ones don't count: they are reported on their own and say nothing to a model.

    >>> import numpy as np
    >>> train = Split(np.zeros(2, np.int32), texts=["a", "b"])
    >>> count_shared(Split(np.zeros(3, np.int32), texts=["b", "c", "b"]), train)
    2
    """
    seen = set(_keys(known))
    return sum(key in seen for key in _keys(part) if key)


def describe_shared(parts: Mapping[str, Split | None]) -> tuple[str, ...]:
    """One sentence for each pair of parts that share texts.

    Args:
        parts: train, validation and test, by name; None where there is none.

    Returns:
        Sentences; none when the parts are disjoint.
    """
    present = {name: part for name, part in parts.items() if part is not None}
    sentences = []
    for first, second in combinations(present, 2):
        number = count_shared(present[second], present[first])
        if number:
            texts = "1 text" if number == 1 else f"{number:,} texts"
            stand = "stands" if number == 1 else "stand"
            sentences.append(f"{texts} of {second} {stand} also in {first}.")
    return tuple(sentences)


def describe_shared_groups(parts: Mapping[str, Split | None]) -> tuple[str, ...]:
    """One sentence for each pair of given parts that share groups; drawn parts never do."""
    present = {name: set(part.groups) for name, part in parts.items() if part is not None and part.groups}
    sentences = []
    for first, second in combinations(present, 2):
        number = len(present[first] & present[second])
        if number:
            groups = "1 group" if number == 1 else f"{number:,} groups"
            verb = "stands" if number == 1 else "stand"
            sentences.append(f"{groups} of {second} {verb} also in {first}.")
    return tuple(sentences)


def _keys(part: Split) -> Iterator[Hashable]:
    if part.texts is not None:
        return iter(part.texts)
    return (tokens.tobytes() for tokens in _sequences(part))


def _sequences(part: Split) -> Iterable[memoryview]:
    tokens = part.tokens
    if tokens is None:
        return ()
    values = tokens.values.data
    ends = tokens.offsets.tolist()
    return (values[start:stop] for start, stop in pairwise(ends))
