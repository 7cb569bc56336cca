"""Records: packed sequences behave like lists, parts stay consistent, digests tell contents apart."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import DataError
from unrolled.types import EncodedSplit, Ragged, Split, digest

ROWS = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=6), max_size=8)


@given(ROWS)
def test_packed_sequences_behave_like_the_lists(rows):
    ragged = Ragged.from_lists(rows)
    assert len(ragged) == len(rows)
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    for index in range(-len(rows), len(rows)):
        assert ragged[index].tolist() == rows[index]
    assert [row.tolist() for row in ragged] == rows
    for index in (len(rows), -len(rows) - 1):
        with pytest.raises(IndexError):
            ragged[index]
    assert ragged.values.dtype == np.int32
    assert ragged.offsets.dtype == np.int64


@given(ROWS.filter(len), st.data())
def test_take_equals_choosing_from_the_list(rows, data):
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    taken = Ragged.from_lists(rows).take(np.array(indices, np.int64))
    assert [row.tolist() for row in taken] == [rows[index] for index in indices]
    assert taken.values.dtype == np.int32


def test_a_row_is_a_view():
    ragged = Ragged.from_lists([[1, 2], [3]])
    assert np.shares_memory(ragged[0], ragged.values)


@pytest.mark.parametrize("offsets", [[], [1, 3], [0, 2], [0, 4], [0, 2, 1, 3], [[0, 3]]])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(DataError, match="Ragged: offsets"):
        Ragged(np.array([1, 2, 3], np.int32), np.array(offsets, np.int64))


LABELS = np.array([0, 1], np.int32)
TOKENS = Ragged.from_lists([[1], [1, 4]])


@pytest.mark.parametrize("fields", [{}, {"texts": ["a", "b"], "tokens": TOKENS}])
def test_a_split_has_texts_or_tokens(fields):
    with pytest.raises(DataError, match="texts or tokens, and not both"):
        Split(LABELS, **fields)


@pytest.mark.parametrize(
    "fields",
    [{"texts": ["a"]}, {"tokens": Ragged.from_lists([[1]])}, {"texts": ["a", "b"], "annotations": []}],
)
def test_a_split_has_one_label_for_each(fields):
    with pytest.raises(DataError, match=r"differ in number \(got [01] and 2\)"):
        Split(LABELS, **fields)


def test_records_are_frozen():
    split = EncodedSplit(TOKENS, LABELS)
    assert len(split) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.labels = LABELS
    taken = split.take(np.array([1, 1, 0]))
    assert taken.labels.tolist() == [1, 1, 0]
    assert [row.tolist() for row in taken.tokens] == [[1, 4], [1, 4], [1]]


def test_digests_tell_content_kind_and_shape_apart():
    base = np.arange(6, dtype=np.int32)
    others = [
        (),
        (base,),
        (base.astype(np.int64),),
        (base.reshape(2, 3),),
        (base.reshape(2, 3).T,),
        (base[:3], base[3:]),
        (base[:2], base[2:]),
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        (np.empty(0, np.int32),),
        (np.empty((0, 2), np.int32),),
        ("\ud800",),
    ]
    assert len({digest(*content) for content in others}) == len(others)


def test_digests_do_not_depend_on_memory_layout():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert digest(np.asfortranarray(array)) == digest(array) == digest(np.repeat(array, 2, axis=0)[::2])


def test_digest_to_the_letter():
    """Study directories keep digests: a change of the rule would make every one of them foreign."""
    content = b"str:5;caf\xc3\xa9" + b"<i4:(2, 2);" + b"\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0"
    assert digest("café", np.array([[1, 2], [3, 4]], "<i4")) == hashlib.sha256(content).hexdigest()
