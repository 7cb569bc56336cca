"""Products with a matrix that is used once: read where it lies, or turned over in registers.

Packing pays for a matrix that hundreds of steps share (:mod:`unrolled.kernels.products`). The weights of a
position are met by one batch and not again until the next.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unrolled.kernels.compiled import compiled
from unrolled.kernels.lanes import INT32, INT64, load, shared_function, store
from unrolled.kernels.products import ROW_BYTES, start_of
from unrolled.kernels.tiles import WIDTH, multiply_rows, multiply_terms
from unrolled.types import LongArray


def _emit_turn(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    """A square block of ``WIDTH`` rows: log2(WIDTH) rounds of exchanges between pairs of rows."""
    source, pitch, target = arguments
    rows = [load(builder, source, builder.mul(pitch, INT64(i)), WIDTH) for i in range(WIDTH)]
    step = 1
    while step < WIDTH:
        lanes = range(WIDTH)
        low = [WIDTH + j - step if j & step else j for j in lanes]
        high = [WIDTH + j if j & step else j + step for j in lanes]
        low_mask, high_mask = (ir.Constant(ir.VectorType(INT32, WIDTH), mask) for mask in (low, high))
        for i in range(WIDTH):
            if not i & step:
                a, b = rows[i], rows[i + step]
                rows[i] = builder.shuffle_vector(a, b, low_mask)
                rows[i + step] = builder.shuffle_vector(a, b, high_mask)
        step *= 2
    for i, row in enumerate(rows):
        store(builder, row, target, INT64(i * WIDTH))


@intrinsic  # type: ignore[untyped-decorator]
def _turn(_typing: Any, source: Any, pitch: Any, target: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        builder.call(shared_function(builder, f"unrolled_turn_{WIDTH}", 3, _emit_turn), arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@compiled
def turn(rows: int, columns: int, source: int, pitch: int, target: int) -> None:
    """Packs the transpose of a matrix as :func:`unrolled.kernels.products.pack` does.

    Args:
        rows: of the matrix, in whole vectors.
        columns: in whole vectors.
        source: its address.
        pitch: floats from row to row.
        target: address of (rows / WIDTH, columns, WIDTH) floats.
    """
    for row in range(0, rows, WIDTH):
        for column in range(0, columns, WIDTH):
            block = source + (row * pitch + column) * ROW_BYTES
            _turn(block, pitch, target + (row * columns + column * WIDTH) * ROW_BYTES)


@compiled
def add_panel_product(
    count: int, rows: LongArray, b: int, pitch: int, c: int, shape: tuple[int, int]
) -> None:
    """``c[:count] += a @ b``: a by row addresses, b and c by address, each ``pitch`` floats from row to row.

    ``shape`` is that of b: terms, and columns in whole vectors.
    """
    multiply_rows(count, start_of(rows), b, (pitch, WIDTH), c, pitch, shape, (0, 0))


@compiled
def add_panel_outer_product(
    terms: int, rows: LongArray, b: int, pitch: int, c: int, shape: tuple[int, int]
) -> None:
    """``c += a.T @ b[:terms]``: a by row addresses, b and c by address, each ``pitch`` floats a row.

    ``shape`` is that of c: the columns of a, and columns of b in whole vectors.
    """
    multiply_terms(terms, start_of(rows), b, pitch, c, pitch, shape)
