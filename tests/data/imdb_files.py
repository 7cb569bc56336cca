"""IMDb's file formats in miniature, with invented contents."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

Lists = Sequence[Sequence[int]]


def object_array(rows: Lists) -> np.ndarray:
    """Lists as the one-dimensional object array that Keras' file holds."""
    array = np.empty(len(rows), object)
    array[:] = [list(row) for row in rows]
    return array


def write_npz(path: Path, parts: Mapping[str, object]) -> Path:
    """An .npz file as ``numpy.savez`` writes it; lists of lists become object arrays."""
    arrays = {
        name: object_array(value) if name.startswith("x_") else np.asarray(value, np.int64)
        for name, value in parts.items()
    }
    np.savez_compressed(path, **arrays)
    return path


def small_parts() -> dict[str, object]:
    """Two reviews a part."""
    return {
        "x_train": [[1, 5, 300], [1, 70_000]],
        "y_train": [0, 1],
        "x_test": [[1, 2, 3, 4], []],
        "y_test": [1, 0],
    }


def write_raw_npz(path: Path, members: Mapping[str, bytes]) -> Path:
    """An .npz file with these bytes as its members, over a sound file's."""
    write_npz(path, small_parts())
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    content |= {f"{name}.npy": payload for name, payload in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, payload in content.items():
            archive.writestr(name, payload)
    return path


def npy(payload: bytes, shape: object = (2,), dtype: str = "|O") -> bytes:
    """A .npy file with this header and content."""
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}}}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + payload


def pickle_like_python_2(rows: Lists) -> bytes:
    """The pickle that NumPy on Python 2 writes for an object array of lists: the published file's kind."""
    items = b"".join(b"]" + b"".join(_integer(token) + b"a" for token in row) for row in rows)
    count = b"M" + len(rows).to_bytes(2, "little")
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03U\x01bq\x04\x87q\x05R"
        b"q\x06(K\x01"
        + count
        + b"\x85q\x07cnumpy\ndtype\nq\x08U\x02O8q\tK\x00K\x01\x87q\nRq\x0b(K\x03U\x01|q\x0cNNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tq\rb\x89]q\x0e(" + items + b"etq\x0fb."
    )


def _integer(token: int) -> bytes:
    return b"K" + bytes([token]) if token < 256 else b"J" + token.to_bytes(4, "little", signed=True)


def write_archive(path: Path, members: Iterable[tuple[tarfile.TarInfo | str, bytes]]) -> Path:
    """A gzip-compressed tar archive of these members."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for info, payload in members:
            member = tarfile.TarInfo(info) if isinstance(info, str) else info
            if member.isreg():
                member.size = len(payload)
            archive.addfile(member, io.BytesIO(payload))
    return path


def review_members(prefix: str = "aclImdb/") -> list[tuple[tarfile.TarInfo | str, bytes]]:
    """What the published archive holds, in miniature and in disorder."""
    texts = {
        "train/neg/10_2.txt": b"dull<br />and long",
        "train/neg/2_1.txt": b"not once did I laugh",
        "train/pos/0_9.txt": "a joy, caf\u00e9 and all".encode(),
        "train/unsup/0_0.txt": b"nobody rated this",
        "train/urls_pos.txt": b"http://example.org",
        "test/neg/0_3.txt": b"asleep by the second act",
        "test/pos/1_10.txt": b"go and see it",
        "README": b"read me",
    }
    return [(prefix + name, payload) for name, payload in texts.items()]


def write_review_folder(folder: Path) -> Path:
    """The unpacked archive."""
    for name, payload in review_members(""):
        file = folder / str(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(payload)
    return folder


def pack_repeatedly(block: bytes, times: int) -> bytes:
    """A gzip stream that unfolds into ``block`` many times, without ever holding it."""
    return gzip.compress(block, 6) * times
