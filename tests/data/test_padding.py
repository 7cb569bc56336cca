"""Padding: the lab's example, a literal reference and Keras' own function as oracles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data.padding import pack_sequences, pad_sequences
from unrolled.errors import DataError, UsageError
from unrolled.types import Ragged

ROWS = [[4, 5, 1], [6, 1, 2, 7], [4, 5, 3], [3, 2, 6, 8, 7], [1, 8, 3, 2, 10, 11], [9, 9]]
AT_SIX = [
    [0, 0, 0, 4, 5, 1],
    [0, 0, 6, 1, 2, 7],
    [0, 0, 0, 4, 5, 3],
    [0, 3, 2, 6, 8, 7],
    [1, 8, 3, 2, 10, 11],
    [0, 0, 0, 0, 9, 9],
]
SEQUENCES = st.lists(st.lists(st.integers(1, 2**31 - 1), max_size=12), max_size=8)
SIDES = st.sampled_from(["left", "right"])


def slow_pad(sequences, length, side, truncate) -> list[list[int]]:
    """Takes tokens away and puts zeros in, one at a time, until the length fits."""
    if length is None:
        length = max((len(sequence) for sequence in sequences), default=0)
    rows = [list(sequence) for sequence in sequences]
    for row in rows:
        while len(row) > length:
            row.pop(0 if truncate == "left" else -1)
        while len(row) < length:
            row.insert(0 if side == "left" else len(row), 0)
    return rows


@pytest.mark.parametrize("length", [None, 6])
@pytest.mark.parametrize("pack", [list, Ragged.from_lists])
def test_the_lab_example_to_the_letter(length, pack):
    padded = pad_sequences(pack(ROWS), length)
    assert padded.tolist() == AT_SIX
    assert padded.dtype == np.int32


@given(SEQUENCES, st.integers(1, 15) | st.none(), SIDES, SIDES)
def test_equals_the_literal_reference(sequences, length, side, truncate):
    expected = slow_pad(sequences, length, side, truncate)
    for given_as in (sequences, Ragged.from_lists(sequences), [np.array(s, np.int64) for s in sequences]):
        padded = pad_sequences(given_as, length, side, truncate)
        assert padded.tolist() == expected
        assert padded.dtype == np.int32


@settings(max_examples=50)
@given(SEQUENCES.filter(len), st.integers(1, 15) | st.none(), SIDES, SIDES)
def test_equals_keras(sequences, length, side, truncate):
    from keras.utils import pad_sequences as keras_pad

    names = {"left": "pre", "right": "post"}
    expected = keras_pad(sequences, length, padding=names[side], truncating=names[truncate])
    np.testing.assert_array_equal(pad_sequences(sequences, length, side, truncate), expected)


def test_a_view_into_a_larger_block_pads_alike():
    ragged = Ragged.from_lists(ROWS).take(np.array([5, 0, 5]))
    assert pad_sequences(ragged, 4).tolist() == [[0, 0, 9, 9], [0, 4, 5, 1], [0, 0, 9, 9]]


def test_shapes_at_the_edges():
    assert pad_sequences([]).shape == (0, 0)
    assert pad_sequences([], 5).shape == (0, 5)
    assert pad_sequences([[], []]).shape == (2, 0)
    assert pad_sequences(np.array([[1, 2], [3, 4]]), 3).tolist() == [[0, 1, 2], [0, 3, 4]]
    assert len(pack_sequences([])) == 0


@pytest.mark.parametrize("length", [0, -1, 2.0, "6", True])
def test_a_length_out_of_range(length):
    with pytest.raises(UsageError, match="length is out of range"):
        pad_sequences(ROWS, length)


@pytest.mark.parametrize("name", ["side", "truncate"])
def test_an_unknown_side(name):
    with pytest.raises(UsageError, match=rf"{name} is unknown \(got {name}='pre'\)"):
        pad_sequences(ROWS, 6, **{name: "pre"})


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        ([1.5], "not a flat list"),
        (["a"], "not a flat list"),
        ([[1], [2]], "not a flat list"),
        ([[1], [2, 3]], "not a flat list"),
        (3, "not a flat list"),
        ([True], "not a flat list"),
        ([2**31], "too large"),
        ([-(2**31) - 1], "out of|too"),
        ([2**80], "not a flat list|too large"),
    ],
)
def test_what_is_no_token_is_refused(sequence, words):
    with pytest.raises(DataError, match=f"sequence 1: .*({words})"):
        pad_sequences([[1], sequence])
