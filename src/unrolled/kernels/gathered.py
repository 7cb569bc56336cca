"""Sums over rows that lie anywhere in memory, and additions to them.

How many there are is known when the code runs: the taps of a convolution. One call for all of them reads and
writes the sum once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unrolled.kernels.compiled import compiled
from unrolled.kernels.lanes import (
    INT64,
    LINE_BYTES,
    emit_vectors,
    load,
    prefetch,
    shared_function,
    store,
)

_WORD = 8


def _emit_each(
    builder: ir.IRBuilder, first: int, number: ir.Value, rows: ir.Value, body: Callable[[ir.Value], None]
) -> None:
    """Runs ``body(address of row)`` for the rows from place ``first`` on."""
    entry = builder.block
    head, work, done = (builder.append_basic_block(name) for name in ("rows", "rows.body", "rows.end"))
    builder.branch(head)
    builder.position_at_end(head)
    place = builder.phi(INT64)
    place.add_incoming(INT64(first), entry)
    builder.cbranch(builder.icmp_signed("<", place, number), work, done)
    builder.position_at_end(work)
    at = builder.add(rows, builder.mul(place, INT64(_WORD)))
    body(builder.load(builder.inttoptr(at, INT64.as_pointer())))
    place.add_incoming(builder.add(place, INT64(1)), builder.block)
    builder.branch(head)
    builder.position_at_end(done)


def _emit_sum(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, number, rows, target = arguments

    def body_of(width: int) -> Callable[[ir.Value], None]:
        def body(index: ir.Value) -> None:
            first = builder.load(builder.inttoptr(rows, INT64.as_pointer()))
            start, before = load(builder, first, index, width), builder.block
            head, work, done = (builder.append_basic_block(name) for name in ("sum", "sum.body", "sum.end"))
            builder.branch(head)
            builder.position_at_end(head)
            place, total = builder.phi(INT64), builder.phi(start.type)
            place.add_incoming(INT64(1), before)
            total.add_incoming(start, before)
            builder.cbranch(builder.icmp_signed("<", place, number), work, done)
            builder.position_at_end(work)
            at = builder.add(rows, builder.mul(place, INT64(_WORD)))
            row = builder.load(builder.inttoptr(at, INT64.as_pointer()))
            total.add_incoming(builder.fadd(total, load(builder, row, index, width)), work)
            place.add_incoming(builder.add(place, INT64(1)), work)
            builder.branch(head)
            builder.position_at_end(done)
            store(builder, total, target, index)

        return body

    emit_vectors(builder, count, body_of)


def _emit_addition(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, number, rows, shift, source = arguments

    def body_of(width: int) -> Callable[[ir.Value], None]:
        def body(index: ir.Value) -> None:
            value = load(builder, source, index, width)

            def add(row: ir.Value) -> None:
                at = builder.add(row, shift)
                store(builder, builder.fadd(load(builder, at, index, width), value), at, index)

            _emit_each(builder, 0, number, rows, add)

        return body

    emit_vectors(builder, count, body_of)


def _routine(name: str, num_arguments: int, emit: Callable[[ir.IRBuilder, list[ir.Value]], None]) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        builder.call(shared_function(builder, name, num_arguments, emit), arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * num_arguments), codegen


@intrinsic  # type: ignore[untyped-decorator]
def sum_rows(_typing: Any, count: Any, number: Any, rows: Any, target: Any) -> Any:
    """``sum_rows(count, number, rows, target)``: writes the sum of ``number`` rows, at least one, to a row.

    ``rows`` is the address of their addresses, in the order of summation; each row has ``count`` float32.
    """
    return _routine("unrolled_sum_rows", 4, _emit_sum)


@intrinsic  # type: ignore[untyped-decorator]
def add_to_rows(_typing: Any, count: Any, number: Any, rows: Any, shift: Any, source: Any) -> Any:
    """``add_to_rows(count, number, rows, shift, source)``: adds a row to ``number`` rows.

    Those stand ``shift`` bytes after the addresses that stand at ``rows``; each has ``count`` float32.
    """
    return _routine("unrolled_add_to_rows", 5, _emit_addition)


@intrinsic  # type: ignore[untyped-decorator]
def _fetch_line(_typing: Any, at: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        prefetch(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@compiled
def fetch_row(start: int, size: int) -> None:
    """Asks for the memory of a row of ``size`` bytes that will be needed soon, and does not wait for it."""
    for offset in range(0, size, LINE_BYTES):
        _fetch_line(start + offset)
