"""A reader for tar streams that never writes, and refuses what an honest archive of texts does not hold.

Python's own reader stops without a word at a damaged header and reads headers of any size; here each of
these is an error, and so are links and devices.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile, GzipFile
from pathlib import Path

from unrolled.data import limits
from unrolled.data.tables.table import field_too_large, one_line, shorten, show_path
from unrolled.errors import DataError

BLOCK = 512
MAX_EXTENDED_BYTES = 64 * 2**10

_REGULAR = (b"0", b"\0", b"7")
_FOLDER = b"5"
_PAX, _PAX_GLOBAL, _LONG_NAME = b"x", b"g", b"L"
_OCTAL = re.compile(rb"[0-7]+")
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"K": "a link with a long name",
    b"S": "a sparse file",
}


class TarStream:
    """A gzip-compressed tar archive, read once from front to back.

    Args:
        path: the archive.
    """

    def __init__(self, path: Path) -> None:
        self.where = show_path(path)
        self._packed_bytes = path.stat().st_size
        self._unpacked_bytes = 0
        self._stream = GzipFile(path)

    def close(self) -> None:
        """Closes the archive."""
        self._stream.close()

    def members(self, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
        """Regular files whose whole name matches ``wanted``: the match and the content.

        All other members are checked and passed over.

        Raises:
            DataError: a name that leads outside, a link or device, a damaged header, a cut or corrupted
                stream, or more members or bytes than the limits allow.
        """
        try:
            yield from self._members(wanted)
            # Reading to the end makes gzip compare its checksum.
            while self._read_some(1 << 20):
                pass
        except (EOFError, BadGzipFile, zlib.error) as error:
            raise self._broken(f"it is cut short or corrupted ({one_line(error)})") from None

    def _members(self, wanted: re.Pattern[str]) -> Iterator[tuple[re.Match[str], bytes]]:
        number, given_name = 0, None
        # A block of zeros ends the archive.
        while (header := self._read(BLOCK)).strip(b"\0"):
            number += 1
            if number > limits.MAX_MEMBERS:
                raise self._broken(f"it has too many members (more than {limits.MAX_MEMBERS:,})")
            size, kind = self._check_header(header, number), header[156:157]
            if kind in (_PAX, _PAX_GLOBAL, _LONG_NAME):
                if size > MAX_EXTENDED_BYTES:
                    raise self._broken(f"the header of member {number:,} is too long (got {size:,} bytes)")
                extended = self._read_padded(size)
                if kind != _PAX_GLOBAL:
                    given_name = _extended_name(extended, kind) or given_name
                continue
            name, given_name = given_name or _plain_name(header), None
            self._check_name(name)
            if kind not in (*_REGULAR, _FOLDER):
                what = _REFUSED.get(kind, f"of an unknown kind {kind!r}")
                raise self._broken(f"a member is {what} (got name={shorten(name)})")
            match = wanted.fullmatch(name) if kind != _FOLDER else None
            if match is None:
                self._skip(size)
                continue
            if size >= limits.MAX_FIELD_BYTES:
                raise field_too_large(f"{self.where}, {name}")
            yield match, self._read_padded(size)

    def _check_header(self, header: bytes, number: int) -> int:
        """The size that a header declares, after its checksum has been compared."""
        stored = header[148:156].strip(b" \0")
        # The field itself counts as eight blanks.
        actual = sum(header) - sum(header[148:156]) + 8 * 32
        if not _OCTAL.fullmatch(stored) or int(stored, 8) != actual:
            raise self._broken(f"the header of member {number:,} is damaged")
        size = header[124:136].strip(b" \0") or b"0"
        # Sizes beyond 8 GB are written in binary, which is no octal number.
        if not _OCTAL.fullmatch(size):
            raise self._broken(f"member {number:,} declares an impossible size")
        return int(size, 8)

    def _check_name(self, name: str) -> None:
        if name.startswith("/") or "\\" in name or (".." in name and ".." in name.split("/")):
            raise self._broken(f"a member's name leads outside the archive (got name={shorten(name)})")

    def _read_padded(self, size: int) -> bytes:
        return self._read(size + -size % BLOCK)[:size]

    def _skip(self, size: int) -> None:
        left = size + -size % BLOCK
        while left:
            left -= len(self._read(min(left, 1 << 20)))

    def _read(self, size: int) -> bytes:
        payload = self._read_some(size)
        if len(payload) < size:
            raise EOFError("the archive ends without its end mark")
        return payload

    def _read_some(self, size: int) -> bytes:
        payload = self._stream.read(size)
        self._unpacked_bytes += len(payload)
        unpacked = self._unpacked_bytes
        dense = unpacked > limits.RATIO_FLOOR_BYTES and unpacked > limits.MAX_RATIO * self._packed_bytes
        if dense or unpacked > limits.MAX_UNPACKED_BYTES:
            raise self._broken(f"it unfolds too much (got {unpacked:,} bytes out of {self._packed_bytes:,})")
        return payload

    def _broken(self, what: str) -> DataError:
        return DataError(
            self.where,
            what,
            expected="the archive of IMDb's reviews as its authors publish it",
            action="download aclImdb_v1.tar.gz again; nothing was unpacked",
        )


def _plain_name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0]
    # GNU's own format uses the prefix's place for other things.
    if header[257:265] == b"ustar\x0000" and prefix:
        name = prefix + b"/" + name
    return name.decode("utf-8", "replace")


def _extended_name(payload: bytes, kind: bytes) -> str | None:
    """The name that an extended header gives to the next member; None when it gives none."""
    if kind == _LONG_NAME:
        return payload.split(b"\0", 1)[0].decode("utf-8", "replace")
    found = None
    while match := re.match(rb"([0-9]{1,6}) ", payload):
        length = int(match[1])
        if not match.end() < length <= len(payload):
            break
        key, _, value = payload[match.end() : length - 1].partition(b"=")
        if key == b"path":
            found = value.decode("utf-8", "replace")
        payload = payload[length:]
    return found
