"""XLA's way into a kernel: at once on the calling thread, or in parts on XLA's own threads.

A call whose flags ask for several parts is dealt out by sequences. Each part gets a frame of its own, whose
buffers are windows of the call's, and the parts run on the thread pool that XLA keeps anyway
(``XLA_FFI_ThreadPool_Schedule``), the last on the calling thread. The call answers with a future
(``XLA_FFI_Future_Create``) that whichever part ends last makes available: no thread ever waits for another,
so no number of threads can lock up, and no second pool competes for the cores. Calls that do not need each
other would not do: XLA lets them share memory as if one followed the other, and then one has to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unrolled.kernels import bridge
from unrolled.kernels.bridge import emit_answers_metadata, emit_attribute, word, write_integer
from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import (
    MOST_PARTS,
    PARTS_SHIFT,
    RESULT_ROLES_SHIFT,
    ROLE_BITS,
    ROLE_PART,
    ROLE_ROWS,
)
from unrolled.kernels.lanes import INT64
from unrolled.types import LongArray

_POINTER = ir.IntType(8).as_pointer()
_WORD = 8
# What a part carries beside its frame: where the count of unfinished parts stands.
_COUNTER = bridge.FRAME_BYTES
_PART_BYTES = bridge.FRAME_BYTES + _WORD
# A buffer's record and the lengths of its axes, of which no buffer has more.
_MOST_AXES = 4
_RECORD_BYTES = bridge.BUFFER_BYTES + _MOST_AXES * _WORD
_FLOAT_BYTES = 4


def _external(module: ir.Module, name: str, kind: ir.FunctionType) -> ir.Function:
    """A function of the C library."""
    found = module.globals.get(name)
    return ir.Function(module, kind, name) if found is None else found


@intrinsic  # type: ignore[untyped-decorator]
def _put_word(_typing: Any, address: Any, offset: Any, value: Any) -> Any:
    """``_put_word(address, offset, value)``: stores an int64 there."""

    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        address, offset, value = arguments
        write_integer(builder, value, address, offset)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _allocate(_typing: Any, size: Any) -> Any:
    """``_allocate(size)``: the address of fresh bytes; ends the process where there are none."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        malloc = _external(builder.module, "malloc", ir.FunctionType(_POINTER, [INT64]))
        block = builder.ptrtoint(builder.call(malloc, [arguments[0]]), INT64)
        with builder.if_then(builder.icmp_signed("==", block, INT64(0)), likely=False):
            _emit_abort(builder)
        return block

    return types.int64(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _release(_typing: Any, block: Any) -> Any:
    """``_release(block)``: gives back what :func:`_allocate` gave."""

    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        free = _external(builder.module, "free", ir.FunctionType(ir.VoidType(), [_POINTER]))
        builder.call(free, [builder.inttoptr(arguments[0], _POINTER)])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _count_down(_typing: Any, counter: Any) -> Any:
    """``_count_down(counter)``: takes one off, for all threads at once; what there was before."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], INT64.as_pointer())
        return builder.atomic_rmw("sub", place, INT64(1), "acq_rel")

    return types.int64(types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _call(_typing: Any, function: Any, argument: Any) -> Any:
    """``_call(function, argument)``: calls a C function of one pointer at an address; its pointer."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(INT64, [INT64]).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], kind), [arguments[1]])

    return types.int64(types.int64, types.int64), codegen


def _emit_abort(builder: ir.IRBuilder) -> None:
    builder.call(_external(builder.module, "abort", ir.FunctionType(ir.VoidType(), [])), [])


@compiled
def _ask(frame: int, function: int, request: int) -> int:
    """Calls a function of XLA's table; whether it did what was asked."""
    api = word(frame, bridge.FRAME_API)
    error = _call(word(api, function), request)
    if error == 0:
        return 1
    refused = _allocate(3 * _WORD)
    _put_word(refused, 0, 3 * _WORD)
    _put_word(refused, _WORD, 0)
    _put_word(refused, 2 * _WORD, error)
    _call(word(api, bridge.API_ERROR_DESTROY), refused)
    _release(refused)
    return 0


@compiled
def _role(roles: int, place: int) -> int:
    """What becomes of a buffer when a call is dealt out: two bits for each."""
    return roles >> (place * ROLE_BITS) & ((1 << ROLE_BITS) - 1)


@compiled
def _rows_in(frame: int, roles: int) -> int:
    """The sequences of a call: the first axis of what is dealt out, the shortest of them."""
    rows = np.int64(-1)
    for i in range(word(frame, bridge.FRAME_NUM_ARGUMENTS)):
        if _role(roles, i) == ROLE_ROWS:
            record = word(word(frame, bridge.FRAME_ARGUMENTS), i * _WORD)
            length = word(word(record, bridge.BUFFER_DIMENSIONS), 0)
            if rows < 0 or length < rows:
                rows = length
    return rows  # type: ignore[return-value]


@compiled
def _copy_record(source: int, target: int) -> None:
    """Copies a buffer's record, and the lengths of its axes behind it."""
    for offset in range(0, bridge.BUFFER_BYTES, _WORD):
        _put_word(target, offset, word(source, offset))
    lengths = target + bridge.BUFFER_BYTES
    for axis in range(word(source, bridge.BUFFER_RANK)):
        _put_word(lengths, axis * _WORD, word(word(source, bridge.BUFFER_DIMENSIONS), axis * _WORD))
    _put_word(target, bridge.BUFFER_DIMENSIONS, lengths)


@compiled
def _move(record: int, first: int, count: int) -> None:
    """Narrows a copied record to ``count`` entries of its first axis, from ``first`` on."""
    lengths = word(record, bridge.BUFFER_DIMENSIONS)
    # Everything that is dealt out is float32 or int32 but masks, whose type is a byte.
    size = np.int64(1 if word(record, bridge.BUFFER_TYPE) & 0xFFFFFFFF == bridge.BOOLEAN else _FLOAT_BYTES)
    for axis in range(1, word(record, bridge.BUFFER_RANK)):
        size *= word(lengths, axis * _WORD)
    _put_word(record, bridge.BUFFER_DATA, word(record, bridge.BUFFER_DATA) + first * size)
    _put_word(lengths, 0, count)


@compiled
def _make_part(frame: int, roles: int, part: int, parts: int, rows: int, target: int, counter: int) -> None:
    """Writes the frame of one part: the call's own, narrowed to the part's sequences."""
    for offset in range(0, bridge.FRAME_BYTES, _WORD):
        _put_word(target, offset, word(frame, offset))
    _put_word(target, _COUNTER, counter)
    _put_word(target, bridge.FRAME_EXTENSION, part)
    num_arguments = word(frame, bridge.FRAME_NUM_ARGUMENTS)
    num_buffers = num_arguments + word(frame, bridge.FRAME_NUM_RESULTS)
    places = target + _PART_BYTES
    records = places + num_buffers * _WORD
    _put_word(target, bridge.FRAME_ARGUMENTS, places)
    _put_word(target, bridge.FRAME_RESULTS, places + num_arguments * _WORD)
    begin, end = part * rows // parts, (part + 1) * rows // parts
    for i in range(num_buffers):
        is_result = i >= num_arguments
        at = bridge.FRAME_RESULTS if is_result else bridge.FRAME_ARGUMENTS
        number = i - num_arguments if is_result else i
        record = records + i * _RECORD_BYTES
        _copy_record(word(word(frame, at), number * _WORD), record)
        _put_word(places, i * _WORD, record)
        lengths = word(record, bridge.BUFFER_DIMENSIONS)
        role = _role(roles, number + (RESULT_ROLES_SHIFT // ROLE_BITS if is_result else 0))
        if role == ROLE_PART:
            # One for each part, along an axis of their own.
            _move(record, part, 1)
            _put_word(record, bridge.BUFFER_DIMENSIONS, lengths + _WORD)
            _put_word(record, bridge.BUFFER_RANK, word(record, bridge.BUFFER_RANK) - 1)
        elif role == ROLE_ROWS:
            each = word(lengths, 0) // rows
            _move(record, begin * each, (end - begin) * each)


@compiled
def own_stretch(frame: int, costs: LongArray) -> tuple[int, int]:
    """What a part does of work that is dealt out by something else than sequences: first and behind the last.

    Args:
        frame: of the call, which then does all, or of one of its parts.
        costs: int64, of each piece of work in turn; parts get stretches of about the same sum.
    """
    parts = max(bridge.flags(frame) >> PARTS_SHIFT & MOST_PARTS, 1)
    if parts == 1:
        return 0, costs.size
    part, total = word(frame, bridge.FRAME_EXTENSION), costs.sum()
    edges = np.zeros(2, np.int64)
    for side in range(2):
        wanted, done, piece = (part + side) * total // parts, np.int64(0), 0
        while piece < costs.size and done < wanted:
            done += costs[piece]
            piece += 1
        edges[side] = piece
    return edges[0], edges[1]


@compiled
def _deal_out(frame: int, task: int) -> None:
    """Runs a call in parts; ``task`` is the address of what runs one."""
    parts, roles = bridge.flags(frame) >> PARTS_SHIFT & MOST_PARTS, bridge.roles(frame)
    rows = _rows_in(frame, roles)
    num_buffers = word(frame, bridge.FRAME_NUM_ARGUMENTS) + word(frame, bridge.FRAME_NUM_RESULTS)
    each = _PART_BYTES + num_buffers * (_WORD + _RECORD_BYTES)
    # A count of parts, a request to XLA, and the parts.
    block = _allocate(6 * _WORD + parts * each)
    request = block + _WORD
    _put_word(block, 0, parts)
    _put_word(request, 0, 3 * _WORD)
    _put_word(request, _WORD, 0)
    _put_word(request, 2 * _WORD, 0)
    future = np.int64(0)
    if _ask(frame, bridge.API_FUTURE_CREATE, request):
        future = word(request, 2 * _WORD)
    _put_word(frame, bridge.FRAME_FUTURE, future)
    for part in range(parts):
        _make_part(frame, roles, part, parts, rows, block + 6 * _WORD + part * each, block)
    for part in range(parts):
        own = block + 6 * _WORD + part * each
        # Once the last part is on its way, the block may be gone: whoever ends last gives it back.
        if part < parts - 1 and future != 0:
            _put_word(request, 0, 5 * _WORD)
            _put_word(request, _WORD, 0)
            _put_word(request, 2 * _WORD, word(frame, bridge.FRAME_CONTEXT))
            _put_word(request, 3 * _WORD, task)
            _put_word(request, 4 * _WORD, own)
            if _ask(frame, bridge.API_SCHEDULE, request):
                continue
        _call(task, own)


@compiled
def _finish(part: int) -> None:
    """What a part does when its work is done; the last of them tells XLA and gives everything back."""
    counter = word(part, _COUNTER)
    if _count_down(counter) > 1:
        return
    future = word(part, bridge.FRAME_FUTURE)
    if future != 0:
        request = counter + _WORD
        _put_word(request, 0, 3 * _WORD)
        _put_word(request, _WORD, 0)
        _put_word(request, 2 * _WORD, future)
        _ask(part, bridge.API_FUTURE_SET_AVAILABLE, request)
    _release(counter)


def entry(name: str, kernel: Any) -> Any:
    """``enter(frame)``: what the handler of a custom call does with its frame; returns 0, no error.

    Args:
        name: unique among all kernels; the machine code carries it.
        kernel: the compiled function of a frame's address that does the work.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def enter(typing_context: Any, frame: Any) -> Any:
        def bind(function: Any, count: int) -> Any:
            signature = types.Dispatcher(function).get_call_type(typing_context, (types.int64,) * count, {})
            made = function.get_compile_result(signature)

            def emit(context: Any, builder: ir.IRBuilder, arguments: list[ir.Value]) -> None:
                context.add_linking_libs([made.library])
                status, _ = context.call_internal_no_propagate(builder, made.fndesc, signature, arguments)
                # Kernels raise nothing; only memory can run out, and that ends the process.
                with builder.if_then(status.is_error, likely=False):
                    _emit_abort(builder)

            return emit

        run, deal_out, finish = bind(kernel, 1), bind(_deal_out, 2), bind(_finish, 1)

        def task_of(context: Any, module: ir.Module) -> ir.Function:
            """What runs a part: on a thread of the pool, or on the thread that called."""
            task = ir.Function(module, ir.FunctionType(INT64, [_POINTER]), f"unrolled_task_{name}")
            task.linkage = "internal"
            builder = ir.IRBuilder(task.append_basic_block("entry"))
            part = builder.ptrtoint(task.args[0], INT64)
            run(context, builder, [part])
            finish(context, builder, [part])
            builder.ret(INT64(0))
            return task

        def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            frame = arguments[0]
            with builder.if_then(builder.not_(emit_answers_metadata(builder, frame))):
                parts = builder.lshr(emit_attribute(builder, frame, 0), INT64(PARTS_SHIFT))
                several = builder.icmp_signed(">", builder.and_(parts, INT64(MOST_PARTS)), INT64(1))
                with builder.if_else(several) as (in_parts, whole):
                    with in_parts:
                        task = builder.ptrtoint(task_of(context, builder.module), INT64)
                        deal_out(context, builder, [frame, task])
                    with whole:
                        run(context, builder, [frame])
            return INT64(0)

        return types.int64(types.int64), codegen

    return enter
