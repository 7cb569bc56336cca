"""Matrix products in tiles that live in registers; rows are given by address.

A tile is so many rows by so many vectors of columns of ``c += a @ b``, held in registers over all terms. What
keeps a processor busy is the number of sums that do not wait for each other, so few rows get wide tiles and
many rows narrow ones, and rows are shared out evenly: 13 rows are 7 and 6, not 12 and a lonely one that takes
as long as four. One order of summation, whatever the tile: the same row gives the same bits at any place of
any batch.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import cfunc, types
from numba.extending import intrinsic

from unrolled.kernels.caching import caching
from unrolled.kernels.compiled import compiled
from unrolled.kernels.lanes import (
    INT64,
    LINE_BYTES,
    WORD_BYTES,
    address_at,
    broadcast,
    load,
    multiply_add,
    prefetch,
    shared_function,
    store,
    vector_width,
)

WIDTH = vector_width()
# Two vectors of columns by so many rows fill the registers (32 vectors, 16 on AVX2) without spilling.
TALLEST = 6 if WIDTH == 8 else 12
# The most vectors of columns in a tile; one row has as many.
WIDEST = 8
# The height for what is left over of a product over terms that are rows in memory.
SHORT = 3 if WIDTH == 8 else 4
_BYTES = 4
# Numbers that the two products are called with.
ROWS_ARGUMENTS, TERMS_ARGUMENTS = 11, 8
ROWS_SYMBOL, TERMS_SYMBOL = "unrolled_multiply_rows", "unrolled_multiply_terms"


def _widths(height: int, *, transposed: bool) -> tuple[int, ...]:
    """Vectors of columns that a tile of so many rows may have."""
    if transposed or height > 2:
        return 2, 1
    return tuple(range(WIDEST if height == 1 else WIDEST // 2, 0, -1))


def _tile(builder: ir.IRBuilder, height: int, vectors: int, *, transposed: bool) -> ir.Function:
    """The function of one tile, emitted once into the module.

    Its arguments are those of :func:`_tile_of`.
    """

    def emit(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
        rows, first, b, b_stride, b_hop, c, c_stride, depth, ahead, hop = arguments
        cells = [(i, v) for i in range(height) for v in range(vectors)]

        def place(i: int, v: int) -> ir.Value:
            return builder.add(builder.mul(c_stride, INT64(i)), INT64(v * WIDTH))

        sums = [load(builder, c, place(i, v), WIDTH) for i, v in cells]
        bases = [] if transposed else [address_at(builder, rows, INT64(i)) for i in range(height)]
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
        prefetch(builder, builder.add(ahead, builder.mul(term, hop)))
        columns = [
            load(builder, b, builder.add(start, builder.mul(b_hop, INT64(v))), WIDTH) for v in range(vectors)
        ]
        base = address_at(builder, rows, term) if transposed else None
        following = []
        for i in range(height):
            if transposed:
                number = load(builder, base, builder.add(first, INT64(i)), 1)
            else:
                number = load(builder, bases[i], term, 1)
            spread = broadcast(builder, number, WIDTH)
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

    name = f"unrolled_tile_{height}x{vectors}x{WIDTH}{'t' if transposed else ''}"
    return shared_function(builder, name, 10, emit)


def _tile_of(heights: tuple[int, ...], *, transposed: bool) -> Any:
    """``tile(height, vectors, rows, first, b, b_stride, b_hop, c, c_stride, depth, ahead, hop)``: one tile of
    a product.

    Plain: ``rows[i]`` is the address of row i of a. Transposed: ``rows[k]`` is the address of row k of a
    stored by terms, whose numbers from ``first`` on belong to the tile's rows. ``c`` is one address, its
    rows ``c_stride`` floats apart; vector v of term k of b lies at ``b + k * b_stride + v * b_hop`` floats.
    With every term k the line of memory ``k * hop`` bytes after the address ``ahead`` is asked for; with a
    hop of 0 that is the same line again, which costs nothing. Nothing happens for a height, or a number of
    vectors, that there is no tile of.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        _typing: Any,
        height: Any,
        vectors: Any,
        rows: Any,
        first: Any,
        b: Any,
        b_stride: Any,
        b_hop: Any,
        c: Any,
        c_stride: Any,
        depth: Any,
        ahead: Any,
        hop: Any,
    ) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            height, vectors, *rest = arguments
            done = builder.append_basic_block("tiles.end")
            shape = builder.add(builder.mul(height, INT64(WIDEST + 1)), vectors)
            choice = builder.switch(shape, done)
            for rows in heights:
                for columns in _widths(rows, transposed=transposed):
                    block = builder.append_basic_block("tiles.one")
                    choice.add_case(INT64(rows * (WIDEST + 1) + columns), block)
                    builder.position_at_end(block)
                    builder.call(_tile(builder, rows, columns, transposed=transposed), rest)
                    builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 12), codegen

    return tile


_rows_tile = _tile_of(tuple(range(1, TALLEST + 1)), transposed=False)
_terms_tile = _tile_of((TALLEST, SHORT, 1), transposed=True)


