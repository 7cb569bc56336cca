"""Rows of a table under factors of each sequence: the products of input dropout, and their gradients.

A sequence's factors are the same at all its steps, and those that are 0 leave a feature out of all of them.
So each distinct row of a sequence is multiplied once, and by the part of the input kernel that the sequence
keeps: with three tenths dropped and 126 distinct words among 219, two fifths of the products of every step by
itself. Sequences with few rows are not worth a kernel of their own; many of them are multiplied by the whole
one at once. Only there does what is dropped show if it is NaN or infinite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import compiled
from unrolled.kernels.distinct import Distinct, Source
from unrolled.kernels.gathered import copy_rows, pick_scaled, spread_scaled
from unrolled.kernels.lanes import FLOAT_BYTES
from unrolled.kernels.panels import turn
from unrolled.kernels.products import (
    CHUNK,
    add_row,
    copy_row,
    fill_rows,
    padded,
    start_of,
    zero_rows,
)
from unrolled.kernels.schedule import Schedule, point_at_rows
from unrolled.kernels.tiles import SHORT, WIDTH, multiply_rows, multiply_terms
from unrolled.types import FloatArray, LongArray

# Terms that must be left out of products, for each that the whole kernel has, until one of its own pays.
WORTH = 5


class Group(NamedTuple):
    """Sequences that are multiplied together, by the same part of the kernel.

    Args:
        offsets: int64, (features,); of kept features, in bytes from the beginning of a row.
        factors: float32, (features,); a sequence's factors of kept features.
        x: float32, (CHUNK, features, rounded up); scaled rows, of the kept features alone.
        x_rows: int64, (CHUNK,); their addresses.
        terms: int64, (features,); addresses of the kernel's terms that are kept.
    """

    offsets: LongArray
    factors: FloatArray
    x: FloatArray
    x_rows: LongArray
    terms: LongArray


@compiled
def _make_group(features: int) -> Group:
    x = np.zeros((CHUNK, rounded(features)), np.float32)
    x_rows = np.empty(CHUNK, np.int64)
    point_at_rows(0, CHUNK, x, x_rows)
    return Group(
        np.empty(features, np.int64),
        np.empty(features, np.float32),
        x,
        x_rows,
        np.empty(features, np.int64),
    )


@compiled
def rounded(features: int) -> int:
    """``features`` rounded up to what products over terms in memory do without a row left over."""
    return (features + SHORT - 1) // SHORT * SHORT


@compiled
def _choose(place: int, whole: bool, source: Source, plan: Schedule, group: Group) -> int:
    """Lists the features of which a sorted row's factors are not 0, or all, and the factors; how many."""
    row, count = plan.order[place], 0
    for feature in range(group.offsets.size):
        factor = source.factors[row, feature]
        group.offsets[count], group.factors[count] = feature * FLOAT_BYTES, factor
        count += whole or factor != 0
    return count


@compiled
def _turn_to(
    row: int, place: int, whole: bool, source: Source, plan: Schedule, distinct: Distinct, group: Group
) -> tuple[int, int]:
    """Chooses for the sorted row of the batch, from ``place`` on, that a distinct row belongs to.

    Returned are that sorted row, and the distinct row behind its last: once for all of them, since every call
    counts references to a dozen arrays.
    """
    while distinct.starts[place + 1] <= row:
        place += 1
    _choose(place, whole, source, plan, group)
    return place, distinct.starts[place + 1]


@compiled
def _is_worth(place: int, number: int, features: int, distinct: Distinct) -> bool:
    """Whether a sorted row of the batch, of which so many features are kept, is worth a kernel of its own."""
    rows = distinct.starts[place + 1] - distinct.starts[place]
    return rows * (features - number) > WORTH * features


@compiled
def _next_group(
    place: int, source: Source, plan: Schedule, distinct: Distinct, group: Group
) -> tuple[int, int]:
    """The sorted rows from ``place`` on that are multiplied together: behind their last, and by how many
    features."""
    features, end = group.offsets.size, place
    while end < plan.order.size:
        number = _choose(end, False, source, plan, group)
        if _is_worth(end, number, features, distinct):
            return (end + 1, number) if end == place else (end, features)
        end += 1
        if distinct.starts[end] - distinct.starts[place] >= CHUNK:
            break
    return end, features


@compiled
def _scale(
    first: int,
    count: int,
    place: int,
    number: int,
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    group: Group,
) -> None:
    """Writes distinct rows from ``first`` on to ``group.x``: kept features times factors, zeros behind them.

    ``place`` is a sorted row of the batch to which the first belongs, or one before it.
    """
    whole, columns = number == group.offsets.size, rounded(number)
    rows, x, x_rows = distinct.rows, group.x, group.x_rows
    offsets, factors = start_of(group.offsets), start_of(group.factors)
    row, last = first, first + count
    while row < last:
        place, end = _turn_to(row, place, whole, source, plan, distinct, group)
        end = min(end, last)
        for each in range(row, end):
            i = each - first
            pick_scaled(number, offsets, factors, rows[each], x_rows[i])
            for j in range(number, columns):
                x[i, j] = 0
        row = end


