"""Batches cover every row once, and depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.conftest import make_split
from unrolled.models import make_spec
from unrolled.training.batching import Batcher, even_out, padded_lengths

SPEC = make_spec("lstm", length=16, vocabulary_size=40)


@given(count=st.integers(1, 90), batch_size=st.integers(1, 16), seed=st.integers(0, 5), grouped=st.booleans())
def test_an_epoch_covers_every_row_once(count: int, batch_size: int, seed: int, grouped: bool) -> None:
    split = make_split(np.random.default_rng(0), count)
    batcher = Batcher(SPEC, batch_size, (8, 16) if grouped else (16,))
    for order in (batcher.epoch_order(split, seed, 1), batcher.reading_order(split)):
        assert sorted(np.concatenate(order)) == list(range(count))
        assert sum(len(rows) < batch_size for rows in order) <= (2 if grouped else 1)
    again = batcher.epoch_order(split, seed, 1)
    assert all((a == b).all() for a, b in zip(batcher.epoch_order(split, seed, 1), again, strict=True))


@given(lengths=st.lists(st.integers(0, 500), max_size=140), seed=st.integers(0, 5))
def test_a_batch_keeps_its_rows_however_it_is_shared_out(lengths: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).permutation(len(lengths))
    assert sorted(even_out(rows, np.array(lengths, np.int64))) == list(range(len(lengths)))


@pytest.mark.parametrize("parts", [2, 4])
def test_threads_get_equal_stretches_of_a_batch(parts: int) -> None:
    # Reviews are of very different lengths; sorted, the last half would have most of the words.
    lengths = np.random.default_rng(1).gamma(2.5, 90, 128).astype(np.int64)
    sums = lengths[even_out(np.arange(128), lengths)].reshape(parts, -1).sum(axis=1)
    assert sums.max() < 1.04 * sums.mean()
    assert np.sort(lengths).reshape(parts, -1).sum(axis=1).max() > 1.3 * sums.mean()


def test_epochs_and_seeds_differ() -> None:
    split = make_split(np.random.default_rng(0), 64)
    batcher = Batcher(SPEC, 8, (16,))
    first = np.concatenate(batcher.epoch_order(split, 0, 1))
    assert (first != np.concatenate(batcher.epoch_order(split, 0, 2))).any()
    assert (first != np.concatenate(batcher.epoch_order(split, 1, 1))).any()


def test_a_batch_is_as_long_as_its_longest_row_needs() -> None:
    split = make_split(np.random.default_rng(0), 64)
    batcher = Batcher(SPEC, 8, (8, 16))
    lengths = split.tokens.lengths
    for rows in batcher.epoch_order(split, 0, 1):
        batch = batcher.batch(split, rows)
        assert batch.tokens.shape == (8, 8 if lengths[rows].max() <= 8 else 16)
        assert batch.weights.sum() == len(rows)
        for place, row in enumerate(rows):
            tail = split.tokens[int(row)][-16:]
            np.testing.assert_array_equal(batch.tokens[place][len(batch.tokens[place]) - len(tail) :], tail)
            assert not batch.tokens[place][: len(batch.tokens[place]) - len(tail)].any()


@pytest.mark.parametrize(
    ("spec", "group", "several"),
    [
        (SPEC, True, True),
        (SPEC, False, False),
        (SPEC.model_copy(update={"padding": "word"}), True, False),
        (make_spec("cnn", length=16), True, False),
    ],
)
def test_padded_lengths_are_cut_only_where_padding_is_free(spec, group: bool, several: bool) -> None:
    split = make_split(np.random.default_rng(0), 12_000)
    lengths = padded_lengths(spec, split, group=group)
    assert lengths[-1] == 16
    assert (len(lengths) > 1) == several
    assert list(lengths) == sorted(set(lengths))
