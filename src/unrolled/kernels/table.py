"""The gradient of a table of which a batch read a few rows, and of the matrix that those rows met.

Every part of a batch sums what comes back by distinct row. Turned into gradients by each part, rows that
several parts read would be multiplied several times, and each part would zero and fill a whole table, to be
added up afterwards. Here the table's rows are dealt out instead: a row's sums are added up, multiplied once,
and every row of the table is written once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.kernels.bridge import address_of, argument, floats2, floats3, integers2, result
from unrolled.kernels.compiled import compiled
from unrolled.kernels.products import (
    CHUNK,
    add_outer_product,
    add_product,
    add_row,
    copy_row,
    pack,
    padded,
    start_of,
    zero_row,
    zero_rows,
)
from unrolled.kernels.schedule import copy_columns, point_at_rows
from unrolled.kernels.tasks import entry, own_stretch
from unrolled.types import FloatArray, IntArray, LongArray

# What a row that was read costs, where one that was not costs 1: two products against a row of zeros.
READ_ROW = 4


@compiled
def cost_of_rows(slots: IntArray) -> LongArray:
    """What each row of the table costs: those that were read stand together where tokens go by frequency."""
    cost = np.ones(slots.shape[1], np.int64)
    for part in range(slots.shape[0]):
        for row in range(slots.shape[1]):
            if slots[part, row] >= 0:
                cost[row] = READ_ROW
    return cost


@compiled
def _add_up(row: int, slots: IntArray, sums: FloatArray, target: int) -> bool:
    """Writes a row's sums over all parts to ``target``, in the order of the parts; whether there were any."""
    each, stride = sums.shape[1] * sums.shape[2] * 4, sums.shape[2] * 4
    found = False
    for part in range(slots.shape[0]):
        slot = np.int64(slots[part, row])
        if slot < 0:
            continue
        source = start_of(sums) + part * each + slot * stride
        if found:
            add_row(sums.shape[2], (target, source, target))
        else:
            copy_row(sums.shape[2], (source, target))
        found = True
    return found


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: table (rows, features), matrix (features, columns), slots (parts, rows), int32, the place of
    a table's row among those that a part read, or -1; and sums (parts, most distinct rows, padded columns),
    what came back for each of them. Results: the gradients of table and matrix; parts share the former, of
    which each writes its own rows.
    """
    table, matrix = floats2(argument(frame, 0)), floats2(argument(frame, 1))
    slots, sums = integers2(argument(frame, 2)), floats3(argument(frame, 3))
    d_table = floats2(result(frame, 0))
    features, width = table.shape[1], sums.shape[2]
    row_bytes = features * 4
    packed = pack(matrix, True)
    d_matrix = np.zeros((features, width), np.float32)
    chunk, d_x = np.empty((CHUNK, width), np.float32), np.empty((CHUNK, padded(features)), np.float32)
    chunk_rows, rows = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    point_at_rows(0, CHUNK, chunk, chunk_rows)
    shift = start_of(d_table) - start_of(table)
    first, last = own_stretch(frame, cost_of_rows(slots))
    filled = 0
    for row in range(first, last):
        at = start_of(table) + row * row_bytes
        if _add_up(row, slots, sums, chunk_rows[filled]):
            rows[filled] = at
            filled += 1
        else:
            zero_row(features, (at + shift, at + shift))
        if filled == CHUNK or (row == last - 1 and filled):
            _multiply_out(filled, rows, chunk_rows, chunk, packed, d_x, d_matrix)
            for place in range(filled):
                source = start_of(d_x) + place * d_x.shape[1] * 4
                copy_row(features, (source, rows[place] + shift))
            filled = 0
    copy_columns(d_matrix, floats2(result(frame, 1)))


@compiled
def _multiply_out(
    count: int,
    rows: LongArray,
    chunk_rows: LongArray,
    chunk: FloatArray,
    packed: FloatArray,
    d_x: FloatArray,
    d_matrix: FloatArray,
) -> None:
    """Adds to the matrix's gradient, and leaves those of the table's rows in the first rows of ``d_x``."""
    add_outer_product(count, rows, chunk, d_matrix)
    zero_rows(count, d_x)
    add_product(count, chunk_rows, packed, d_x)


_enter_backward = entry("table_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