@compiled
def project_scaled(
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    packed_kernel: FloatArray,
    bias: FloatArray,
    width: int,
) -> FloatArray:
    """The distinct rows, scaled, times the input kernel plus the bias, (distinct, width)."""
    values = np.empty((distinct.rows.size, width), np.float32)
    start = np.zeros(width, np.float32)
    start[: bias.size] = bias
    fill_rows(distinct.rows.size, start, values)
    features, batch, place = source.inputs.shape[2], plan.order.size, 0
    group, own = _make_group(features), np.empty(features * width, np.float32)
    while place < batch:
        end, number = _next_group(place, source, plan, distinct, group)
        kernel = start_of(packed_kernel)
        if number < features:
            kernel = start_of(own)
            for j in range(number):
                group.terms[j] = start_of(packed_kernel) + group.offsets[j] * WIDTH
            for block in range(width // WIDTH):
                shift = block * features * WIDTH * FLOAT_BYTES
                target = kernel + block * number * WIDTH * FLOAT_BYTES
                copy_rows(WIDTH, number, start_of(group.terms), shift, target)
        last = distinct.starts[end]
        for first in range(distinct.starts[place], last, CHUNK):
            count = min(CHUNK, last - first)
            _scale(first, count, place, number, source, plan, distinct, group)
            z, strides = start_of(values) + first * width * FLOAT_BYTES, (WIDTH, number * WIDTH)
            multiply_rows(count, start_of(group.x_rows), kernel, strides, z, width, (number, width), (0, 0))
        place = end
    return values


@compiled
def _add_scaled(
    first: int,
    count: int,
    place: int,
    number: int,
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    group: Group,
    d_x: FloatArray,
    shift: int,
) -> None:
    """Adds gradients of what :func:`_scale` wrote to what stands ``shift`` bytes after the rows."""
    whole, rows = number == group.offsets.size, distinct.rows
    offsets, factors = start_of(group.offsets), start_of(group.factors)
    own, stride = start_of(d_x), d_x.shape[1] * FLOAT_BYTES
    row, last = first, first + count
    while row < last:
        place, end = _turn_to(row, place, whole, source, plan, distinct, group)
        end = min(end, last)
        for each in range(row, end):
            spread_scaled(number, offsets, factors, own + (each - first) * stride, rows[each] + shift)
        row = end


@compiled
def finish_scaled(
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    sums: FloatArray,
    kernel: FloatArray,
    packed_kernel: FloatArray,
    d_kernel: FloatArray,
    d_bias: FloatArray,
    d_table: FloatArray,
) -> None:
    """Turns gate gradients, summed by distinct row, into those of bias, kernel and table, and adds them.

    Args:
        source: of the steps.
        plan: of the steps.
        distinct: of the steps.
        sums: float32, (distinct, width).
        kernel: float32, (features, gates × units).
        packed_kernel: its transpose, packed.
        d_kernel: float32, (features, width).
        d_bias: float32, (gates × units,).
        d_table: float32, (1, rows, features).
    """
    features, width, gates = source.inputs.shape[2], sums.shape[1], kernel.shape[1]
    columns, batch, place = padded(features), plan.order.size, 0
    group, d_x = _make_group(features), np.empty((CHUNK, columns), np.float32)
    # The kept terms of the kernel, those of its gradient, and the former's transpose, packed.
    own, d_own = np.zeros((columns, width), np.float32), np.empty((rounded(features), width), np.float32)
    turned = np.empty(columns * width, np.float32)
    sum_rows, shift = np.empty(CHUNK, np.int64), start_of(d_table) - start_of(source.inputs)
    while place < batch:
        end, number = _next_group(place, source, plan, distinct, group)
        back, onto, terms, own_columns = start_of(packed_kernel), start_of(d_kernel), features, columns
        num_gates = gates
        if number < features:
            back, onto, own_columns = start_of(turned), start_of(d_own), padded(number)
            terms, num_gates = rounded(number), width
            for j in range(number):
                at = start_of(kernel) + group.offsets[j] * gates
                copy_row(gates, (at, start_of(own) + j * width * FLOAT_BYTES))
            turn(own_columns, width, start_of(own), width, back)
            zero_rows(terms, d_own)
        last = distinct.starts[end]
        for first in range(distinct.starts[place], last, CHUNK):
            count = min(CHUNK, last - first)
            _scale(first, count, place, number, source, plan, distinct, group)
            point_at_rows(first, count, sums, sum_rows)
            for i in range(count):
                add_row(d_bias.size, (start_of(d_bias), sum_rows[i], start_of(d_bias)))
            d_z = start_of(sums) + first * width * FLOAT_BYTES
            multiply_terms(count, start_of(group.x_rows), d_z, width, onto, width, (terms, width))
            zero_rows(count, d_x)
            strides, shape = (WIDTH, num_gates * WIDTH), (num_gates, own_columns)
            multiply_rows(count, start_of(sum_rows), back, strides, start_of(d_x), columns, shape, (0, 0))
            _add_scaled(first, count, place, number, source, plan, distinct, group, d_x, shift)
        if number < features:
            for j in range(number):
                target = start_of(d_kernel) + group.offsets[j] * width
                add_row(width, (target, start_of(d_own) + j * width * FLOAT_BYTES, target))
        place = end
