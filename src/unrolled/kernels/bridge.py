"""The one door between XLA and the compiled kernels: what a custom call's frame holds, read in place.

XLA hands a custom call one C struct (``xla/ffi/api/c_api.h``, shipped with jaxlib). A numba function reads
it and works on XLA's own buffers: no copy, no Python, no lock, no compiler on the user's machine. Offsets
below are those of 64-bit C; :func:`check_header` compares the header that jaxlib ships with the layout
assumed here, so that a changed interface is refused instead of read wrongly.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from unrolled.errors import MachineError
from unrolled.kernels.lanes import INT64

API_MAJOR = 0
OLDEST_MINOR = 3

# The fields of every struct that is read, in order: the offsets below follow from them.
LAYOUT = {
    "XLA_FFI_Extension_Base": ("struct_size", "type", "next"),
    "XLA_FFI_Api_Version": ("struct_size", "extension_start", "major_version", "minor_version"),
    "XLA_FFI_Buffer": ("struct_size", "extension_start", "dtype", "data", "rank", "dims"),
    "XLA_FFI_Args": ("struct_size", "extension_start", "size", "types", "args"),
    "XLA_FFI_Rets": ("struct_size", "extension_start", "size", "types", "rets"),
    "XLA_FFI_Attrs": ("struct_size", "extension_start", "size", "types", "names", "attrs"),
    "XLA_FFI_Scalar": ("dtype", "value"),
    "XLA_FFI_CallFrame": (
        "struct_size",
        "extension_start",
        "api",
        "ctx",
        "stage",
        "args",
        "rets",
        "attrs",
        "future",
    ),
    "XLA_FFI_ThreadPool_Schedule_Args": ("struct_size", "extension_start", "ctx", "task", "data"),
    "XLA_FFI_Future_Create_Args": ("struct_size", "extension_start", "future"),
    "XLA_FFI_Future_SetAvailable_Args": ("struct_size", "extension_start", "future"),
    "XLA_FFI_Error_Destroy_Args": ("struct_size", "extension_start", "error"),
    "XLA_FFI_Api": ("struct_size", "extension_start", "api_version", "internal_api"),
    "XLA_FFI_Metadata": ("struct_size", "api_version", "traits", "state_type_id"),
    "XLA_FFI_Metadata_Extension": ("extension_base", "metadata"),
}
# The functions that XLA offers, in the order of its table, which begins after the fields above.
FUNCTIONS = (
    "Error_Create",
    "Error_GetMessage",
    "Error_Destroy",
    "Handler_Register",
    "Stream_Get",
    "Type_Register",
    "ExecutionContext_Get",
    "State_Set",
    "State_Get",
    "DeviceMemory_Allocate",
    "DeviceMemory_Free",
    "ThreadPool_Schedule",
    "ThreadPool_NumThreads",
    "Future_Create",
    "Future_SetAvailable",
)
_METADATA_EXTENSION = 1

FRAME_EXTENSION, _FRAME_ATTRIBUTES = 8, 160
FRAME_API, FRAME_CONTEXT, FRAME_FUTURE, FRAME_BYTES = 16, 24, 168, 176
FRAME_NUM_ARGUMENTS, FRAME_ARGUMENTS, FRAME_NUM_RESULTS, FRAME_RESULTS = 56, 72, 96, 112
_FIRST_FUNCTION = 48
API_ERROR_DESTROY, API_SCHEDULE, API_FUTURE_CREATE, API_FUTURE_SET_AVAILABLE = (
    _FIRST_FUNCTION + 8 * FUNCTIONS.index(name)
    for name in ("Error_Destroy", "ThreadPool_Schedule", "Future_Create", "Future_SetAvailable")
)
_SCALAR_VALUE = 8
_EXTENSION_TYPE, _EXTENSION_METADATA = 8, 24
_METADATA_MAJOR, _METADATA_MINOR, _METADATA_TRAITS = 24, 28, 32
BUFFER_TYPE, BUFFER_DATA, BUFFER_RANK, BUFFER_DIMENSIONS, BUFFER_BYTES = 16, 24, 32, 40, 48
BOOLEAN = 1


def read_integer(builder: ir.IRBuilder, at: ir.Value, offset: int | ir.Value, bits: int = 64) -> ir.Value:
    """The integer that lies ``offset`` bytes after the address ``at``."""
    place = builder.add(at, INT64(offset) if isinstance(offset, int) else offset)
    return builder.load(builder.inttoptr(place, ir.IntType(bits).as_pointer()))


def write_integer(builder: ir.IRBuilder, value: ir.Value, at: ir.Value, offset: int | ir.Value) -> None:
    """Stores an integer of any width ``offset`` bytes after the address ``at``."""
    place = builder.add(at, INT64(offset) if isinstance(offset, int) else offset)
    builder.store(value, builder.inttoptr(place, value.type.as_pointer()))


# Each of the following is emitted in place: as compiled functions of their own they would add a third to the
# time of the first compilation.


def _record_of(list_offset: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def record(_typing: Any, frame: Any, index: Any) -> Any:
        def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            frame, index = arguments
            return read_integer(
                builder, read_integer(builder, frame, list_offset), builder.mul(index, INT64(8))
            )

        return types.int64(types.int64, types.int64), codegen

    return record


argument = _record_of(FRAME_ARGUMENTS)
"""``argument(frame, index)``: the address of an argument's buffer record."""
result = _record_of(FRAME_RESULTS)
"""``result(frame, index)``: the address of a result's buffer record."""


def emit_attribute(builder: ir.IRBuilder, frame: ir.Value, place: int) -> ir.Value:
    """An int64 among the call's attributes, which XLA sorts by name."""
    scalar = read_integer(builder, read_integer(builder, frame, _FRAME_ATTRIBUTES), 8 * place)
    return read_integer(builder, read_integer(builder, scalar, _SCALAR_VALUE), 0)


