"""Makers of .npz and tar files with one fault each. They take an empty folder and give back what to load."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from imdb_files import (
    npy,
    object_array,
    pack_repeatedly,
    pickle_like_python_2,
    review_members,
    small_parts,
    write_archive,
    write_npz,
    write_raw_npz,
)

Maker = Callable[[Path], Path]

SENTINEL = "UNROLLED_TEST_SENTINEL"
"""Environment variable with the path that a payload would create if it were run."""


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f'touch "${SENTINEL}"',)


class Evaluation:
    """Runs Python when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return eval, (f"__import__('pathlib').Path(__import__('os').environ['{SENTINEL}']).touch()",)


def npz(**changed: object) -> Maker:
    """A sound file but for these arrays; None removes one."""

    def make(folder: Path) -> Path:
        parts = {name: value for name, value in (small_parts() | changed).items() if value is not None}
        return write_npz(folder / "reviews.npz", parts)

    return make


def raw_npz(**members: bytes) -> Maker:
    """A sound file but for these members, given as bytes."""
    return lambda folder: write_raw_npz(folder / "reviews.npz", members)


def pickled(content: object, shape: object = (2,)) -> Maker:
    """A file whose training reviews are this pickle."""
    return raw_npz(x_train=npy(pickle.dumps(content, 4), shape))


def pickled_within(items: list[object], shape: object = (2,)) -> Maker:
    """A file whose training reviews are an object array with these items."""
    array = np.empty(len(items), object)
    array[:] = items
    return raw_npz(x_train=npy(pickle.dumps(array, 4), shape))


def shape_in_pickle(folder: Path) -> Path:
    """The pickle asks for an array of 10**12 items."""
    program = pickle_like_python_2([[1], [2]]).replace(
        b"M\x02\x00\x85", b"\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85"
    )
    return raw_npz(x_train=npy(program))(folder)


def allocation_in_pickle(folder: Path) -> Path:
    """The pickle calls ndarray itself, with 10**11 items."""
    program = b"\x80\x02cnumpy\nndarray\n\x8a\x05\x00\xe8vH\x17\x85\x85R."
    return raw_npz(x_train=npy(program))(folder)


def memo_in_pickle(folder: Path) -> Path:
    """The pickle files a value under memo entry four billion, for which room would be made."""
    return raw_npz(x_train=npy(b"\x80\x02]r\xff\xff\xff\xff."))(folder)


def references_in_pickle(folder: Path) -> Path:
    """Ten thousand references to one list of ten thousand tokens."""
    row = list(range(10_000))
    array = np.empty(10_000, object)
    array[:] = [row] * 10_000
    labels = npy(np.tile(np.int64([0, 1]), 5_000).tobytes(), (10_000,), "<i8")
    return raw_npz(x_train=npy(pickle.dumps(array, 4), (10_000,)), y_train=labels)(folder)


def zeros_npz(folder: Path) -> Path:
    """100 MB of zeros in 100 kB."""
    np.savez_compressed(
        folder / "reviews.npz",
        x_train=object_array([[1], [2]]),
        y_train=np.zeros(13_000_000, np.int64),
        x_test=object_array([[1]]),
        y_test=np.zeros(1, np.int64),
    )
    return folder / "reviews.npz"


def crowded_npz(folder: Path) -> Path:
    """Five thousand members."""
    with zipfile.ZipFile(folder / "reviews.npz", "w") as archive:
        for number in range(5_000):
            archive.writestr(f"{number}.npy", b"")
    return folder / "reviews.npz"


def cut(maker: Maker, keep: float = 0.5) -> Maker:
    """The first part of a file."""

    def make(folder: Path) -> Path:
        path = maker(folder)
        payload = path.read_bytes()
        path.write_bytes(payload[: int(len(payload) * keep)])
        return path

    return make


def written(payload: bytes, name: str) -> Maker:
    """A file with these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(payload)
        return folder / name

    return make


ARCHIVE = "reviews.tar.gz"


def archive_with(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", payload: bytes = b"x") -> Maker:
    """A sound archive with one more member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return lambda folder: write_archive(folder / ARCHIVE, [*review_members(), (info, payload)])


def archive(folder: Path) -> Path:
    """A sound archive."""
    return write_archive(folder / ARCHIVE, review_members())


def million_members(folder: Path) -> Path:
    """A million empty members with sound headers."""
    header = tarfile.TarInfo("aclImdb/train/pos/1_1.txt").tobuf(tarfile.USTAR_FORMAT)
    block = np.random.default_rng(0).bytes(512 * 20)
    # Incompressible content keeps the ratio honest, so that the count itself is what is refused.
    info = tarfile.TarInfo("aclImdb/filler")
    info.size = len(block)
    mixed = info.tobuf(tarfile.USTAR_FORMAT) + block + header * 1_000
    return written(pack_repeatedly(mixed, 1_000), ARCHIVE)(folder)


def gzip_bomb(folder: Path) -> Path:
    """Ten gigabytes of zeros behind one header."""
    info = tarfile.TarInfo("aclImdb/filler")
    info.size = 8 * 2**30 - 1
    header = pack_repeatedly(info.tobuf(tarfile.USTAR_FORMAT), 1)
    return written(header + pack_repeatedly(bytes(10 * 2**20), 1_000), ARCHIVE)(folder)


def altered_archive(alter: Callable[[bytearray], None]) -> Maker:
    """A sound archive whose tar stream was changed and packed again."""

    def make(folder: Path) -> Path:
        import gzip

        content = bytearray(gzip.decompress(archive(folder).read_bytes()))
        alter(content)
        return written(gzip.compress(content), ARCHIVE)(folder)

    return make


def corrupted_archive(folder: Path) -> Path:
    """A sound archive whose gzip checksum does not fit its content."""
    payload = bytearray(archive(folder).read_bytes())
    payload[-8] ^= 1
    return written(bytes(payload), ARCHIVE)(folder)
