"""Panels against NumPy: a matrix turned over in registers, and products whose rows stand apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from unrolled.kernels.panels import add_panel_outer_product, add_panel_product, turn
from unrolled.kernels.products import start_of
from unrolled.kernels.tiles import WIDTH


@njit
def turned(matrix, target):
    turn(matrix.shape[0], matrix.shape[1], start_of(matrix), matrix.shape[1], start_of(target))


@njit
def products(a, b, columns, out, outer):
    rows = np.empty(len(a), np.int64)
    for i in range(len(a)):
        rows[i] = start_of(a) + i * a.shape[1] * 4
    add_panel_product(len(a), rows, start_of(b), b.shape[1], start_of(out), (a.shape[1], columns))
    # The same rows from the other side: a.T times what the product gave.
    add_panel_outer_product(len(a), rows, start_of(out), b.shape[1], start_of(outer), (a.shape[1], columns))


def test_a_matrix_is_turned_and_packed() -> None:
    matrix = np.arange(6 * WIDTH * WIDTH, dtype=np.float32).reshape(2 * WIDTH, 3 * WIDTH)
    target = np.empty((2, 3 * WIDTH, WIDTH), np.float32)
    turned(matrix, target)
    np.testing.assert_array_equal(np.concatenate(list(target), axis=1), matrix.T)


@settings(max_examples=30)
@given(
    rows=st.integers(1, 40),
    terms=st.integers(1, 30),
    vectors=st.integers(1, 5),
    apart=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_products_add_to_what_is_there(rows: int, terms: int, vectors: int, apart: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = vectors * WIDTH
    a = rng.normal(size=(rows, terms)).astype(np.float32)
    b, out, outer = (rng.normal(size=(n, columns + apart)).astype(np.float32) for n in (terms, rows, terms))
    expected = out.astype(np.float64)
    expected[:, :columns] += a.astype(np.float64) @ b[:, :columns]
    expected_outer = outer.astype(np.float64)
    expected_outer[:, :columns] += a.T.astype(np.float64) @ expected[:, :columns]
    products(a, b, columns, out, outer)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outer, expected_outer, rtol=1e-4, atol=1e-3)
