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

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from unrolled.errors import MachineError

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
    "XLA_FFI_Metadata": ("struct_size", "api_version", "traits", "state_type_id"),
    "XLA_FFI_Metadata_Extension": ("extension_base", "metadata"),
}
_METADATA_EXTENSION = 1

_FRAME_EXTENSION, _FRAME_ARGUMENTS, _FRAME_RESULTS, _FRAME_ATTRIBUTES = 8, 72, 112, 160
_SCALAR_VALUE = 8
_EXTENSION_TYPE, _EXTENSION_METADATA = 8, 24
_METADATA_MAJOR, _METADATA_MINOR, _METADATA_TRAITS = 24, 28, 32
_BUFFER_DATA, _BUFFER_DIMENSIONS = 24, 40


def _integer_at(bits: int) -> Any:
    kind = ir.IntType(bits)
    result = types.int64 if bits == 64 else types.int32

    @intrinsic  # type: ignore[untyped-decorator]
    def read(_typing: Any, address: Any) -> Any:
        def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            return builder.load(builder.inttoptr(arguments[0], kind.as_pointer()))

        return result(types.int64), codegen

    return read


read_int64 = _integer_at(64)
read_int32 = _integer_at(32)


@intrinsic  # type: ignore[untyped-decorator]
def _write_int32(_typing: Any, address: Any, value: Any) -> Any:
    def codegen(context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(32).as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def address_of(_typing: Any, pointer: Any) -> Any:
    """The integer address of a ``void *``."""

    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.ptrtoint(arguments[0], ir.IntType(64))

    return types.int64(types.voidptr), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _pointer_to(_typing: Any, address: Any) -> Any:
    def codegen(_context: Any, builder: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@njit
def answers_metadata(frame):
    """Whether XLA only asked which version this handler was made for; the answer is then written."""
    extension = read_int64(frame + _FRAME_EXTENSION)
    if extension == 0 or read_int32(extension + _EXTENSION_TYPE) != _METADATA_EXTENSION:
        return False
    metadata = read_int64(extension + _EXTENSION_METADATA)
    _write_int32(metadata + _METADATA_MAJOR, np.int32(API_MAJOR))
    _write_int32(metadata + _METADATA_MINOR, np.int32(OLDEST_MINOR))
    _write_int32(metadata + _METADATA_TRAITS, np.int32(0))
    return True


@njit
def argument(frame, index):
    """The address of argument ``index``'s buffer record."""
    return read_int64(read_int64(frame + _FRAME_ARGUMENTS) + 8 * index)


@njit
def result(frame, index):
    """The address of result ``index``'s buffer record."""
    return read_int64(read_int64(frame + _FRAME_RESULTS) + 8 * index)


@njit
def flags(frame):
    """The call's only attribute, an int64."""
    scalar = read_int64(read_int64(frame + _FRAME_ATTRIBUTES))
    return read_int64(read_int64(scalar + _SCALAR_VALUE))


@njit
def dimension(buffer, axis):
    """One dimension of a buffer."""
    return read_int64(read_int64(buffer + _BUFFER_DIMENSIONS) + 8 * axis)


@njit
def floats1(buffer):
    """A buffer of rank 1 as float32 array, in place."""
    return carray(_pointer_to(read_int64(buffer + _BUFFER_DATA)), (dimension(buffer, 0),), np.float32)


@njit
def floats2(buffer):
    """A buffer of rank 2 as float32 array, in place."""
    shape = (dimension(buffer, 0), dimension(buffer, 1))
    return carray(_pointer_to(read_int64(buffer + _BUFFER_DATA)), shape, np.float32)


@njit
def floats3(buffer):
    """A buffer of rank 3 as float32 array, in place."""
    shape = (dimension(buffer, 0), dimension(buffer, 1), dimension(buffer, 2))
    return carray(_pointer_to(read_int64(buffer + _BUFFER_DATA)), shape, np.float32)


@njit
def bytes2(buffer):
    """A buffer of rank 2 as uint8 array, in place; booleans are one byte each."""
    shape = (dimension(buffer, 0), dimension(buffer, 1))
    return carray(_pointer_to(read_int64(buffer + _BUFFER_DATA)), shape, np.uint8)


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
