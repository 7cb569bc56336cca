"""Text files as decoded lines, with an exact diagnosis of whatever is not UTF-8 text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from unrolled.data import limits
from unrolled.errors import DataError

CHUNK_BYTES = 1 << 20

# The longer mark first: UTF-32's begins with UTF-16's.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class Lines:
    """An open text file; iterating gives its lines with their ends, decoded.

    Args:
        path: the file.
        where: its name in messages.
        newline: as for ``open``: "" ends lines at any line end and keeps it, "\\n" only there.

    Attributes:
        had_mark: whether the file starts with UTF-8's byte order mark, which is skipped.
    """

    def __init__(self, path: Path, where: str, newline: str) -> None:
        self.path, self.where = path, where
        self.had_mark = check_start(path, where)
        encoding = "utf-8-sig" if self.had_mark else "utf-8"
        self._bytes = path.open("rb")
        self._stream = io.TextIOWrapper(self._bytes, encoding=encoding, newline=newline)

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[str]:
        readline, longest = self._stream.readline, limits.MAX_LINE_CHARACTERS
        number = 0
        try:
            while line := readline(longest):
                number += 1
                if "\0" in line:
                    raise _null_byte(f"{self.where}, line {number}")
                if len(line) >= longest:
                    raise DataError(
                        f"{self.where}, line {number}",
                        "the line is too long",
                        expected=f"lines under {longest:,} characters",
                        action="check that the file is the right one",
                    )
                yield line
        except UnicodeDecodeError:
            raise find_undecodable(self.path, self.where) from None

    def position(self) -> int:
        """Bytes read so far, with what was read ahead."""
        return self._bytes.tell()

    def notices(self) -> list[str]:
        """What was tolerated, as sentences."""
        return ["a byte order mark at the start was skipped."] if self.had_mark else []


def check_start(path: Path, where: str) -> bool:
    """Whether the file starts with UTF-8's byte order mark, after a look at its first bytes.

    Raises:
        DataError: the file is empty, or in another encoding.
    """
    with path.open("rb") as stream:
        head = stream.read(4096)
    if not head:
        raise DataError(
            where, "the file is empty", expected="labelled texts", action="check that it was written whole"
        )
    for mark, name in _FOREIGN_MARKS:
        if head.startswith(mark):
            raise _foreign(where, f"its byte order mark says {name}")
    # Latin text in UTF-16 has a zero in every second byte.
    zeros = head.count(0)
    if zeros and zeros >= len(head) * 0.3:
        raise _foreign(where, "it looks like UTF-16")
    return head.startswith(codecs.BOM_UTF8)


def decode_text(payload: bytes, place: str) -> tuple[str, bool]:
    """A whole small file as text, and whether a byte order mark was skipped.

    Raises:
        DataError: not UTF-8, or a NUL byte.
    """
    for mark, name in _FOREIGN_MARKS:
        if payload.startswith(mark):
            raise _foreign(place, f"its byte order mark says {name}")
    if b"\0" in payload:
        raise _null_byte(place)
    skipped = len(codecs.BOM_UTF8) if payload.startswith(codecs.BOM_UTF8) else 0
    try:
        return payload[skipped:].decode(), skipped > 0
    except UnicodeDecodeError as error:
        raise _undecodable(place, error.object[error.start], error.start + skipped) from None


def find_undecodable(path: Path, where: str) -> DataError:
    """The error for the first byte of the file that is not UTF-8, with its line and offset."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line = 0, 1
    with path.open("rb") as stream:
        while True:
            chunk = stream.read(CHUNK_BYTES)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                whole = pending + chunk
                line += whole.count(b"\n", 0, error.start)
                offset = position - len(pending) + error.start
                return _undecodable(f"{where}, line {line}", whole[error.start], offset)
            # Bytes held back are looked at with the next chunk; none of them is a line end.
            line += chunk.count(b"\n")
            position += len(chunk)
            if not chunk:
                return DataError(where, "the file changed while it was read", action="try again")


def _undecodable(place: str, byte: int, offset: int) -> DataError:
    return DataError(
        place,
        f"it is not UTF-8 (got byte 0x{byte:02x} at offset {offset})",
        expected="text in UTF-8",
        action="save the file as UTF-8, or convert it with iconv -f LATIN1 -t UTF-8",
    )


def _foreign(where: str, what: str) -> DataError:
    return DataError(
        where,
        f"it is not UTF-8 ({what})",
        expected="text in UTF-8",
        action="save the file as UTF-8, or convert it with iconv -f UTF-16 -t UTF-8",
    )


def _null_byte(place: str) -> DataError:
    return DataError(
        place,
        "a NUL byte stands in the text",
        expected="text without NUL bytes",
        action="write the file again; it may be damaged or binary",
    )
