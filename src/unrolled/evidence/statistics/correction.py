"""Many comparisons at once: p-values that stay honest, and letters that show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_lowercase


def adjust_holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values, raised so that any alarm among all of them is false in 5% of studies at most.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979): the smallest is multiplied by
    the number of tests, the next by one less, and none may fall below the one before.

    >>> adjust_holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def assign_letters(names: Sequence[str], different: Collection[tuple[str, str]]) -> dict[str, str]:
    """Letters for every name such that two names share one exactly when they are not ``different``.

    Piepho, "An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons" (2004): begin with
    one column that holds everything, split it for every pair that differs, drop columns inside others, and
    in the end those whose every pair stands together elsewhere too.

    Args:
        names: best first; the first is given "a".
        different: pairs that can be told apart, in any order.

    >>> assign_letters(["lstm", "gru", "cnn"], [("lstm", "cnn")])
    {'lstm': 'a', 'gru': 'ab', 'cnn': 'b'}
    """
    columns = [frozenset(names)]
    for pair in different:
        split: list[frozenset[str]] = []
        for column in columns:
            both = set(pair) <= column
            split += [column - {name} for name in pair] if both else [column]
        kept = set(split)
        columns = [column for column in kept if not any(column < other for other in kept)]
    rank = {name: place for place, name in enumerate(names)}
    columns.sort(key=lambda column: sorted(rank[name] for name in column))
    for column in reversed(columns):
        others = [other for other in columns if other != column]
        if all(any({a, b} <= other for other in others) for a in column for b in column):
            columns = others
    return {
        name: "".join(_letter(place) for place, column in enumerate(columns) if name in column)
        for name in names
    }


def _letter(place: int) -> str:
    """a, b, … z, then A, B, …: a study of more than 52 groups repeats itself, which no table could show."""
    letters = ascii_lowercase + ascii_lowercase.upper()
    return letters[place % len(letters)]
