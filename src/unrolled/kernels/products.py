"""Matrix products on rows that lie anywhere in memory.

The recurrent step multiplies a few rows by the same small matrix hundreds of times. A BLAS packs that
matrix at every call; here it is packed once. Rows are given by address, so that a row can be an input at
its own time step, an embedding or a state, without a gathered copy.
"""

from __future__ import annotations

import numpy as np

from unrolled.kernels.compiled import compiled
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.lanes import FLOAT_BYTES
from unrolled.kernels.tiles import WIDTH, multiply_rows, multiply_terms
from unrolled.types import FloatArray, LongArray

# Real steps whose gate gradients are gathered before one product turns them into weight gradients.
CHUNK = 256
ROW_BYTES = np.int64(FLOAT_BYTES)


@compiled
def start_of(array: FloatArray | LongArray) -> int:
    """The address of an array's first number, signed: mixed with unsigned, numba makes it a float."""
    return np.int64(array.ctypes.data)  # type: ignore[return-value]


@compiled
def padded(columns: int) -> int:
    """``columns`` rounded up to whole vectors: the row stride of every buffer that a product writes."""
    return (columns + WIDTH - 1) // WIDTH * WIDTH


copy_row = elementwise("copy_row", lambda source: (source,), 1)
add_row = elementwise("add_row", lambda a, b: (a + b,), 2)
zero_row = elementwise("zero_row", lambda target: (target.lift(0.0),), 1)


@compiled
def zero_rows(count: int, matrix: FloatArray) -> None:
    """Zeroes the first ``count`` rows."""
    at = start_of(matrix)
    zero_row(count * matrix.shape[1], (at, at))


@compiled
def fill_rows(count: int, row: FloatArray, matrix: FloatArray) -> None:
    """Writes ``row`` to the beginning of the first ``count`` rows, which may be wider."""
    for place in range(count):
        copy_row(row.size, (start_of(row), start_of(matrix) + place * matrix.shape[1] * 4))


@compiled
def pack(matrix: FloatArray, transposed: bool) -> FloatArray:
    """A matrix (terms, columns) as vectors of columns: (columns / WIDTH, terms, WIDTH), zeros at the end.

    With ``transposed`` the matrix is given as (columns, terms).
    """
    terms, columns = matrix.shape
    if transposed:
        columns, terms = matrix.shape
    blocks = padded(columns) // WIDTH
    packed = np.zeros((blocks, terms, WIDTH), np.float32)
    for block in range(blocks):
        first = block * WIDTH
        count = min(WIDTH, columns - first)
        for term in range(terms):
            for lane in range(count):
                packed[block, term, lane] = (
                    matrix[first + lane, term] if transposed else matrix[term, first + lane]
                )
    return packed


@compiled
def add_product(count: int, rows: LongArray, packed: FloatArray, out: FloatArray) -> None:
    """``out[:count] += a @ b``: a by row addresses, b from :func:`pack`, the stride of ``out`` in whole
    vectors.
    """
    _multiply(count, rows, packed, out, (0, 0))


@compiled
def add_product_fetching(
    count: int, rows: LongArray, packed: FloatArray, out: FloatArray, ahead: int, size: int
) -> None:
    """:func:`add_product`, which asks for ``size`` bytes of memory from the address ``ahead`` on its way.

    What a step keeps for the gradient is read again long after it left the caches, in an order that the
    processor's own prefetching loses at every page. Asked for at once, a step's lines would wait for each
    other; asked for one with every term, they arrive while the product is computed.
    """
    _multiply(count, rows, packed, out, (ahead, ahead + size))


@compiled
def _multiply(
    count: int, rows: LongArray, packed: FloatArray, out: FloatArray, wanted: tuple[int, int]
) -> None:
    terms, width = packed.shape[1], out.shape[1]
    b, strides = start_of(packed), (WIDTH, terms * WIDTH)
    multiply_rows(count, start_of(rows), b, strides, start_of(out), width, (terms, width), wanted)


@compiled
def add_outer_product(terms: int, rows: LongArray, b: FloatArray, out: FloatArray) -> None:
    """``out += a.T @ b[:terms]``: a (terms, len(out)) by row addresses; b and out as wide as each other."""
    width = out.shape[1]
    multiply_terms(terms, start_of(rows), start_of(b), width, start_of(out), width, out.shape)
