"""Gate gradients that are left out of sums: only those that would not show, and never an input's own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numba import njit

from tests.kernels import reference
from tests.kernels.test_recurrent import KERNELS, error, loop, to_float32, value_and_gradients
from unrolled.kernels.products import padded
from unrolled.kernels.recurrent import mode
from unrolled.kernels.visible import SHOWN, close_ranks, find_visible, list_visible, make_visible

COLUMNS = 21


@njit
def sift(chunks):  # type: ignore[no-untyped-def]
    """Which rows show, and the numbers that were listed with them, for one chunk of rows after the other."""
    visible, found = make_visible(chunks.shape[1]), []
    for chunk in chunks:
        rows = np.zeros((chunk.shape[0], padded(chunk.shape[1])), np.float32)
        rows[:, : chunk.shape[1]] = chunk
        listed = np.full(chunk.shape[0], -1)
        number = find_visible(chunk.shape[0], rows, visible)
        close_ranks(number, visible, rows)
        list_visible(number, visible, np.arange(chunk.shape[0]), listed)
        found.append((rows[:number, : chunk.shape[1]].copy(), listed[:number].copy()))
    return found


def _rows(*sizes: float) -> Any:
    """Rows of these lengths."""
    rows = np.random.default_rng(len(sizes)).normal(size=(len(sizes), COLUMNS))
    rows *= np.array(sizes)[:, None] / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def _kept(*chunks: Any) -> list[set[int]]:
    """The rows of each chunk that show; each of them is checked to be itself, and to be there once."""
    found = []
    for chunk, (rows, listed) in zip(chunks, sift(np.stack(chunks)), strict=True):
        np.testing.assert_array_equal(rows, chunk[listed])
        assert len(set(listed.tolist())) == len(listed)
        found.append(set(listed.tolist()))
    return found


def test_rows_below_the_rounding_of_the_largest_so_far_are_left_out() -> None:
    low, high = SHOWN * 0.9, SHOWN * 1.1
    first = _rows(low, 1e-2, 0, high, 1, low * 1e-3, high)
    # Nothing here is as large as what came before, and the last one is larger than all.
    second = _rows(high, low, low, 0.5, low, low, high)
    third = _rows(high, low, low, 0.5, low, 100, 100 * high)
    assert _kept(first, second, third) == [{1, 3, 4, 6}, {0, 3, 6}, {3, 5, 6}]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_next_to_something_broken_everything_shows(broken: float) -> None:
    rows = _rows(1, 1e-12, 1e-30)
    rows[1, 7] = broken
    assert _kept(rows, _rows(1, 1e-12, 1e-30))[0] == {0, 1, 2}


def test_gradients_without_a_square_in_float32_all_show() -> None:
    assert _kept(_rows(1e-14, 1e-22, 1e-25)) == [{0, 1, 2}]
    assert _kept(_rows(1e22, 1, 1e-5)) == [{0, 1, 2}]
    assert _kept(_rows(0, 0)) == [{0, 1}]


@KERNELS
def test_what_fades_over_long_sequences_is_in_no_gradients_way(kernel: str) -> None:
    rng = np.random.default_rng(4)
    problem = reference.random_problem(kernel, rng, batch=9, time=400, features=6, units=12)
    inputs, weights, states = to_float32(problem)
    # Small recurrent weights forget fast.
    weights[1] = weights[1] * 0.3
    mask = jnp.ones((9, 400), bool)
    exact, back = jax.vjp(lambda *a: loop(kernel, *a, mask), inputs, tuple(weights), tuple(states))
    last = jax.tree.map(lambda array: jnp.asarray(rng.normal(size=array.shape), jnp.float32), exact[0])
    cotangents = (last, jnp.zeros_like(exact[1]))
    flags = mode(every_output=True, backwards=False)
    _, gradients = value_and_gradients(kernel, flags, (inputs, weights, states), mask, cotangents)
    expected = back(cotangents)
    assert error(gradients, expected) < 1e-5
    # Far below the limit, an input has its own gradient still.
    size = jnp.abs(expected[0]).max(axis=(0, 2))
    early = int(jnp.argmax(size > 1e-20))
    assert size[early] < SHOWN * size.max() / 100
    assert error(gradients[0][:, early], expected[0][:, early]) < 1e-3
