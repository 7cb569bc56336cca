"""Matrix products on rows that lie anywhere in memory, in tiles that live in registers.

The recurrent step multiplies a few rows by the same small matrix hundreds of times. A BLAS packs that
matrix at every call; here it is packed once. Rows are given by address, so that a row can be an input at
its own time step, an embedding or a state, without a gathered copy. One order of summation, whatever the
batch: the same row gives the same bits at any place of any batch that uses the same tile height.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unrolled.kernels.compiled import compiled
from unrolled.kernels.lanes import (
    FLOAT,
    FLOAT_BYTES,
    INT32,
    INT64,
    elementwise,
    load,
    multiply_add,
    shared_function,
    store,
    vector_width,
)
from unrolled.types import FloatArray, LongArray

WIDTH = vector_width()
# Two vectors of columns by so many rows fill the registers (32 vectors, 16 on AVX2) without spilling.
TALL = 6 if WIDTH == 8 else 12
SHORT = 3 if WIDTH == 8 else 4
# Real steps whose gate gradients are gathered before one product turns them into weight gradients.
CHUNK = 256
ROW_BYTES = np.int64(FLOAT_BYTES)


def _broadcast(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    undefined = ir.Constant(ir.VectorType(FLOAT, WIDTH), ir.Undefined)
    first = builder.insert_element(undefined, number, INT32(0))
    lanes = ir.Constant(ir.VectorType(INT32, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, lanes)


def _element(builder: ir.IRBuilder, addresses: ir.Value, index: ir.Value) -> ir.Value:
    pointer = builder.inttoptr(builder.add(addresses, builder.mul(index, INT64(8))), INT64.as_pointer())
    return builder.load(pointer)


def _tile(height: int, vectors: int, *, transposed: bool) -> Any:
    """One register tile: ``height`` rows by ``vectors`` vectors of ``c += a @ b`` over ``depth`` terms.

    Plain: ``rows[i]`` is the address of row i of a. Transposed: ``rows[k]`` is the address of row k of a
    stored by terms, whose numbers from ``first`` on belong to the tile's rows. ``c`` is one address, its
    rows ``c_stride`` floats apart; vector v of term k of b lies at ``b + k * b_stride + v * b_hop`` floats.
    """

    name = f"unrolled_tile_{height}x{vectors}x{WIDTH}{'t' if transposed else ''}"

    def emit(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
        rows, first, b, b_stride, b_hop, c, c_stride, depth = arguments
        cells = [(i, v) for i in range(height) for v in range(vectors)]

        def place(i: int, v: int) -> ir.Value:
            return builder.add(builder.mul(c_stride, INT64(i)), INT64(v * WIDTH))

        sums = [load(builder, c, place(i, v), WIDTH) for i, v in cells]
        bases = [] if transposed else [_element(builder, rows, INT64(i)) for i in range(height)]
        entry = builder.block
        work, done = builder.append_basic_block("tile"), builder.append_basic_block("tile.end")
        builder.branch(work)
        builder.position_at_end(work)
        term = builder.phi(INT64)
        term.add_incoming(INT64(0), entry)
        running = []
        for value in sums:
            phi = builder.phi(value.type)
            phi.add_incoming(value, entry)
            running.append(phi)
        start = builder.mul(term, b_stride)
        columns = [
            load(builder, b, builder.add(start, builder.mul(b_hop, INT64(v))), WIDTH) for v in range(vectors)
        ]
        base = _element(builder, rows, term) if transposed else None
        following = []
        for i in range(height):
            if transposed:
                number = load(builder, base, builder.add(first, INT64(i)), 1)
            else:
                number = load(builder, bases[i], term, 1)
            spread = _broadcast(builder, number)
            for v in range(vectors):
                following.append(multiply_add(builder, spread, columns[v], running[i * vectors + v]))
        next_term = builder.add(term, INT64(1))
        term.add_incoming(next_term, work)
        for phi, value in zip(running, following, strict=True):
            phi.add_incoming(value, work)
        builder.cbranch(builder.icmp_signed("<", next_term, depth), work, done)
        builder.position_at_end(done)
        for (i, v), value in zip(cells, following, strict=True):
            store(builder, value, c, place(i, v))

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        _typing: Any,
        rows: Any,
        first: Any,
        b: Any,
        b_stride: Any,
        b_hop: Any,
        c: Any,
        c_stride: Any,
        depth: Any,
    ) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            builder.call(shared_function(builder, name, len(arguments), emit), arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), codegen

    return tile


_tall_pair = _tile(TALL, 2, transposed=False)
_tall_one = _tile(TALL, 1, transposed=False)
_short_pair = _tile(SHORT, 2, transposed=False)
_short_one = _tile(SHORT, 1, transposed=False)
_single_pair = _tile(1, 2, transposed=False)
_single_one = _tile(1, 1, transposed=False)
_tall_pair_t = _tile(TALL, 2, transposed=True)
_tall_one_t = _tile(TALL, 1, transposed=True)
_short_pair_t = _tile(SHORT, 2, transposed=True)
_short_one_t = _tile(SHORT, 1, transposed=True)
_single_pair_t = _tile(1, 2, transposed=True)
_single_one_t = _tile(1, 1, transposed=True)


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

    Panels of b stay in the first-level cache while all rows pass by.
    """
    terms, width = packed.shape[1], out.shape[1]
    hop = terms * WIDTH
    source, target, row = start_of(packed), start_of(out), start_of(rows)
    for column in range(0, width, 2 * WIDTH):
        pair = column + WIDTH < width
        b = source + column * terms * ROW_BYTES
        c = target + column * ROW_BYTES
        i = 0
        while i < count:
            c_row, a_row = c + i * width * ROW_BYTES, row + i * 8
            left = count - i
            if left >= TALL:
                if pair:
                    _tall_pair(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                else:
                    _tall_one(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                i += TALL
            elif left >= SHORT:
                if pair:
                    _short_pair(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                else:
                    _short_one(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                i += SHORT
            else:
                if pair:
                    _single_pair(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                else:
                    _single_one(a_row, 0, b, WIDTH, hop, c_row, width, terms)
                i += 1


@compiled
def add_outer_product(terms: int, rows: LongArray, b: FloatArray, out: FloatArray) -> None:
    """``out += a.T @ b[:terms]``: a (terms, len(out)) by row addresses; b and out as wide as each other."""
    count, width = out.shape
    if terms == 0:
        return
    source, target, row = start_of(b), start_of(out), start_of(rows)
    for column in range(0, width, 2 * WIDTH):
        pair = column + WIDTH < width
        b_panel = source + column * ROW_BYTES
        c = target + column * ROW_BYTES
        i = 0
        while i < count:
            c_row = c + i * width * ROW_BYTES
            left = count - i
            if left >= TALL:
                if pair:
                    _tall_pair_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                else:
                    _tall_one_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                i += TALL
            elif left >= SHORT:
                if pair:
                    _short_pair_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                else:
                    _short_one_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                i += SHORT
            else:
                if pair:
                    _single_pair_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                else:
                    _single_one_t(row, i, b_panel, width, WIDTH, c_row, width, terms)
                i += 1
