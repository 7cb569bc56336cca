"""Sums over gathered rows, and the gradients of a table from sums of several parts, against NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from unrolled.kernels import parts
from unrolled.kernels.feedforward import table_gradients
from unrolled.kernels.gathered import add_to_rows, fetch_row, sum_rows
from unrolled.kernels.products import padded, start_of


@njit
def gather(matrix, chosen, out):
    rows = np.empty(len(chosen), np.int64)
    for i in range(len(chosen)):
        rows[i] = start_of(matrix) + chosen[i] * matrix.shape[1] * 4
    fetch_row(rows[0], matrix.shape[1] * 4)
    sum_rows(matrix.shape[1], len(chosen), start_of(rows), start_of(out))


@njit
def scatter(matrix, chosen, source, targets):
    rows = np.empty(len(chosen), np.int64)
    for i in range(len(chosen)):
        rows[i] = start_of(matrix) + chosen[i] * matrix.shape[1] * 4
    shift = start_of(targets) - start_of(matrix)
    add_to_rows(matrix.shape[1], len(chosen), start_of(rows), shift, start_of(source))


@given(columns=st.integers(1, 45), chosen=st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_rows_are_summed_in_their_order(columns: int, chosen: list[int]) -> None:
    matrix = np.random.default_rng(columns).normal(size=(7, columns)).astype(np.float32)
    out = np.full(columns + 1, 5.0, np.float32)
    expected = matrix[chosen[0]]
    for row in chosen[1:]:
        expected = expected + matrix[row]
    gather(matrix, np.array(chosen), out[:columns])
    np.testing.assert_array_equal(out[:columns], expected)
    assert out[columns] == 5.0


@given(columns=st.integers(1, 45), chosen=st.lists(st.integers(0, 6), max_size=5))
def test_a_row_is_added_to_others_beside_the_given_ones(columns: int, chosen: list[int]) -> None:
    random = np.random.default_rng(columns)
    matrix, targets = random.normal(size=(2, 7, columns)).astype(np.float32)
    source, before = random.normal(size=columns).astype(np.float32), matrix.copy()
    expected = targets.copy()
    for row in chosen:
        expected[row] += source
    scatter(matrix, np.array(chosen, np.int64), source, targets)
    np.testing.assert_array_equal(targets, expected)
    np.testing.assert_array_equal(matrix, before)


# 700 rows are more than one chunk; the first half was read, the rest hardly, so that parts differ in length.
@pytest.mark.parametrize("rows", [1, 5, 700])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_table_gradients_match_the_dense_ones(rows: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parts.VARIABLE, str(count))
    random = np.random.default_rng(rows)
    features, columns = 5, 21
    width = padded.py_func(columns)
    table = random.normal(size=(rows, features)).astype(np.float32)
    matrix = random.normal(size=(features, columns)).astype(np.float32)
    slots = np.full((count, 1, rows), -1, np.int32)
    sums = np.full((count, rows, width), np.nan, np.float32)
    dense = np.zeros((rows, columns))
    for part in range(count):
        read = np.flatnonzero(random.random(rows) < np.where(np.arange(rows) < rows / 2, 0.8, 0.02))
        random.shuffle(read)
        slots[part, 0, read] = np.arange(len(read))
        values = random.normal(size=(len(read), columns)).astype(np.float32)
        sums[part, : len(read)] = 0.0
        sums[part, : len(read), :columns] = values
        dense[read] += values
    given_slots, given_sums = (slots, sums) if count > 1 else (slots[0], sums[0])
    d_table, d_matrix = table_gradients(
        jnp.asarray(table), jnp.asarray(matrix), jnp.asarray(given_slots), jnp.asarray(given_sums), count
    )
    np.testing.assert_allclose(d_table, dense @ matrix.T.astype(np.float64), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(d_matrix, table.T.astype(np.float64) @ dense, rtol=1e-4, atol=1e-4)
    # A row that nobody read has a gradient of exactly nothing.
    assert not np.asarray(d_table)[~dense.any(axis=1)].any()
