"""Outer products that are left out of sums: only those that would not show, and none of an input's own."""

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
from unrolled.kernels.schedule import point_at_rows
from unrolled.kernels.visible import SHOWN, add_visible_products, find_visible, make_visible

COLUMNS, UNITS = 21, 5


@njit
def sift(left, chunks):  # type: ignore[no-untyped-def]
    """Which terms show, for one chunk of rows after the other, and the sum of their outer products."""
    room = chunks.shape[1]
    visible, again, found = make_visible(room), make_visible(room), []
    total = np.zeros((left.shape[1], padded(chunks.shape[2])), np.float32)
    addresses = np.empty(room, np.int64)
    point_at_rows(0, room, left, addresses)
    for chunk in chunks:
        rows = np.zeros((room, padded(chunk.shape[1])), np.float32)
        rows[:, : chunk.shape[1]] = chunk
        number = find_visible(room, addresses, left.shape[1], rows, visible)
        found.append(visible.chosen[:number].copy())
        add_visible_products(room, addresses, rows, again, total)
    return found, total[:, : chunks.shape[2]]


def _rows(*sizes: float) -> Any:
    """Rows of these lengths."""
    rows = np.random.default_rng(len(sizes)).normal(size=(len(sizes), COLUMNS))
    rows *= np.array(sizes)[:, None] / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def _kept(*chunks: Any, left: Any = None) -> list[set[int]]:
    """The terms of each chunk that show; their sum is checked."""
    left = np.full((len(chunks[0]), UNITS), UNITS**-0.5, np.float32) if left is None else left
    found, total = sift(left, np.stack(chunks))
    with np.errstate(invalid="ignore", over="ignore"):
        exact = sum(left[listed].T @ chunk[listed] for chunk, listed in zip(chunks, found, strict=True))
    np.testing.assert_allclose(total, exact, rtol=1e-5, atol=1e-6 * np.nan_to_num(np.abs(exact)).max())
    assert all(len(set(listed.tolist())) == len(listed) for listed in found)
    return [set(listed.tolist()) for listed in found]


def test_products_below_the_rounding_of_the_largest_so_far_are_left_out() -> None:
    low, high = SHOWN * 0.9, SHOWN * 1.1
    first = _rows(low, 1e-2, 0, high, 1, low * 1e-3, high)
    # Nothing here is as large as what came before, and the last one is larger than all.
    second = _rows(high, low, low, 0.5, low, low, high)
    third = _rows(high, low, low, 0.5, low, 100, 100 * high)
    assert _kept(first, second, third) == [{1, 3, 4, 6}, {0, 3, 6}, {3, 5, 6}]


def test_a_large_gradient_next_to_a_state_of_zero_is_no_measure() -> None:
    left = np.array([[0] * UNITS, [1] * UNITS, [1e-4] * UNITS], np.float32)
    assert _kept(_rows(1, 1e-7, 1e-7 * SHOWN * 1e5), left=left) == [{1, 2}]


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


@KERNELS
def test_a_word_that_is_read_early_alone_has_its_row_of_the_kernels_gradient(kernel: str) -> None:
    rng = np.random.default_rng(5)
    _, weights, states = reference.random_problem(kernel, rng, batch=2, time=300, features=9, units=12)
    weights[1] = weights[1] * 0.3
    tokens = rng.integers(1, 9, (2, 300))
    tokens[:, 275 if kernel == "simple_rnn" else 200] = 0
    inputs, weights, states = to_float32((np.eye(9)[tokens], weights, states))
    mask = jnp.ones((2, 300), bool)
    exact, back = jax.vjp(lambda *a: loop(kernel, *a, mask), inputs, tuple(weights), tuple(states))
    cotangents = (jax.tree.map(jnp.ones_like, exact[0]), jnp.zeros_like(exact[1]))
    flags = mode(every_output=True, backwards=False)
    _, gradients = value_and_gradients(kernel, flags, (inputs, weights, states), mask, cotangents)
    expected = back(cotangents)[1][0]
    assert 0 < jnp.abs(expected[0]).max() < SHOWN * jnp.abs(expected).max()
    assert error(gradients[1][0][0], expected[0]) < 1e-3
