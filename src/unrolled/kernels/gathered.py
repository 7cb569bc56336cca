"""Sums over rows that lie anywhere in memory, additions to them, and copies of them.

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
    address_at,
    emit_loop,
    emit_vectors,
    load,
    multiply_add,
    prefetch,
    shared_function,
    store,
)


def _emit_sum(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, number, rows, target = arguments

    def body_of(width: int) -> Callable[[ir.Value], None]:
        def body(index: ir.Value) -> None:
            start = load(builder, address_at(builder, rows, INT64(0)), index, width)
            before = builder.block
            head, work, done = (builder.append_basic_block(name) for name in ("sum", "sum.body", "sum.end"))
            builder.branch(head)
            builder.position_at_end(head)
            place, total = builder.phi(INT64), builder.phi(start.type)
            place.add_incoming(INT64(1), before)
            total.add_incoming(start, before)
            builder.cbranch(builder.icmp_signed("<", place, number), work, done)
            builder.position_at_end(work)
            row = load(builder, address_at(builder, rows, place), index, width)
            total.add_incoming(builder.fadd(total, row), work)
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

            def add(place: ir.Value) -> None:
                at = builder.add(address_at(builder, rows, place), shift)
                store(builder, builder.fadd(load(builder, at, index, width), value), at, index)

            emit_loop(builder, INT64(0), number, 1, add)

        return body

    emit_vectors(builder, count, body_of)


def _emit_copy(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, number, rows, shift, target = arguments

    def copy(place: ir.Value) -> None:
        source = builder.add(address_at(builder, rows, place), shift)
        first = builder.mul(place, count)

        def body_of(width: int) -> Callable[[ir.Value], None]:
            def body(index: ir.Value) -> None:
                store(builder, load(builder, source, index, width), target, builder.add(first, index))

            return body

        emit_vectors(builder, count, body_of)

    emit_loop(builder, INT64(0), number, 1, copy)


def _emit_pick(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, offsets, factors, source, target = arguments

    def pick(place: ir.Value) -> None:
        at = builder.add(source, address_at(builder, offsets, place))
        factor = load(builder, factors, place, 1)
        store(builder, builder.fmul(load(builder, at, INT64(0), 1), factor), target, place)

    _emit_singly(builder, count, pick)


def _emit_spread(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
    count, offsets, factors, source, target = arguments

    def spread(place: ir.Value) -> None:
        at = builder.add(target, address_at(builder, offsets, place))
        number, factor = (load(builder, row, place, 1) for row in (source, factors))
        store(builder, multiply_add(builder, number, factor, load(builder, at, INT64(0), 1)), at, INT64(0))

    _emit_singly(builder, count, spread)


def _emit_singly(builder: ir.IRBuilder, count: ir.Value, body: Callable[[ir.Value], None]) -> None:
    """Numbers one by one, four of them for each turn of the loop while as many are left."""

    def four(place: ir.Value) -> None:
        for i in range(4):
            body(builder.add(place, INT64(i)))

    emit_loop(builder, emit_loop(builder, INT64(0), count, 4, four), count, 1, body)


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
def copy_rows(_typing: Any, count: Any, number: Any, rows: Any, shift: Any, target: Any) -> Any:
    """``copy_rows(count, number, rows, shift, target)``: copies ``number`` rows to a stretch of memory.

    They stand ``shift`` bytes after the addresses that stand at ``rows``; each has ``count`` float32.
    """
    return _routine("unrolled_copy_rows", 5, _emit_copy)


@intrinsic  # type: ignore[untyped-decorator]
def pick_scaled(_typing: Any, count: Any, offsets: Any, factors: Any, source: Any, target: Any) -> Any:
    """``pick_scaled(count, offsets, factors, source, target)``: some numbers of a row times factors.

    ``offsets`` is the address of as many int64, bytes from ``source`` on, ``factors`` that of as many
    float32; the products stand one after the other at ``target``.
    """
    return _routine("unrolled_pick_scaled", 5, _emit_pick)


@intrinsic  # type: ignore[untyped-decorator]
def spread_scaled(_typing: Any, count: Any, offsets: Any, factors: Any, source: Any, target: Any) -> Any:
    """``spread_scaled(count, offsets, factors, source, target)``: the way back of :func:`pick_scaled`.

    Adds a row, times factors, to the numbers that stand ``offsets`` bytes from ``target`` on.
    """
    return _routine("unrolled_spread_scaled", 5, _emit_spread)


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
