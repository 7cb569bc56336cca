"""What parts share is counted as a plain double loop counts it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unrolled.data.duplicates import count_shared, describe_shared
from unrolled.types import Ragged, Split

ROWS = st.lists(st.lists(st.integers(1, 2), max_size=2), max_size=8)


def as_tokens(rows: list[list[int]]) -> Split:
    return Split(np.zeros(len(rows), np.int32), tokens=Ragged.from_lists(rows))


def as_texts(rows: list[list[int]]) -> Split:
    return Split(np.zeros(len(rows), np.int32), texts=["".join("ab"[i - 1] for i in row) for row in rows])


@given(ROWS, ROWS)
def test_counts_are_those_of_a_double_loop(part: list[list[int]], known: list[list[int]]) -> None:
    expected = sum(any(row == other for other in known) for row in part if row)
    assert count_shared(as_tokens(part), as_tokens(known)) == expected
    assert count_shared(as_texts(part), as_texts(known)) == expected


def test_every_pair_of_parts_is_described() -> None:
    parts = {
        "train": as_texts([[1], [2]]),
        "validation": as_texts([[1], [1, 1]]),
        "test": as_texts([[1], [1], [2]]),
    }
    assert describe_shared(parts) == (
        "1 text of validation stands also in train.",
        "3 texts of test stand also in train.",
        "2 texts of test stand also in validation.",
    )
    assert describe_shared({"train": as_texts([[1]]), "validation": None, "test": as_texts([[2]])}) == ()
