"""Formulas on rows of float32, compiled to loops over whole vectors, then quarters, then single numbers.

Rows are given by address. Loops that the compiler has to vectorise by itself stop being fast at the first
possible overlap between two arrays; these do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unrolled.kernels.lanes import (
    FLOAT,
    INT32,
    INT64,
    LINE_BYTES,
    Lanes,
    broadcast,
    emit_loop,
    emit_vectors,
    load,
    prefetch,
    shared_function,
    store,
    vector_type,
)

Formula = Callable[..., "Sequence[Lanes]"]
_FORMULAS: set[str] = set()


def _claim(name: str) -> None:
    if name in _FORMULAS:
        raise ValueError(f"{name}: two formulas have this name. Expected one each.")
    _FORMULAS.add(name)


def _call_on_rows(name: str, emit: Callable[[ir.IRBuilder, list[ir.Value]], None]) -> Any:
    """A compiled function ``run(count, addresses)``: what ``emit`` emits, called with count and addresses."""

    @intrinsic  # type: ignore[untyped-decorator]
    def run(_typing: Any, count: Any, addresses: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            rows = [builder.extract_value(arguments[1], i) for i in range(addresses.count)]
            function = shared_function(builder, f"unrolled_lanes_{name}", len(rows) + 1, emit)
            builder.call(function, [arguments[0], *rows])
            return context.get_dummy_value()

        return types.void(types.int64, addresses), codegen

    return run


def _read(
    builder: ir.IRBuilder, rows: Sequence[ir.Value], scalars: int, index: ir.Value, width: int
) -> list[Lanes]:
    """The formula's inputs from a number on: scalars first."""
    numbers = [broadcast(builder, load(builder, row, INT64(0), 1), width) for row in rows[:scalars]]
    numbers += [load(builder, row, index, width) for row in rows[scalars:]]
    return [Lanes(builder, number) for number in numbers]


def elementwise(name: str, formula: Formula, num_inputs: int, *, scalars: int = 0) -> Any:
    """A compiled function ``run(count, addresses)`` that applies ``formula`` to float32 rows.

    ``addresses`` is a tuple of int64: the inputs' first, the outputs' after them. An output may be the same
    row as an input; rows must not overlap in any other way.

    Args:
        name: unique among all formulas; the machine code carries it.
        formula: takes ``num_inputs`` :class:`Lanes`, returns one for each output.
        num_inputs: number of input rows.
        scalars: how many of the inputs, from the first on, are single numbers, the same for all.

    Raises:
        ValueError: another formula has the name; the linker would take one for the other.
    """
    _claim(name)

    def emit(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
        count, *rows = arguments

        def body_of(width: int) -> Callable[[ir.Value], None]:
            def body(index: ir.Value) -> None:
                inputs = _read(builder, rows[:num_inputs], scalars, index, width)
                for result, row in zip(formula(*inputs), rows[num_inputs:], strict=True):
                    store(builder, result.value, row, index)

            return body

        emit_vectors(builder, count, body_of)

    return _call_on_rows(name, emit)


def summed(name: str, formula: Callable[..., Lanes], num_inputs: int, *, scalars: int = 0) -> Any:
    """A compiled function ``run(count, addresses)`` that sums ``formula`` over float32 rows.

    ``addresses`` is a tuple of int64: the inputs' first, then that of the one number that is written. The
    order of summation depends on ``count`` and the processor alone.

    Args:
        name: unique among all formulas; the machine code carries it.
        formula: takes ``num_inputs`` :class:`Lanes`, returns what is to be summed.
        num_inputs: number of input rows.
        scalars: as in :func:`elementwise`.

    Raises:
        ValueError: another formula has the name.
    """
    _claim(name)

    def emit(builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
        count, *rows = arguments
        target = rows[num_inputs]
        total = builder.alloca(FLOAT)
        builder.store(FLOAT(0.0), total)
        sums: dict[int, ir.Value] = {}

        def body_of(width: int) -> Callable[[ir.Value], None]:
            # Where a function begins, or LLVM would not hold it in a register.
            with builder.goto_entry_block():
                place = sums[width] = builder.alloca(vector_type(width))
                builder.store(Lanes.constant(vector_type(width), 0.0), place)

            def body(index: ir.Value) -> None:
                value = formula(*_read(builder, rows[:num_inputs], scalars, index, width)).value
                builder.store(builder.fadd(builder.load(place), value), place)

            return body

        emit_vectors(builder, count, body_of)
        for width, place in sums.items():
            found = builder.load(place)
            if width > 1:
                found = _add_lanes(builder, found)
            builder.store(builder.fadd(builder.load(total), found), total)
        store(builder, builder.load(total), target, INT64(0))

    return _call_on_rows(name, emit)


def _add_lanes(builder: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """The sum of a vector's numbers, halves first."""
    width = vector.type.count
    while width > 1:
        width //= 2
        low, high = ([INT32(i + first) for i in range(width)] for first in (0, width))
        kind = ir.VectorType(INT32, width)
        undefined = ir.Constant(vector.type, ir.Undefined)
        vector = builder.fadd(
            builder.shuffle_vector(vector, undefined, ir.Constant(kind, low)),
            builder.shuffle_vector(vector, undefined, ir.Constant(kind, high)),
        )
    return builder.extract_element(vector, INT32(0))


@intrinsic  # type: ignore[untyped-decorator]
def fetch(_typing: Any, at: Any, size: Any) -> Any:
    """``fetch(at, size)``: asks for the memory of so many bytes from an address on."""

    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        start, size = arguments

        def body(index: ir.Value) -> None:
            prefetch(builder, builder.add(start, index))

        # The last line may be needed in part.
        emit_loop(builder, INT64(0), builder.add(size, INT64(LINE_BYTES - 1)), LINE_BYTES, body)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen
