"""Vector code for whatever processor this is: what formulas and tiles are made of.

Plain LLVM vectors without any processor's own instructions: LLVM lowers them to AVX-512, AVX2 or NEON. A
formula (:mod:`unrolled.kernels.formulas`) is a Python function over :class:`Lanes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import config

FLOAT = ir.FloatType()
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)
FLOAT_BYTES, WORD_BYTES = 4, 8
# What memory is fetched by; where lines are longer, some are asked for twice.
LINE_BYTES = 64


@lru_cache(maxsize=1)
def vector_width() -> int:
    """float32 numbers in one vector of the processor that numba compiles for: 16, 8 or 4."""
    if config.CPU_FEATURES is not None:
        features = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    elif config.CPU_NAME is not None:
        features = set()
    else:
        features = {name for name, present in llvm.get_host_cpu_features().items() if present}
    if {"avx512f", "avx512vl"} <= features:
        return 16
    return 8 if {"avx", "fma"} <= features else 4


def vector_type(width: int) -> ir.Type:
    """The LLVM type of ``width`` float32 numbers; the plain number for width 1."""
    return FLOAT if width == 1 else ir.VectorType(FLOAT, width)


def _call_intrinsic(builder: ir.IRBuilder, operation: str, operands: list[ir.Value]) -> ir.Value:
    """LLVM's own ``operation`` on vectors of one type, which is also the result's."""
    kind = operands[0].type
    suffix = f"v{kind.count}f32" if isinstance(kind, ir.VectorType) else "f32"
    name = f"llvm.{operation}.{suffix}"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(kind, [kind] * len(operands)), name)
    return builder.call(function, operands)


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """``a * b + c``, in one rounding where the processor can."""
    return _call_intrinsic(builder, "fmuladd", [a, b, c])


def address(builder: ir.IRBuilder, base: ir.Value, element: ir.Value, kind: ir.Type) -> ir.Value:
    """A pointer to ``kind`` at float number ``element`` after the integer address ``base``."""
    offset = builder.mul(element, INT64(FLOAT_BYTES))
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def load(builder: ir.IRBuilder, base: ir.Value, element: ir.Value, width: int) -> ir.Value:
    """``width`` numbers from float number ``element`` on, at any alignment."""
    value = builder.load(address(builder, base, element, vector_type(width)))
    value.align = FLOAT_BYTES
    return value


def store(builder: ir.IRBuilder, value: ir.Value, base: ir.Value, element: ir.Value) -> None:
    """Writes a vector from float number ``element`` on, at any alignment."""
    builder.store(value, address(builder, base, element, value.type)).align = FLOAT_BYTES


def address_at(builder: ir.IRBuilder, addresses: ir.Value, place: ir.Value) -> ir.Value:
    """The address that stands at a place of a list of addresses, which itself begins at an address."""
    offset = builder.mul(place, INT64(WORD_BYTES))
    return builder.load(builder.inttoptr(builder.add(addresses, offset), INT64.as_pointer()))


def broadcast(builder: ir.IRBuilder, number: ir.Value, width: int) -> ir.Value:
    """A vector that holds a number ``width`` times; the plain number for width 1."""
    if width == 1:
        return number
    undefined = ir.Constant(vector_type(width), ir.Undefined)
    first = builder.insert_element(undefined, number, INT32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, width), [0] * width))


def prefetch(builder: ir.IRBuilder, at: ir.Value) -> None:
    """Asks for the line of memory at an address, up to the second-level cache; any address will do."""
    name, byte = "llvm.prefetch.p0", ir.IntType(8).as_pointer()
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        function = ir.Function(builder.module, kind, name)
    to_read, second_level, data = INT32(0), INT32(2), INT32(1)
    builder.call(function, [builder.inttoptr(at, byte), to_read, second_level, data])


class Lanes:
    """A vector of float32 inside a formula: arithmetic on it emits code.

    No operation reorders or drops anything, so NaN and infinity come through and a diverged run is seen.
    """

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def lift(self, other: Lanes | float) -> Lanes:
        """``other`` as lanes of the same width."""
        if isinstance(other, Lanes):
            return other
        return Lanes(self.builder, self.constant(self.value.type, float(other)))

    @staticmethod
    def constant(kind: ir.Type, number: float | int) -> ir.Constant:
        """``number`` in every lane of a type."""
        if isinstance(kind, ir.VectorType):
            return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)
        return ir.Constant(kind, number)

    def _apply(self, name: str, other: Lanes | float, *, swapped: bool = False) -> Lanes:
        a, b = self.value, self.lift(other).value
        operands = (b, a) if swapped else (a, b)
        return Lanes(self.builder, getattr(self.builder, name)(*operands))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._apply("fadd", other)

    def __radd__(self, other: float) -> Lanes:
        return self._apply("fadd", other)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._apply("fsub", other)

    def __rsub__(self, other: float) -> Lanes:
        return self._apply("fsub", other, swapped=True)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._apply("fmul", other)

    def __rmul__(self, other: float) -> Lanes:
        return self._apply("fmul", other)

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._apply("fdiv", other)

    def __rtruediv__(self, other: float) -> Lanes:
        return self._apply("fdiv", other, swapped=True)

    def times_plus(self, factor: Lanes | float, addend: Lanes | float) -> Lanes:
        """``self * factor + addend``, in one rounding where the processor can."""
        value = multiply_add(self.builder, self.value, self.lift(factor).value, self.lift(addend).value)
        return Lanes(self.builder, value)

    def clamp(self, low: float, high: float) -> Lanes:
        """Each number moved into [low, high]; NaN stays NaN."""
        bottom, top = self.lift(low).value, self.lift(high).value
        value = self.builder.select(self.builder.fcmp_ordered("<", self.value, bottom), bottom, self.value)
        return Lanes(
            self.builder, self.builder.select(self.builder.fcmp_ordered(">", value, top), top, value)
        )

    def square_root(self) -> Lanes:
        """The square root, NaN below 0."""
        return Lanes(self.builder, _call_intrinsic(self.builder, "sqrt", [self.value]))

    def larger(self, other: Lanes) -> Lanes:
        """The larger of two numbers, NaN if either is."""
        builder, a, b = self.builder, self.value, other.value
        found = builder.select(builder.fcmp_ordered(">=", a, b), a, b)
        return Lanes(builder, builder.select(builder.fcmp_unordered("uno", a, a), a, found))

    def where_positive(self, other: Lanes) -> Lanes:
        """``other`` where this is above 0, elsewhere 0."""
        zero = self.lift(0.0).value
        above = self.builder.fcmp_ordered(">", self.value, zero)
        return Lanes(self.builder, self.builder.select(above, other.value, zero))

    def split_where_equal(self, other: Lanes, third: Lanes) -> tuple[Lanes, Lanes]:
        """``third`` where this equals ``other``, elsewhere 0; and the other way round."""
        builder, zero = self.builder, self.lift(0.0).value
        equal = builder.fcmp_ordered("==", self.value, other.value)
        here = builder.select(equal, third.value, zero)
        return Lanes(builder, here), Lanes(builder, builder.select(equal, zero, third.value))

    def polynomial(self, coefficients: Sequence[float]) -> Lanes:
        """The value of a polynomial, its coefficients in falling order of power."""
        result = self.lift(coefficients[0])
        for coefficient in coefficients[1:]:
            result = result.times_plus(self, coefficient)
        return result

    def power_of_two(self) -> Lanes:
        """``2 ** n`` for lanes that hold ``1.5 * 2 ** 23 + n``: n moves from mantissa to exponent."""
        kind = self.value.type
        whole = ir.VectorType(INT32, kind.count) if isinstance(kind, ir.VectorType) else INT32
        bits = self.builder.bitcast(self.value, whole)
        exponent = self.builder.shl(
            self.builder.add(bits, self.constant(whole, 127)), self.constant(whole, 23)
        )
        return Lanes(self.builder, self.builder.bitcast(exponent, kind))


def emit_loop(
    builder: ir.IRBuilder, start: ir.Value, count: ir.Value, width: int, body: Callable[[ir.Value], None]
) -> ir.Value:
    """Runs ``body(i)`` for i = start, start + width, … while a vector fits; returns the first i left."""
    entry = builder.block
    head, work, done = (builder.append_basic_block(name) for name in ("lanes", "lanes.body", "lanes.end"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT64)
    index.add_incoming(start, entry)
    following = builder.add(index, INT64(width))
    builder.cbranch(builder.icmp_signed("<=", following, count), work, done)
    builder.position_at_end(work)
    body(index)
    index.add_incoming(following, builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return index


def emit_vectors(
    builder: ir.IRBuilder, count: ir.Value, body_of: Callable[[int], Callable[[ir.Value], None]]
) -> None:
    """Covers ``count`` numbers: by full vectors, then quarters, then one by one.

    ``body_of(width)`` returns what emits the work on ``width`` numbers from a given one on.
    """
    index: ir.Value = INT64(0)
    full = vector_width()
    for width in (full, full // 4, 1) if full > 4 else (full, 1):
        index = emit_loop(builder, index, count, width, body_of(width))


def shared_function(
    builder: ir.IRBuilder, name: str, num_arguments: int, emit: Callable[[ir.IRBuilder, list[ir.Value]], None]
) -> ir.Function:
    """A void function of int64 arguments, emitted once into the module however often it is called.

    One body for all its callers keeps the first compilation short: inlined, it would be optimised anew in
    each.
    """
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [INT64] * num_arguments), name)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        function.attributes.add("nounwind")
        inside = ir.IRBuilder(function.append_basic_block("entry"))
        emit(inside, list(function.args))
        inside.ret_void()
    return function
