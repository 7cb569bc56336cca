"""Register tiles against NumPy, for every height of the last tile and every width of the last panel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from unrolled.kernels.products import (
    add_outer_product,
    add_product,
    add_product_fetching,
    pack,
    padded,
    start_of,
)


@njit
def product(a, matrix, transposed, out):
    rows = np.empty(len(a), np.int64)
    for i in range(len(a)):
        rows[i] = start_of(a) + i * a.shape[1] * 4
    add_product(len(a), rows, pack(matrix, transposed), out)


@njit
def product_fetching(a, matrix, out, ahead, size):
    rows = np.empty(len(a), np.int64)
    for i in range(len(a)):
        rows[i] = start_of(a) + i * a.shape[1] * 4
    add_product_fetching(len(a), rows, pack(matrix, False), out, ahead, size)


@njit
def outer_product(a, b, out):
    rows = np.empty(len(a), np.int64)
    for i in range(len(a)):
        rows[i] = start_of(a) + i * a.shape[1] * 4
    add_outer_product(len(a), rows, b, out)


@njit
def width(columns):
    return padded(columns)


@given(
    rows=st.integers(0, 30),
    terms=st.integers(1, 20),
    columns=st.integers(1, 70),
    transposed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_product_adds_to_what_is_there(
    rows: int, terms: int, columns: int, transposed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rows, terms)).astype(np.float32)
    b = rng.normal(size=(terms, columns)).astype(np.float32)
    out = rng.normal(size=(rows, width(columns))).astype(np.float32)
    expected = out[:, :columns] + a.astype(np.float64) @ b
    product(a, np.ascontiguousarray(b.T) if transposed else b, transposed, out)
    np.testing.assert_allclose(out[:, :columns], expected, rtol=1e-5, atol=1e-5)


@given(terms=st.integers(0, 20), rows=st.integers(1, 30), columns=st.integers(1, 70), seed=st.integers(0, 99))
def test_outer_product_adds_to_what_is_there(terms: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(terms, rows)).astype(np.float32)
    b = rng.normal(size=(terms, width(columns))).astype(np.float32)
    out = rng.normal(size=(rows, width(columns))).astype(np.float32)
    expected = out + a.astype(np.float64).T @ b
    outer_product(a, b, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


# Past the end of the array, before it, and at addresses that no process has.
@pytest.mark.parametrize(("ahead", "size"), [(0, 1 << 20), (-4096, 100), (-(1 << 62), 1 << 16)])
@pytest.mark.parametrize("rows", [1, 5, 29])
def test_asking_for_memory_changes_nothing_wherever_it_is(rows: int, ahead: int, size: int) -> None:
    random = np.random.default_rng(rows)
    a, b = random.normal(size=(rows, 17)).astype(np.float32), random.normal(size=(17, 40)).astype(np.float32)
    asked = random.normal(size=(rows, width(40))).astype(np.float32)
    plain = asked.copy()
    product(a, b, False, plain)
    product_fetching(a, b, asked, asked.ctypes.data + ahead, size)
    np.testing.assert_array_equal(asked, plain)
