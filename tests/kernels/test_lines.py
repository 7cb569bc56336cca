"""Products near known lines: within what the tolerance allows, and never where a row is not near."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import njit

from unrolled.kernels.lines import (
    FARTHEST,
    add_outer_products,
    add_products,
    compare,
    finish_outer_products,
    make_lines,
    make_outer_sums,
)
from unrolled.kernels.products import pack, padded
from unrolled.kernels.schedule import point_at_rows

TERMS, COLUMNS, ROWS, UNITS = 37, 21, 5, 9
TOLERANCE = 2.0**-20


@njit
def follow(walk, b, states, tolerance, room):  # type: ignore[no-untyped-def]
    """Products and outer products of all steps of a walk, and which rows were far from their lines."""
    steps, rows, terms = walk.shape
    columns = padded(b.shape[1])
    lines, packed = make_lines(rows, terms, columns), pack(b, False)
    sums = make_outer_sums(rows, room, states.shape[2], padded(terms))
    out = np.zeros((steps, rows, columns), np.float32)
    far = np.zeros((steps, rows), np.uint8)
    # Rows stand at other places than their lines.
    who = np.arange(rows)[::-1].copy()
    at, h_at = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for step in range(steps):
        point_at_rows(0, rows, walk[step], at)
        point_at_rows(0, rows, states[step], h_at)
        compare(rows, who, at, lines, tolerance)
        far[step] = lines.is_far
        add_outer_products(rows, who, h_at, lines, sums)
        add_products(rows, who, at, packed, out[step], lines)
    finish_outer_products(lines, sums)
    return out[:, :, : b.shape[1]], far, sums.total[:, :terms]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def resting(steps: int, rate: float) -> Any:
    """Rows that come to rest by one mode."""
    rest, mode = normal(ROWS, TERMS, seed=1), normal(ROWS, TERMS, seed=2)
    return np.stack([rest + np.float32(rate**step) * mode for step in range(steps)])


@pytest.mark.parametrize("room", [ROWS, 64])
def test_rows_along_a_line_have_few_products_of_their_own(room: int) -> None:
    walk, b, states = resting(80, 0.95), normal(TERMS, COLUMNS, seed=3), normal(80, ROWS, UNITS, seed=4)
    out, far, outer = follow(walk, b, states, TOLERANCE, room)
    exact = walk.astype(np.float64) @ b
    assert far[0].all()
    assert far.sum() < 80 * ROWS / 4
    np.testing.assert_allclose(out, exact, atol=4e-6 * np.abs(exact).max())
    whole = np.einsum("kru,krt->ut", states.astype(np.float64), walk)
    np.testing.assert_allclose(outer, whole, atol=1e-5 * np.abs(whole).max())


def test_rows_that_jump_have_products_of_their_own() -> None:
    walk, b = normal(30, ROWS, TERMS, seed=1), normal(TERMS, COLUMNS, seed=3)
    states = normal(30, ROWS, UNITS, seed=4)
    out, far, outer = follow(walk, b, states, TOLERANCE, 7)
    assert far.all()
    np.testing.assert_allclose(out, walk.astype(np.float64) @ b, atol=2e-5)
    np.testing.assert_allclose(outer, np.einsum("kru,krt->ut", states.astype(np.float64), walk), atol=1e-4)


@pytest.mark.parametrize("off", [0.5, 2.0])
def test_a_row_is_near_up_to_the_tolerance(off: float) -> None:
    first, second = normal(1, TERMS, seed=1), normal(1, TERMS, seed=2, scale=0.5)
    across = normal(1, TERMS, seed=5)
    across -= (across * (second - first)).sum() / ((second - first) ** 2).sum() * (second - first)
    across *= np.float32(off * 2.0**-12 / np.linalg.norm(across))
    third = second + 0.5 * (second - first) + across
    walk = np.stack([first, second, third])
    b, states = normal(TERMS, COLUMNS, seed=3), normal(3, 1, UNITS)
    _, far, _ = follow(walk, b, states, 2.0**-12, 8)
    assert far[:, 0].tolist() == [1, 1, int(off > 1)]


def test_a_line_is_not_followed_far() -> None:
    first, direction = normal(1, TERMS, seed=1), normal(1, TERMS, seed=2)
    walk = np.stack([first, first + direction, first + (2 + FARTHEST) * direction])
    _, far, _ = follow(walk, normal(TERMS, COLUMNS), normal(3, 1, UNITS), 1e-3, 8)
    assert far[:, 0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_broken_is_seen(broken: float) -> None:
    walk = resting(4, 0.9)
    walk[2, 1, 3] = broken
    out, far, _ = follow(walk, normal(TERMS, COLUMNS), normal(4, ROWS, UNITS), TOLERANCE, 8)
    assert far[2:, 1].all()
    assert not np.isfinite(out[2, 1]).all()
    assert np.isfinite(out[2, 0]).all()
    assert np.isfinite(out[3]).all()


def test_no_row_is_near_where_squares_underflow() -> None:
    walk = resting(20, 0.95) * np.float32(1e-25)
    _, far, _ = follow(walk, normal(TERMS, COLUMNS), normal(20, ROWS, UNITS), 1e-30, 8)
    assert far.all()


def test_standing_still_is_near_without_a_direction() -> None:
    walk = np.repeat(normal(1, ROWS, TERMS), 6, axis=0)
    b = normal(TERMS, COLUMNS, seed=3)
    out, far, _ = follow(walk, b, normal(6, ROWS, UNITS), TOLERANCE, 8)
    assert far[0].all()
    assert not far[1:].any()
    np.testing.assert_allclose(out[5], walk[0].astype(np.float64) @ b, atol=1e-5)


def test_zeros_need_no_product() -> None:
    walk = np.zeros((2, ROWS, TERMS), np.float32)
    out, far, outer = follow(walk, normal(TERMS, COLUMNS), normal(2, ROWS, UNITS), TOLERANCE, 8)
    assert not far.any()
    assert not out.any()
    assert not outer.any()
