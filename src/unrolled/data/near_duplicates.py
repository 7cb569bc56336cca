"""Texts of one part that nearly stand in another: edited copies, quoted mails, templates.

MinHash over runs of three tokens and banding (Broder, "On the Resemblance and Containment of Documents",
1997; Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", 2014, ch. 3) find candidates in linear
time; each is then compared in full, so that nothing is reported that is not alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.types import LongArray, Ragged

RUN = 3
SHORTEST = 8
"""Tokens that a text needs: shorter ones repeat by nature."""

ALIKE = 0.8
_BANDS, _ROWS = 8, 4
_CANDIDATES = 4
_CHUNK_TOKENS = 4_000_000

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """One pair.

    Args:
        item: place in the part that was searched.
        known: place in the part that it was searched in.
        similarity: runs of three tokens that both have over those that either has.
    """

    item: int
    known: int
    similarity: float


def find_near_duplicates(part: Ragged, known: Ragged, *, alike: float = ALIKE) -> tuple[NearDuplicate, ...]:
    """The items of ``part`` that are nearly or exactly in ``known``, one pair for each, in their order.

    A pair at the threshold is found with 98% probability, a closer one almost surely; none is reported below
    it. Texts under eight tokens are passed over. The hash functions are fixed: same data, same answer.

    Args:
        part: sequences to look for.
        known: sequences to look in.
        alike: Jaccard similarity from which two sequences count as near duplicates.
    """
    places, long = _long(part), _long(known)
    if not len(places) or not len(long):
        return ()
    mine, theirs = _signatures(part.take(places)), _signatures(known.take(long))
    candidates = _candidates(mine, theirs)
    found = []
    for item, others in enumerate(candidates):
        best = NearDuplicate(0, 0, 0.0)
        for other in sorted(others):
            # Agreeing minima estimate the similarity: far below, the exact comparison is a waste.
            if (mine[item] == theirs[other]).mean() < alike - 0.3:
                continue
            one, two = int(places[item]), int(long[other])
            similarity = _similarity(part[one], known[two])
            if similarity > best.similarity:
                best = NearDuplicate(one, two, similarity)
        if best.similarity >= alike:
            found.append(best)
    return tuple(found)


def _long(tokens: Ragged) -> LongArray:
    return np.flatnonzero(tokens.lengths >= SHORTEST)


def _similarity(one: NDArray[np.int32], two: NDArray[np.int32]) -> float:
    first, second = (
        set(zip(*(t[i : len(t) - RUN + 1 + i] for i in range(RUN)), strict=True)) for t in (one, two)
    )
    return len(first & second) / len(first | second)


def _signatures(tokens: Ragged) -> Hashes:
    """MinHash signatures, uint64, shape (sequences, bands × rows); in chunks, so that memory stays flat."""
    random = np.random.Generator(np.random.PCG64(20_140_101))
    factors = random.integers(1, 2**63, _BANDS * _ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    signatures = np.empty((len(tokens), len(factors)), np.uint64)
    offsets = tokens.offsets
    start = 0
    while start < len(tokens):
        stop = int(np.searchsorted(offsets, offsets[start] + _CHUNK_TOKENS, "right")) - 1
        stop = min(max(stop, start + 1), len(tokens))
        values = tokens.values[offsets[start] : offsets[stop]].astype(np.uint64)
        runs = _mix(values)
        for shift in range(1, RUN):
            # Runs across two texts are made too, and fall away below.
            runs = _mix(runs[: len(values) - shift] + values[shift:] * np.uint64(0x9E3779B97F4A7C15))
        lengths = np.diff(offsets[start : stop + 1]) - (RUN - 1)
        begins = offsets[start:stop] - offsets[start]
        inner = np.zeros(len(lengths), np.int64)
        np.cumsum(lengths[:-1], out=inner[1:])
        runs = runs[np.arange(int(lengths.sum())) + np.repeat(begins - inner, lengths)]
        for place, factor in enumerate(factors):
            signatures[start:stop, place] = np.minimum.reduceat(runs * factor, inner)
        start = stop
    return signatures


def _candidates(mine: Hashes, theirs: Hashes) -> list[set[int]]:
    """For each of ``mine``, the places in ``theirs`` that share a band; a few for each band at most."""
    found: list[set[int]] = [set() for _ in range(len(mine))]
    for band in range(_BANDS):
        columns = slice(band * _ROWS, (band + 1) * _ROWS)
        keys, known = _fold(mine[:, columns]), _fold(theirs[:, columns])
        order = np.argsort(known, kind="stable")
        known = known[order]
        first = np.searchsorted(known, keys, "left")
        last = np.minimum(np.searchsorted(known, keys, "right"), first + _CANDIDATES)
        for item in np.flatnonzero(last > first):
            found[item].update(order[first[item] : last[item]].tolist())
    return found


def _fold(columns: Hashes) -> Hashes:
    key = columns[:, 0]
    for place in range(1, columns.shape[1]):
        key = _mix(key) + columns[:, place]
    return key


def _mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea & Flood, 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
