"""Embedding, convolution and max pooling of token ids in one pass, forward and backward.

A convolution over embeddings is a sum over taps, ``z[p] = b + Σ_t E[token[p + t - low]] K[t]``, and a batch
holds far fewer distinct tokens than positions: each distinct row meets all taps in one product, and every
position adds up as many finished rows as there are taps. Going back, gradients are summed by token before two
small products turn them into those of kernel and table (:mod:`unrolled.kernels.table`). No embedding of a
position and no convolution before its pooling is ever stored: going back they are added up again, in the same
order and so to the same bits.

Where several steps of a window share its largest value, the gradient goes to the first, as in XLA.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.kernels.bridge import (
    address_of,
    argument,
    flags,
    floats1,
    floats2,
    floats3,
    integers2,
    result,
)
from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import KEEP, MASKED, MOST_SIZE, RELU, SIZE_SHIFT
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.gathered import add_to_rows, fetch_row, sum_rows
from unrolled.kernels.products import (
    add_product,
    add_row,
    copy_row,
    pack,
    padded,
    start_of,
    zero_row,
    zero_rows,
)
from unrolled.kernels.tasks import entry
from unrolled.types import FloatArray, IntArray, LongArray

# Positions that lie between asking for a row and adding to it, on the way back: it left the caches long ago.
FETCH_AHEAD = 8

larger_row = elementwise("larger_row", lambda a, b: (a.larger(b),), 2)
# NaN is not above 0 and not below it either, and stays.
relu_row = elementwise("relu_row", lambda a: (a.clamp(0.0, float("inf")),), 1)
gate_row = elementwise("gate_row", lambda out, d: (out.where_positive(d),), 2)
route_row = elementwise("route_row", lambda z, out, d: z.split_where_equal(out, d), 3)
# What came out is compared with, and is never below 0.
route_relu_row = elementwise(
    "route_relu_row", lambda z, out, d: z.clamp(0.0, float("inf")).split_where_equal(out, d), 3
)


class Reading(NamedTuple):
    """What every position reads, and how positions fall into windows.

    Args:
        slots: int32, (batch, time); place among the distinct rows, -1 where masked.
        rows: int64, (distinct,); addresses of the distinct rows in the table.
        shared: int64, (batch,); the window before which all windows that reach neither the sequence's edge
            nor its first word are alike.
        filters: numbers that the convolution answers at a position.
        taps: positions that it reads; the first lies ``low`` before the position itself.
        low: see ``taps``.
        size: positions in a window.
        missing: positions by which the first window begins before the sequence.
    """

    slots: IntArray
    rows: LongArray
    shared: LongArray
    filters: int
    taps: int
    low: int
    size: int
    missing: int


@compiled
def read_tokens(tokens: IntArray, table: FloatArray, kernel: FloatArray, mode: int) -> Reading:
    """The distinct rows in the order in which they are first read; tokens are moved into the table."""
    batch, time = tokens.shape
    num_rows, taps, masked = table.shape[0], kernel.shape[0], mode & MASKED != 0
    low, size = (taps - 1) // 2, mode >> SIZE_SHIFT & MOST_SIZE
    slot_of = np.full(num_rows, np.int32(-1))
    slots = np.empty((batch, time), np.int32)
    rows = np.empty(min(num_rows, batch * time), np.int64)
    shared = np.zeros(batch, np.int64)
    count = 0
    for b in range(batch):
        start = time
        for step in range(time):
            token = np.int64(tokens[b, step])
            if token != 0 and start == time:
                start = step
            if masked and token == 0:
                slots[b, step] = -1
                continue
            row = min(max(token, 0), num_rows - 1)
            if slot_of[row] < 0:
                slot_of[row] = count
                rows[count] = start_of(table) + row * table.shape[1] * 4
                count += 1
            slots[b, step] = slot_of[row]
        if not masked:
            shared[b] = max(start - (taps - 1 - low), 0) // size
    missing = -time % size if masked else 0
    return Reading(slots, rows[:count], shared, kernel.shape[2], taps, low, size, missing)


@compiled
def _list_slots(reading: Reading, table: FloatArray, slots: IntArray) -> None:
    """Writes each table row's place among the distinct rows, -1 where it was not read."""
    slots[:] = -1
    stride = table.shape[1] * 4
    for slot in range(reading.rows.size):
        slots[0, (reading.rows[slot] - start_of(table)) // stride] = slot


@compiled
def lay_out(kernel: FloatArray) -> FloatArray:
    """The kernel (taps, features, filters) as one matrix (features, taps × filters)."""
    taps, features, filters = kernel.shape
    matrix = np.empty((features, taps * filters), np.float32)
    for tap in range(taps):
        for feature in range(features):
            at = start_of(matrix) + (feature * taps + tap) * filters * 4
            copy_row(filters, (start_of(kernel) + (tap * features + feature) * filters * 4, at))
    return matrix


@compiled
def _find_taps(b: int, step: int, reading: Reading, projected: FloatArray, rows: LongArray) -> int:
    """Lists the addresses of the finished rows that a position adds up, its own tap's first; their number."""
    base, stride, width = start_of(projected), projected.shape[1] * 4, reading.filters * 4
    low, time = reading.low, reading.slots.shape[1]
    # The bias is in the rows of the position's own tap.
    rows[0] = base + np.int64(reading.slots[b, step]) * stride + low * width
    count = 1
    for tap in range(max(low - step, 0), min(reading.taps, time + low - step)):
        slot = np.int64(reading.slots[b, step + tap - low])
        if tap != low and slot >= 0:
            rows[count] = base + slot * stride + tap * width
            count += 1
    return count


@compiled
def _fetch_taps(b: int, step: int, reading: Reading, projected: FloatArray, shift: int) -> None:
    """Asks for the finished rows of a position's token, and for those that lie ``shift`` bytes after them."""
    slot = np.int64(reading.slots[b, step]) if step >= 0 else np.int64(-1)
    if slot >= 0:
        row, size = start_of(projected) + slot * projected.shape[1] * 4, reading.taps * reading.filters * 4
        fetch_row(row, size)
        fetch_row(row + shift, size)


@compiled
def _first_shared(reading: Reading) -> int:
    """The first window that reads nothing before the sequence."""
    return (reading.low + reading.size - 1) // reading.size


@compiled
def forward(frame: int) -> None:
    """Runs the layers: the arguments and results of one custom call.

    Arguments: table (rows, features), kernel (taps, features, filters), bias (filters,), tokens (batch,
    time). Results: phrases (batch, windows, filters), 0 where a window is masked; with KEEP what
    :func:`backward` needs, (rows, padded taps × filters).
    """
    mode = flags(frame)
    relu = mode & RELU != 0
    table, kernel, bias = (
        floats2(argument(frame, 0)),
        floats3(argument(frame, 1)),
        floats1(argument(frame, 2)),
    )
    phrases = floats3(result(frame, 0))
    reading = read_tokens(integers2(argument(frame, 3)), table, kernel, mode)
    filters, count = reading.filters, reading.rows.size
    width = padded(reading.taps * filters)
    projected = floats2(result(frame, 1)) if mode & KEEP != 0 else np.empty((count, width), np.float32)
    zero_rows(count, projected)
    for slot in range(count):
        at = start_of(projected) + (slot * width + reading.low * filters) * 4
        copy_row(filters, (start_of(bias), at))
    add_product(count, reading.rows, pack(lay_out(kernel), False), projected)

    scratch, rows = np.empty(filters, np.float32), np.empty(reading.taps, np.int64)
    batch, windows = phrases.shape[0], phrases.shape[1]
    first_shared = _first_shared(reading)
    for b in range(batch):
        for window in range(windows):
            out = start_of(phrases) + (b * windows + window) * filters * 4
            if first_shared < window < reading.shared[b]:
                copy_row(filters, (out - filters * 4, out))
                continue
            start = window * reading.size - reading.missing
            empty = True
            for step in range(max(start, 0), start + reading.size):
                if reading.slots[b, step] < 0:
                    continue
                number = _find_taps(b, step, reading, projected, rows)
                if empty:
                    sum_rows(filters, number, start_of(rows), out)
                else:
                    sum_rows(filters, number, start_of(rows), start_of(scratch))
                    larger_row(filters, (out, start_of(scratch), out))
                empty = False
            if empty:
                zero_row(filters, (out, out))
            elif relu:
                relu_row(filters, (out, out))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: table, kernel, tokens, the phrases, what :func:`forward` kept, the gradient of the phrases.
    Results: for each row of the table, int32 (1, rows), its place among the distinct rows or -1; the gradient
    of each distinct row's projection, (most distinct rows, padded taps × filters), for
    :mod:`unrolled.kernels.table`; and the gradient of the bias.
    """
    mode = flags(frame)
    relu = mode & RELU != 0
    table, kernel = floats2(argument(frame, 0)), floats3(argument(frame, 1))
    phrases, projected = floats3(argument(frame, 3)), floats2(argument(frame, 4))
    d_phrases = floats3(argument(frame, 5))
    reading = read_tokens(integers2(argument(frame, 2)), table, kernel, mode)
    filters = reading.filters
    slots, sums, d_bias = integers2(result(frame, 0)), floats2(result(frame, 1)), floats1(result(frame, 2))
    _list_slots(reading, table, slots)
    zero_rows(reading.rows.size, sums)
    d_bias[:] = 0

    scratch, d_left, d_here = (
        np.empty(filters, np.float32),
        np.empty(filters, np.float32),
        np.empty(filters, np.float32),
    )
    rows, shift = np.empty(reading.taps, np.int64), start_of(sums) - start_of(projected)
    batch, windows = phrases.shape[0], phrases.shape[1]
    first_shared = _first_shared(reading)
    for b in range(batch):
        left, here = start_of(d_left), start_of(d_here)
        # From the last window to the first: those that are alike hand their gradients on.
        for window in range(windows - 1, -1, -1):
            place = (b * windows + window) * filters * 4
            out, d_out = start_of(phrases) + place, start_of(d_phrases) + place
            is_shared = first_shared <= window < reading.shared[b]
            if is_shared and window + 1 < reading.shared[b]:
                add_row(filters, (left, d_out, left))
            else:
                copy_row(filters, (d_out, left))
            if is_shared and window > first_shared:
                continue
            if relu:
                gate_row(filters, (out, left, left))
            start = window * reading.size - reading.missing
            for step in range(max(start, 0), start + reading.size):
                if reading.slots[b, step] >= 0:
                    number = _find_taps(b, step, reading, projected, rows)
                    _fetch_taps(b, step - FETCH_AHEAD, reading, projected, shift)
                    sum_rows(filters, number, start_of(rows), start_of(scratch))
                    if relu:
                        route_relu_row(filters, (start_of(scratch), out, left, here, left))
                    else:
                        route_row(filters, (start_of(scratch), out, left, here, left))
                    add_to_rows(filters, number, start_of(rows), shift, here)
    own = reading.low * filters * 4
    for slot in range(reading.rows.size):
        at = start_of(sums) + slot * sums.shape[1] * 4 + own
        add_row(filters, (start_of(d_bias), at, start_of(d_bias)))


_enter_forward = entry("phrases_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("phrases_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
