"""Arrays out of an .npz file of unknown origin: every declared size is checked before it costs memory."""

from __future__ import annotations

import ast
import errno
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unrolled.data import limits
from unrolled.data.tables.table import one_line, shorten, show_path
from unrolled.errors import DataError
from unrolled.types import LongArray

MAX_ZIP_MEMBERS = 64
MAX_MEMBER_BYTES = 2**30
MAX_HEADER_BYTES = 4096
_END_OF_ZIP = b"PK\x05\x06"


@dataclass(frozen=True, slots=True)
class Member:
    """One .npy file of the archive: what its header says, and the bytes behind it.

    Args:
        place: file and member, for messages.
        dtype: NumPy's description, as "|O" or "<i8".
        num_items: length of the one-dimensional array.
        payload: everything behind the header.
    """

    place: str
    dtype: str
    num_items: int
    payload: memoryview


def read_members(path: Path, wanted: Sequence[str]) -> dict[str, Member]:
    """The named arrays of an .npz file, with headers parsed and contents untouched.

    Raises:
        DataError: no zip file, a missing array, or sizes beyond the limits.
    """
    where = show_path(path)
    _check_zip_end(path, where)
    try:
        with zipfile.ZipFile(path) as archive:
            payloads = {name: _read_member(archive, where, f"{name}.npy") for name in wanted}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        raise _broken(where, f"it cannot be read as .npz ({one_line(error)})") from None
    except OSError as error:
        # A damaged directory sends the reader to places before the file's beginning.
        if error.errno != errno.EINVAL:
            raise
        raise _broken(where, "it cannot be read as .npz (its directory is damaged)") from None
    return {name: _parse(f"{where}, {name}.npy", payload) for name, payload in payloads.items()}


def _read_member(archive: zipfile.ZipFile, where: str, member: str) -> bytes:
    infos = [info for info in archive.infolist() if info.filename == member]
    if len(infos) != 1:
        shown = shorten(sorted(archive.namelist()), 160)
        raise _broken(
            where, f"the array {member.removesuffix('.npy')} is missing or there twice (got {shown})"
        )
    _check_size(f"{where}, {member}", infos[0])
    return archive.read(infos[0])


def read_integers(member: Member) -> LongArray:
    """A numeric member as int64, shape (num_items,).

    Raises:
        DataError: it holds no integers, or not as many as its header says.
    """
    if not re.fullmatch(r"[<>|=]?[iu][1248]|\|b1", member.dtype):
        raise _broken(member.place, f"it does not hold integers (got dtype={shorten(member.dtype)})")
    dtype = np.dtype(member.dtype)
    if member.num_items * dtype.itemsize != len(member.payload):
        raise _broken(
            member.place,
            f"header and content differ (got {member.num_items:,} items in {len(member.payload):,} bytes)",
        )
    return np.frombuffer(member.payload, dtype).astype(np.int64)


def _check_zip_end(path: Path, where: str) -> None:
    """Looks at the directory's own count before ``zipfile`` builds an object for each entry."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - (1 << 16) - 22))
        tail = stream.read()
    start = tail.rfind(_END_OF_ZIP)
    if start < 0 or len(tail) - start < 22:
        raise _broken(where, f"it is no .npz file, or cut short (got {size:,} bytes)")
    num_members, directory_bytes = struct.unpack("<HI", tail[start + 10 : start + 16])
    if num_members > MAX_ZIP_MEMBERS or directory_bytes > 1 << 20:
        raise _broken(where, f"it has too many members (got {num_members:,})")


def _check_size(place: str, info: zipfile.ZipInfo) -> None:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _broken(place, f"its compression is unknown (got method={info.compress_type})")
    dense = (
        info.file_size > limits.RATIO_FLOOR_BYTES and info.file_size > limits.MAX_RATIO * info.compress_size
    )
    if info.file_size > MAX_MEMBER_BYTES or dense:
        raise _broken(
            place,
            f"it would unfold too much (got {info.file_size:,} bytes out of {info.compress_size:,})",
        )


def _parse(place: str, payload: bytes) -> Member:
    if payload[:6] != b"\x93NUMPY" or len(payload) < 12 or payload[6] not in (1, 2, 3):
        raise _broken(place, "it is no .npy file")
    start = 10 if payload[6] == 1 else 12
    length = int.from_bytes(payload[8:start], "little")
    if length > MAX_HEADER_BYTES or start + length > len(payload):
        raise _broken(place, f"its header is too long (got {length:,} bytes)")
    try:
        header = ast.literal_eval(payload[start : start + length].decode("latin-1").strip())
        dtype, shape = header["descr"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise _broken(place, "its header cannot be read") from None
    content = memoryview(payload)[start + length :]
    if (
        not isinstance(dtype, str)
        or not isinstance(shape, tuple)
        or len(shape) != 1
        or type(shape[0]) is not int
    ):
        raise _broken(
            place, f"it is not one-dimensional (got dtype={shorten(dtype)}, shape={shorten(shape)})"
        )
    # Even a pickled item takes a byte, so more items than bytes are a lie.
    if not 0 <= shape[0] <= min(len(content), limits.MAX_ROWS):
        raise _broken(
            place, f"its shape does not fit its content (got shape={shape} in {len(content):,} bytes)"
        )
    return Member(place, dtype, shape[0], content)


def _broken(place: str, what: str) -> DataError:
    return DataError(
        place,
        what,
        expected="an .npz file with x_train, y_train, x_test and y_test, as Keras' imdb.npz",
        action="get the file again, or give the reviews in another form",
    )