def _attribute(place: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def attribute(_typing: Any, frame: Any) -> Any:
        def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            return emit_attribute(builder, arguments[0], place)

        return types.int64(types.int64), codegen

    return attribute


flags = _attribute(0)
"""``flags(frame)``: what is asked of the kernel, in the bits of :mod:`unrolled.kernels.flags`."""
roles = _attribute(1)
"""``roles(frame)``: how the buffers of a call in parts are dealt out."""


@intrinsic  # type: ignore[untyped-decorator]
def word(_typing: Any, address: Any, offset: Any) -> Any:
    """``word(address, offset)``: the int64 that lies there."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return read_integer(builder, *arguments)

    return types.int64(types.int64, types.int64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def address_of(_typing: Any, pointer: Any) -> Any:
    """``address_of(pointer)``: the integer address of a ``void *``."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], INT64)

    return types.int64(types.voidptr), codegen


def emit_answers_metadata(builder: ir.IRBuilder, frame: ir.Value) -> ir.Value:
    """Whether XLA only asks for the version, one bit; the answer is then written."""
    with builder.goto_entry_block():
        asked = builder.alloca(ir.IntType(1))
    builder.store(ir.IntType(1)(0), asked)
    extension = read_integer(builder, frame, FRAME_EXTENSION)
    with builder.if_then(builder.icmp_signed("!=", extension, INT64(0))):
        kind = read_integer(builder, extension, _EXTENSION_TYPE, 32)
        with builder.if_then(builder.icmp_signed("==", kind, kind.type(_METADATA_EXTENSION))):
            metadata = read_integer(builder, extension, _EXTENSION_METADATA)
            for value, offset in (
                (API_MAJOR, _METADATA_MAJOR),
                (OLDEST_MINOR, _METADATA_MINOR),
                (0, _METADATA_TRAITS),
            ):
                write_integer(builder, ir.IntType(32)(value), metadata, offset)
            builder.store(ir.IntType(1)(1), asked)
    return builder.load(asked)


def _array_of(kind: Any, rank: int) -> Any:
    """``run(buffer)``: a buffer record as numba array of that element type and rank, in place."""
    array_type = types.Array(kind, rank, "C")

    @intrinsic  # type: ignore[untyped-decorator]
    def array(_typing: Any, buffer: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            dimensions = read_integer(builder, arguments[0], BUFFER_DIMENSIONS)
            shape = [read_integer(builder, dimensions, 8 * axis) for axis in range(rank)]
            size = INT64(kind.bitwidth // 8)
            strides = [size]
            for length in reversed(shape[1:]):
                strides.insert(0, builder.mul(strides[0], length))
            pointer = context.get_data_type(kind).as_pointer()
            data = builder.inttoptr(read_integer(builder, arguments[0], BUFFER_DATA), pointer)
            made = make_array(array_type)(context, builder)
            populate_array(made, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
            return made._getvalue()

        return array_type(types.int64), codegen

    return array


floats1, floats2, floats3 = (_array_of(types.float32, rank) for rank in (1, 2, 3))
integers2 = _array_of(types.int32, 2)
# Booleans are one byte each.
bytes2 = _array_of(types.uint8, 2)


def check_header(text: str) -> None:
    """Returns if a C header describes the interface that this module reads.

    Args:
        text: the content of ``xla/ffi/api/c_api.h``.

    Raises:
        MachineError: another major version, an older minor one, or a struct with other fields.
    """
    versions = {
        name: int(number) for name, number in re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR)\s+(\d+)", text)
    }
    found = f"{versions.get('MAJOR', '?')}.{versions.get('MINOR', '?')}"
    if versions.get("MAJOR") != API_MAJOR or versions.get("MINOR", -1) < OLDEST_MINOR:
        raise MachineError(
            "jaxlib",
            f"its custom-call interface has an unknown version (got version={found})",
            expected=f"version {API_MAJOR}.{OLDEST_MINOR} or a later one of {API_MAJOR}",
            action="a jaxlib that this release was tested with",
        )
    without_comments = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    table = tuple(re.findall(r"_XLA_FFI_API_STRUCT_FIELD\(XLA_FFI_(\w+)\);", without_comments))
    if table[: len(FUNCTIONS)] != FUNCTIONS:
        raise MachineError(
            "jaxlib",
            f"the functions of its custom-call interface have changed in version {found}",
            expected=", ".join(FUNCTIONS),
            action="a jaxlib that this release was tested with",
        )
    for struct, expected in LAYOUT.items():
        body = re.search(rf"struct {struct} {{(.*?)}}", without_comments, flags=re.DOTALL)
        fields = tuple(re.findall(r"(\w+)\s*;", body.group(1))) if body else ()
        if fields != expected:
            raise MachineError(
                "jaxlib",
                f"{struct} has changed in version {found} (got fields={', '.join(fields) or 'none'})",
                expected=", ".join(expected),
                action="a jaxlib that this release was tested with",
            )


@cache
def header_problem() -> str | None:
    """Why the installed jaxlib cannot call the kernels; None when it can."""
    import jax

    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return "the kernels need a 64-bit system"
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    try:
        check_header(header.read_text(encoding="utf-8"))
    except OSError as error:
        return f"jaxlib's interface header cannot be read: {error}"
    except MachineError as error:
        return str(error)
    return None


def register(name: str, address: int) -> None:
    """Makes the handler at ``address`` the CPU target of custom calls to ``name``."""
    import jax

    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype = ctypes.py_object
    capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    jax.ffi.register_ffi_target(name, capsule(address, None, None), platform="cpu")