def handle_rows(
    count: int,
    rows: int,
    b: int,
    b_stride: int,
    b_hop: int,
    c: int,
    pitch: int,
    terms: int,
    columns: int,
    ahead: int,
    until: int,
) -> None:
    """``c[:count] += a @ b``; compiled and cached by :func:`provide_products`."""
    if count == 0 or terms == 0:
        return
    vectors = columns // WIDTH
    groups = (count + TALLEST - 1) // TALLEST
    low, more = count // groups, count % groups
    widest = 2
    if count == 1:
        widest = WIDEST
    elif count == 2:
        widest = WIDEST // 2
    column = 0
    # A panel of b stays in the first-level cache while all rows pass by.
    while column < vectors:
        wide = min(widest, vectors - column)
        panel, out = b + column * b_hop * _BYTES, c + column * WIDTH * _BYTES
        at = 0
        for group in range(groups):
            height = low + (1 if group < more else 0)
            own, target = rows + at * WORD_BYTES, out + at * pitch * _BYTES
            # With nothing to ask for, a line that is there: any other would be looked up in vain every time.
            line, hop = (ahead, LINE_BYTES) if ahead < until else (own, 0)
            _rows_tile(height, wide, own, 0, panel, b_stride, b_hop, target, pitch, terms, line, hop)
            ahead += terms * hop
            at += height
        column += wide


def handle_terms(
    terms: int, rows: int, b: int, b_pitch: int, c: int, c_pitch: int, count: int, columns: int
) -> None:
    """``c += a.T @ b[:terms]``; compiled and cached by :func:`provide_products`."""
    if terms == 0:
        return
    vectors = columns // WIDTH
    for column in range(0, vectors, 2):
        wide = 2 if column + 1 < vectors else 1
        panel, out = b + column * WIDTH * _BYTES, c + column * WIDTH * _BYTES
        at = 0
        while at < count:
            height = 1
            if count - at >= TALLEST:
                height = TALLEST
            elif count - at >= SHORT:
                height = SHORT
            target = out + at * c_pitch * _BYTES
            _terms_tile(height, wide, rows, at, panel, b_pitch, WIDTH, target, c_pitch, terms, rows, 0)
            at += height


@cache
def provide_products() -> tuple[Any, ...]:
    """Makes the products known to whatever is compiled or loaded later; what must outlive it."""
    made = []
    for symbol, handler, count in (
        (ROWS_SYMBOL, handle_rows, ROWS_ARGUMENTS),
        (TERMS_SYMBOL, handle_terms, TERMS_ARGUMENTS),
    ):
        with caching():
            product = cfunc(types.void(*[types.int64] * count), cache=True, error_model="numpy")(handler)
        binding.add_symbol(symbol, product.address)
        made.append(product)
    return tuple(made)


def _outside(symbol: str, num_arguments: int) -> Any:
    """Calls a function of int64 numbers that stands outside the module, by its name.

    Inlined, or merely linked, the tiles would be optimised anew in every function that leads to them, and
    most of the first compilation would be spent on that.
    """

    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        provide_products()
        function = builder.module.globals.get(symbol)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [INT64] * num_arguments)
            function = ir.Function(builder.module, kind, symbol)
        builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * num_arguments), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _call_rows(
    _typing: Any,
    count: Any,
    rows: Any,
    b: Any,
    b_stride: Any,
    b_hop: Any,
    c: Any,
    pitch: Any,
    terms: Any,
    columns: Any,
    ahead: Any,
    until: Any,
) -> Any:
    return _outside(ROWS_SYMBOL, ROWS_ARGUMENTS)


@intrinsic  # type: ignore[untyped-decorator]
def _call_terms(
    _typing: Any, terms: Any, rows: Any, b: Any, b_pitch: Any, c: Any, c_pitch: Any, count: Any, columns: Any
) -> Any:
    return _outside(TERMS_SYMBOL, TERMS_ARGUMENTS)


@compiled
def multiply_rows(
    count: int,
    rows: int,
    b: int,
    strides: tuple[int, int],
    c: int,
    pitch: int,
    shape: tuple[int, int],
    wanted: tuple[int, int],
) -> None:
    """``c[:count] += a @ b``.

    Args:
        count: rows of a.
        rows: address of the addresses of the rows of a.
        b: address of b.
        strides: floats from term to term of b, and from one vector of its columns to the next.
        c: address of c.
        pitch: floats from row to row of c.
        shape: of b: terms, and columns in whole vectors.
        wanted: two addresses; memory from the first to the second is asked for on the way.
    """
    _call_rows(count, rows, b, strides[0], strides[1], c, pitch, shape[0], shape[1], wanted[0], wanted[1])


@compiled
def multiply_terms(
    terms: int, rows: int, b: int, b_pitch: int, c: int, c_pitch: int, shape: tuple[int, int]
) -> None:
    """``c += a.T @ b[:terms]``, a by the addresses of its rows, which stand at the address ``rows``.

    ``shape`` is that of c: the columns of a, and columns of b in whole vectors; pitches are floats from row
    to row.
    """
    _call_terms(terms, rows, b, b_pitch, c, c_pitch, shape[0], shape[1])
