"""A stream of random integers that is the same on every machine and in every version of everything.

SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 5) in plain
integer arithmetic: neither Python's nor NumPy's generators promise that their *distributions* stay as they
are, so the corpus draws with none of them, and no float decides a branch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

Item = TypeVar("Item")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """The 64-bit finalizer of SplitMix64: a bijection that spreads every input bit over every output bit."""
    value &= _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Table:
    """Entries with integer weights, drawn by one random number and one bisection.

    Args:
        entries: what can be drawn.
        weights: a positive integer for each entry.
    """

    __slots__ = ("bounds", "entries", "total")

    def __init__(self, entries: Sequence[str], weights: Sequence[int]) -> None:
        self.entries = tuple(entries)
        self.bounds = tuple(accumulate(weights))
        self.total = self.bounds[-1]

    @classmethod
    def zipf(cls, entries: Sequence[str], offset: int = 1) -> Table:
        """Entries weighted by 1 / (rank + offset), rank from 0, in millionths (Zipf and Mandelbrot)."""
        return cls(entries, [1_000_000 // (rank + offset) for rank in range(len(entries))])


class Stream:
    """Random integers from one 64-bit key; different keys give unrelated streams.

    >>> stream = Stream(0)
    >>> hex(stream.bits())
    '0xe220a8397b1dcdaf'
    """

    __slots__ = ("_state",)

    def __init__(self, key: int) -> None:
        self._state = key & _MASK

    @classmethod
    def keyed(cls, *parts: int) -> Stream:
        """The stream that belongs to a tuple of integers, such as (seed, split, review)."""
        key = 0
        for part in parts:
            key = mix(key + _GOLDEN + mix(part + _GOLDEN))
        return cls(key)

    def bits(self) -> int:
        """The next 64 random bits, as an integer."""
        self._state = state = (self._state + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        return state ^ (state >> 31)

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound - 1``, by multiplying and shifting (bias under bound / 2**64)."""
        return (self.bits() * bound) >> 64

    def chance(self, permille: int) -> bool:
        """True in ``permille`` of a thousand draws."""
        return self.below(1000) < permille

    def draw(self, table: Table) -> str:
        """One entry of the table, by its weights."""
        return table.entries[bisect_right(table.bounds, (self.bits() * table.total) >> 64)]

    def shuffle(self, items: list[Item]) -> None:
        """Puts the items in random order, in place (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
