"""Lists of integers out of NumPy's pickled object arrays, without letting the pickle do anything else.

A pickle is a program. Two fences stand between it and this process: every opcode must be one that an
array of integer lists needs (checked before any of it runs, because even an allowed memo index can ask
for gigabytes), and the names that it may call are not NumPy's functions but stand-ins that only look at
their arguments. No NumPy array is ever built from what the pickle says about shapes.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any

from unrolled.data.tables.table import one_line
from unrolled.errors import DataError

_ALLOWED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "reconstruct",
    ("numpy._core.multiarray", "_reconstruct"): "reconstruct",
}

_STRINGS = (
    b"numpy ndarray dtype numpy.core.multiarray numpy._core.multiarray _reconstruct b O8 O4 O |".split()
)


def _string_opcodes() -> bytes:
    """Every way in which protocols 2 to 4 write one of the strings that belong to an array."""
    spellings: list[bytes] = []
    for text in _STRINGS:
        short = bytes([len(text)]) + text
        spellings += [b"\x8c" + short, b"U" + short, b"C" + short, b"X" + short[:1] + b"\0\0\0" + text]
    return b"|".join(re.escape(spelling) for spelling in spellings)


_PROGRAM = re.compile(
    rb"\x80[\x02-\x04]"
    rb"(?:K.|M..|J.{4}"  # integers of one, two and four bytes
    + b"".join(rb"|\x8a" + re.escape(bytes([n])) + b".{%d}" % n for n in range(9))  # longer ones, to 64 bits
    + rb"|[\](eat)]|\x85|\x86|\x87|N|\x88|\x89"  # lists, tuples, None, True, False
    # Memo: an index up to 2**20, since the unpickler makes room for as many entries as it is told.
    rb"|q.|r..[\x00-\x0f]\x00|\x94|h.|j..[\x00-\x0f]\x00"
    rb"|\x95.{8}|\x93|R|b"  # frame, name from the stack, call, state
    rb"|c[\w.]{1,40}\n\w{1,40}\n|" + _string_opcodes() + rb")*+\.",
    re.DOTALL,
)


class _Array:
    """Stands in for the array under construction: takes its state, keeps its items."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: list[Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise pickle.UnpicklingError("an array's state is malformed")
        shape, dtype, _, items = state[-4:]
        if not isinstance(dtype, _Dtype) or not isinstance(items, list) or shape != (len(items),):
            raise pickle.UnpicklingError(f"an array's shape does not fit its items (got shape={shape!r:.60})")
        self.items = items


class _Dtype:
    """Stands in for the dtype "object", the only one there is."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _Name:
    """Stands in for a function or type that the pickle names."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, *arguments: object) -> object:
        if self.kind == "dtype" and arguments and arguments[0] in ("O8", "O4", "O"):
            return _Dtype()
        first = arguments[0] if arguments else None
        if (
            self.kind == "reconstruct"
            and isinstance(first, _Name)
            and arguments[1:] in (((0,), "b"), ((0,), b"b"))
        ):
            return _Array()
        raise pickle.UnpicklingError(f"the pickle calls {self.kind} in an unknown way")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("the pickle sets the state of a name")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        kind = _ALLOWED.get((module, name))
        if kind is None:
            raise pickle.UnpicklingError(f"the pickle names {module}.{name}"[:120])
        return _Name(kind)

    def persistent_load(self, _: Any) -> Any:
        raise pickle.UnpicklingError("the pickle refers to something outside")


def unpickle_lists(payload: memoryview, num_items: int, place: str, *, is_known: bool) -> list[list[int]]:
    """The items of a pickled one-dimensional object array.

    Args:
        payload: the pickle, as it stands behind the array's header.
        num_items: how many the header promises.
        place: the file and member, for messages.
        is_known: the file's digest is the published one, so that its opcodes need no check.

    Returns:
        One list for each item; what the lists hold is for the caller to check.

    Raises:
        DataError: the pickle is anything but an array of lists.
    """
    if not is_known:
        match = _PROGRAM.match(payload)
        if match is None or match.end() != len(payload):
            raise _refused(place, "the pickle holds more than lists of integers")
    try:
        found = _Unpickler(io.BytesIO(payload)).load()
    except Exception as error:  # Unpickling raises whatever a malformed stream provokes.
        raise _refused(place, f"the pickle is refused ({one_line(error)})") from None
    items = found.items if isinstance(found, _Array) else None
    if items is None or len(items) != num_items:
        raise _refused(place, f"the pickle does not hold the {num_items:,} lists that the header promises")
    for row, item in enumerate(items, 1):
        if type(item) is not list:
            raise _refused(f"{place}, row {row}", f"it is not a list (got {type(item).__name__})")
    return items


def _refused(place: str, what: str) -> DataError:
    return DataError(
        place,
        what,
        expected="a NumPy array of lists of token ids, as Keras' imdb.npz has them",
        action="get the file from Keras again; nothing of it was run",
    )
