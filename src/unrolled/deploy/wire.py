"""The wire format of protocol buffers, read field by field, without copies and without a schema."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedError(Exception):
    """Bytes that are no protocol buffer, or one that we refuse."""


def message(value: int | memoryview) -> memoryview:
    """The bytes of a field that has a length.

    Raises:
        MalformedError: the field is a number.
    """
    if isinstance(value, int):
        raise MalformedError("no ONNX model: a field is of the wrong kind")
    return value


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value of every field: integers for varints, views for everything with a length.

    Raises:
        MalformedError: the bytes end early, or hold what no protocol buffer holds.
    """
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            number, place = _varint(message, place)
            yield field, number
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise MalformedError("no ONNX model: an unknown kind of field")
        if size > end - place:
            raise MalformedError("no ONNX model: the file is cut short")
        yield field, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise MalformedError("no ONNX model: the file is cut short")
