"""Products of rows that hardly change from one step to the next, or change along a line.

A row near a line whose products are known, that of a point of it and that of its direction, needs no product
of its own: ``(base + t direction) B = base B + t (direction B)``. A product is computed where a row is
farther away than a tolerance, and lays the row's line anew, through that row and the one before it. An
element of a product is then off by no more than the tolerance times the length of a column of B.

States that come to rest by one slow mode move along a line, and so do their gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import ByteArray, compiled
from unrolled.kernels.formulas import elementwise, summed
from unrolled.kernels.lanes import Lanes
from unrolled.kernels.products import add_outer_product, add_product, copy_row, start_of, zero_rows
from unrolled.kernels.schedule import point_at_rows
from unrolled.types import FloatArray, LongArray

# How far a line is followed, in lengths of its direction: each multiplies the rounding of the products that
# the direction's own is the difference of.
FARTHEST = 4.0
# Squares of shorter distances are not all normal float32 numbers.
SHORTEST = 2.0**-60
# A tolerance at which no row is near.
NEVER = -1.0

_dot = summed("lines_dot", lambda row, base, direction: (row - base) * direction, 3)
_squared = summed("lines_squared", lambda direction: direction * direction, 1)


def _miss(share: Lanes, row: Lanes, base: Lanes, direction: Lanes) -> Lanes:
    missed = direction.times_plus(0.0 - share, row - base)
    return missed * missed


_missed = summed("lines_missed", _miss, 4, scalars=1)
_add_along = elementwise(
    "lines_add",
    lambda share, product, slope, out: (out + slope.times_plus(share, product),),
    4,
    scalars=1,
)
_add_shared = elementwise(
    "lines_add_shared",
    lambda share, h, at_base, along: (at_base + h, h.times_plus(share, along)),
    4,
    scalars=1,
)
_point_before = elementwise("lines_point_before", lambda base, direction: (base - direction,), 2)
_turn_over = elementwise(
    "lines_turn_over",
    lambda owed, at_base, along, h: (owed - along, at_base + along, h, h.lift(0.0)),
    4,
)
_lay = elementwise("lines_lay", lambda row, base: (row - base, row), 2)
_lay_product = elementwise(
    "lines_lay_product", lambda product, before, out: (product - before, product, out + product), 3
)


class Lines(NamedTuple):
    """A line for each sequence, and how the rows of the last step lie to them.

    Args:
        base: float32, (lines, terms); a point of each, at first the origin.
        direction: float32, (lines, terms); zeros for none.
        base_product: float32, (lines, columns); the product of the base.
        slope: float32, (lines, columns); the product of the direction.
        length: float32, (lines,); the squared length of the direction.
        share: float32, (lines,); where on its line a row's nearest point is, in directions from the base.
        missed: float32, (1,); scratch.
        is_far: uint8, (rows,); whether the row of a place is farther from its line than the tolerance.
        far_rows: int64, (rows,); addresses of such rows.
        product: float32, (rows, padded columns); scratch.
    """

    base: FloatArray
    direction: FloatArray
    base_product: FloatArray
    slope: FloatArray
    length: FloatArray
    share: FloatArray
    missed: FloatArray
    is_far: ByteArray
    far_rows: LongArray
    product: FloatArray


@compiled
def make_lines(num: int, terms: int, columns: int) -> Lines:
    """``num`` lines that are points yet; columns in whole vectors."""
    return Lines(
        np.zeros((num, terms), np.float32),
        np.zeros((num, terms), np.float32),
        np.zeros((num, columns), np.float32),
        np.zeros((num, columns), np.float32),
        np.zeros(num, np.float32),
        np.zeros(num, np.float32),
        np.zeros(1, np.float32),
        np.zeros(num, np.uint8),
        np.empty(num, np.int64),
        np.empty((num, columns), np.float32),
    )


@compiled
def compare(count: int, who: LongArray, rows: LongArray, lines: Lines, tolerance: float) -> None:
    """Finds out which rows are near their lines, and where on them.

    Args:
        count: how many rows.
        who: int64; the line of each row, different ones.
        rows: int64; addresses of the rows, float32 (terms,).
        lines: are asked; ``share`` and ``is_far`` are written.
        tolerance: the largest Euclidean distance that is near. Where it is so small that float32 has no
            square for it, no row is near.
    """
    terms = lines.base.shape[1]
    limit = tolerance * tolerance if tolerance > SHORTEST else NEVER
    for place in range(count):
        line = who[place]
        base = start_of(lines.base) + line * terms * 4
        direction = start_of(lines.direction) + line * terms * 4
        share = start_of(lines.share) + line * 4
        lines.share[line] = 0
        if lines.length[line] > 0:
            _dot(terms, (rows[place], base, direction, share))
            lines.share[line] /= lines.length[line]
        _missed(terms, (share, rows[place], base, direction, start_of(lines.missed)))
        # A NaN is not near.
        is_near = lines.missed[0] <= limit and abs(lines.share[line]) <= FARTHEST
        lines.is_far[place] = not is_near


@compiled
def add_products(
    count: int, who: LongArray, rows: LongArray, packed: FloatArray, out: FloatArray, lines: Lines
) -> None:
    """``out[:count] += rows @ b`` for rows that :func:`compare` has seen; lays new lines for those far away.

    Args:
        count: how many rows.
        who: as in :func:`compare`.
        rows: as there.
        packed: b, from :func:`unrolled.kernels.products.pack`.
        out: float32, (rows, columns in whole vectors).
        lines: as :func:`compare` left them.
    """
    terms, columns = lines.base.shape[1], lines.slope.shape[1]
    num_far = 0
    for place in range(count):
        if lines.is_far[place]:
            lines.far_rows[num_far] = rows[place]
            num_far += 1
    zero_rows(num_far, lines.product)
    add_product(num_far, lines.far_rows, packed, lines.product)
    num_far = 0
    for place in range(count):
        line = who[place]
        target = start_of(out) + place * columns * 4
        before, slope = (
            start_of(lines.base_product) + line * columns * 4,
            start_of(lines.slope) + line * columns * 4,
        )
        if not lines.is_far[place]:
            share = start_of(lines.share) + line * 4
            _add_along(columns, (share, before, slope, target, target))
            continue
        product = start_of(lines.product) + num_far * columns * 4
        num_far += 1
        base, direction = (
            start_of(lines.base) + line * terms * 4,
            start_of(lines.direction) + line * terms * 4,
        )
        _lay(terms, (rows[place], base, direction, base))
        _squared(terms, (direction, start_of(lines.length) + line * 4))
        _lay_product(columns, (product, before, target, slope, before, target))


class OuterSums(NamedTuple):
    """Outer products of states and rows near lines, summed until lines are laid anew.

    A sequence's line n has the base p_n and the direction p_n - p_(n-1), p being the rows that laid lines. So
    ``sum(h_k x row_k) = sum_n A_n x p_n + B_n x (p_n - p_(n-1))``, A and B being the sums of h and of t h
    over the rows near line n. Ordered by points it takes one product for each of them: that of
    ``A_n + B_n - B_(n+1)`` and p_n, once the line after it is known.

    Args:
        at_base: float32, (lines, units); A of the line that holds.
        along: float32, (lines, units); B of it.
        owed: float32, (lines, units); A + B of the line before.
        begun: uint8, (lines,); whether anything was summed.
        left: float32, (room, units); factors that wait for a product.
        left_rows: int64, (room,); addresses of its rows.
        right: float32, (room, width); the other factors.
        waiting: int64, (1,); how many.
        total: float32, (units, width); what has been multiplied.
    """

    at_base: FloatArray
    along: FloatArray
    owed: FloatArray
    begun: ByteArray
    left: FloatArray
    left_rows: LongArray
    right: FloatArray
    waiting: LongArray
    total: FloatArray


@compiled
def make_outer_sums(lines: int, room: int, units: int, width: int) -> OuterSums:
    """Sums of nothing; ``room`` holds at least as many rows as there are lines."""
    left, left_rows = np.empty((room, units), np.float32), np.empty(room, np.int64)
    point_at_rows(0, room, left, left_rows)
    return OuterSums(
        np.zeros((lines, units), np.float32),
        np.zeros((lines, units), np.float32),
        np.zeros((lines, units), np.float32),
        np.zeros(lines, np.uint8),
        left,
        left_rows,
        np.zeros((room, width), np.float32),
        np.zeros(1, np.int64),
        np.zeros((units, width), np.float32),
    )


@compiled
def add_outer_products(count: int, who: LongArray, h_rows: LongArray, lines: Lines, sums: OuterSums) -> None:
    """Adds the outer products of states, (units,) at addresses, and the rows that :func:`compare` has seen.

    To be called before :func:`add_products` lays new lines.
    """
    units, terms, width = sums.at_base.shape[1], lines.base.shape[1], sums.right.shape[1]
    if sums.waiting[0] + count > sums.left.shape[0]:
        multiply_waiting(sums)
    is_far, begun, shares = lines.is_far, sums.begun, start_of(lines.share)
    bases, directions = start_of(lines.base), start_of(lines.direction)
    at_bases, alongs, all_owed = start_of(sums.at_base), start_of(sums.along), start_of(sums.owed)
    left, right, waiting = start_of(sums.left), start_of(sums.right), sums.waiting[0]
    for place in range(count):
        line = who[place]
        own, h = line * units * 4, h_rows[place]
        at_base, along, owed = at_bases + own, alongs + own, all_owed + own
        if is_far[place]:
            # The row is the base of the line that is laid next, and the base of this one is the point before.
            base, direction = bases + line * terms * 4, directions + line * terms * 4
            _point_before(terms, (base, direction, right + waiting * width * 4))
            _turn_over(units, (owed, at_base, along, h, left + waiting * units * 4, owed, at_base, along))
            waiting += begun[line]
        else:
            _add_shared(units, (shares + line * 4, h, at_base, along, at_base, along))
        begun[line] = 1
    sums.waiting[0] = waiting


@compiled
def finish_outer_products(lines: Lines, sums: OuterSums) -> None:
    """Takes everything that is left in the sums over to the total."""
    units, terms, width = sums.at_base.shape[1], lines.base.shape[1], sums.right.shape[1]
    nothing = np.zeros(units, np.float32)
    for turn in range(2):
        multiply_waiting(sums)
        waiting = 0
        for line in range(sums.begun.size):
            if not sums.begun[line]:
                continue
            left, own = start_of(sums.left) + waiting * units * 4, line * units * 4
            right = start_of(sums.right) + waiting * width * 4
            base, direction = (
                start_of(lines.base) + line * terms * 4,
                start_of(lines.direction) + line * terms * 4,
            )
            owed, at_base = start_of(sums.owed) + own, start_of(sums.at_base) + own
            along = start_of(sums.along) + own
            if turn == 0:
                # As if one more line were laid, which moves the base into the place of the point before.
                _point_before(terms, (base, direction, right))
            else:
                copy_row(terms, (base, right))
            _turn_over(units, (owed, at_base, along, start_of(nothing), left, owed, at_base, along))
            waiting += 1
        sums.waiting[0] = waiting
    multiply_waiting(sums)


@compiled
def multiply_waiting(sums: OuterSums) -> None:
    """Adds what waits to the total."""
    add_outer_product(sums.waiting[0], sums.left_rows, sums.right, sums.total)
    sums.waiting[0] = 0
