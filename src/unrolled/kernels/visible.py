"""Outer products that no longer show in the sum they enter.

What goes back through a network fades: after some dozens of steps or hundreds it is below the rounding of
what came before it. The gradient of the recurrent kernel is a sum of outer products over all steps, and one
whose norm is below half a unit in the last place of the largest so far is left out: relative to the whole
matrix, as rounding is, not to each entry. States are dense, so that no row of the matrix lives on such steps
alone; inputs may be sparse, and the input kernel's gradient is summed over all steps. Gradients of inputs and
words are complete, too: an optimizer that divides by their size sees small ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import compiled
from unrolled.kernels.formulas import summed
from unrolled.kernels.products import add_outer_product, copy_row, start_of
from unrolled.types import FloatArray, LongArray

# Of the norm of the largest outer product so far: half a unit in the last place.
SHOWN = 2.0**-25
# Squared norms below which the squares of what does not show would leave float32's range.
SMALLEST = 1e-20

_square = summed("visible_square", lambda row: row * row, 1)


class Visible(NamedTuple):
    """Which of the gathered steps show.

    Args:
        chosen: int64, (room,); those steps, in their own places where they stand among as many first ones.
        squares: float32, (room,); squared norms of the outer products of all.
        largest: float32, (1,); the largest of any step so far.
        squared: float32, (1,); scratch.
        rows: int64, (room,); scratch.
    """

    chosen: LongArray
    squares: FloatArray
    largest: FloatArray
    squared: FloatArray
    rows: LongArray


@compiled
def make_visible(room: int) -> Visible:
    """For up to ``room`` steps at a time; nothing was seen yet."""
    return Visible(
        np.empty(room, np.int64),
        np.empty(room, np.float32),
        np.zeros(1, np.float32),
        np.empty(1, np.float32),
        np.empty(room, np.int64),
    )


@compiled
def find_visible(count: int, left: LongArray, units: int, right: FloatArray, visible: Visible) -> int:
    """Judges the outer products of rows, (units,) at addresses, and those of a matrix; how many show.

    Next to something that is infinite, or NaN, all do.
    """
    whole, width = True, right.shape[1]
    for place in range(count):
        _square(units, (left[place], start_of(visible.squared)))
        square = visible.squared[0]
        _square(width, (start_of(right) + place * width * 4, start_of(visible.squared)))
        square *= visible.squared[0]
        visible.squares[place] = square
        whole &= square < np.inf
        visible.largest[0] = max(visible.largest[0], square)
    limit = visible.largest[0] * SHOWN * SHOWN
    if not (whole and SMALLEST < visible.largest[0] < np.inf):
        limit = -1.0
    # Whoever shows and stands last takes the place of the first who does not: the fewest moves.
    first, last = 0, count - 1
    while first <= last:
        if visible.squares[first] > limit or limit < 0:
            visible.chosen[first] = first
            first += 1
        elif visible.squares[last] > limit:
            visible.chosen[first] = last
            first += 1
            last -= 1
        else:
            last -= 1
    return first


@compiled
def add_visible_products(
    count: int, left: LongArray, right: FloatArray, visible: Visible, out: FloatArray
) -> None:
    """``out += left.T @ right[:count]``, without the terms that do not show.

    Args:
        count: terms.
        left: int64; addresses of rows, float32 (len(out),).
        right: float32, (room, width), zeros in its padding; its rows are moved.
        visible: what has shown so far in ``out``.
        out: float32, (units, width).
    """
    number = find_visible(count, left, out.shape[0], right, visible)
    start, stride = start_of(right), right.shape[1] * 4
    for place in range(number):
        chosen = visible.chosen[place]
        visible.rows[place] = left[chosen]
        if chosen != place:
            copy_row(right.shape[1], (start + chosen * stride, start + place * stride))
    add_outer_product(number, visible.rows, right, out)
