"""Gate gradients that no longer show in the sums they enter.

What goes back through a network fades: after some dozens of steps or hundreds it is below the rounding of
what came before it. The weights' gradients are sums over all steps, to which such a step adds nothing that
float32 keeps; its outer product is left out. What belongs to a step or a word alone, the gradient of its
input, is always computed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import compiled
from unrolled.kernels.formulas import summed
from unrolled.kernels.products import copy_row, start_of
from unrolled.types import FloatArray, LongArray

# Relative to the longest row of gate gradients so far: half a unit in the last place.
SHOWN = 2.0**-25
# Squared lengths below which the squares of what does not show would leave float32's range.
SMALLEST = 1e-20

_square = summed("visible_square", lambda row: row * row, 1)


class Visible(NamedTuple):
    """Which of the gathered rows show.

    Args:
        chosen: int64, (room,); those rows, in their own places where they stand among as many first ones.
        squares: float32, (room,); squared lengths of all.
        largest: float32, (1,); the largest of any row so far.
    """

    chosen: LongArray
    squares: FloatArray
    largest: FloatArray


@compiled
def make_visible(room: int) -> Visible:
    """For up to ``room`` rows at a time; nothing was seen yet."""
    return Visible(np.empty(room, np.int64), np.empty(room, np.float32), np.zeros(1, np.float32))


@compiled
def find_visible(count: int, rows: FloatArray, visible: Visible) -> int:
    """Judges the first rows of a matrix, whose padding is 0; how many of them show.

    Next to something that is infinite, or NaN, all do.
    """
    whole = True
    for place in range(count):
        size = start_of(visible.squares) + place * 4
        _square(rows.shape[1], (start_of(rows) + place * rows.shape[1] * 4, size))
        whole &= visible.squares[place] < np.inf
        visible.largest[0] = max(visible.largest[0], visible.squares[place])
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
def close_ranks(number: int, visible: Visible, matrix: FloatArray) -> None:
    """Moves the ``number`` rows that show to the front."""
    start, stride = start_of(matrix), matrix.shape[1] * 4
    for place in range(number):
        if visible.chosen[place] != place:
            copy_row(matrix.shape[1], (start + visible.chosen[place] * stride, start + place * stride))


@compiled
def list_visible(number: int, visible: Visible, addresses: LongArray, listed: LongArray) -> None:
    """Writes the addresses of the ``number`` rows that show to the front of ``listed``, in the same order."""
    for place in range(number):
        listed[place] = addresses[visible.chosen[place]]
