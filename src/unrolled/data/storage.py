"""Files that are whole or absent: encoded data sets as plain arrays that map from disk."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import DataError, MachineError
from unrolled.types import EncodedDataset, EncodedSplit, Ragged

FORMAT = "unrolled.encoded/1"
META = "meta.json"
PARTS = ("train", "validation", "test")
ARRAYS: dict[str, np.dtype[Any]] = {
    "values": np.dtype(np.int32),
    "offsets": np.dtype(np.int64),
    "labels": np.dtype(np.int32),
}


def write_atomically(path: Path, payload: bytes) -> None:
    """Leaves ``path`` either as it was or holding exactly ``payload``, whatever happens in between.

    Raises:
        MachineError: the disk refuses; nothing but the old file is left behind.
    """
    with replace_atomically(path) as stream:
        stream.write(payload)


@contextmanager
def replace_atomically(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of ``path`` when the block ends well, and vanishes otherwise.

    Raises:
        MachineError: the disk refuses; nothing but the old file is left behind.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp opens for the owner alone; the finished file follows the user's own mask.
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def save_encoded(encoded: EncodedDataset, folder: Path) -> None:
    """Writes ``encoded`` into ``folder``: one .npy file per array, then ``meta.json``.

    Array files carry their digest in their name and ``meta.json`` comes last, so that a run killed in
    the middle leaves the data set that was there before whole. Parts that are one object stay one.

    Raises:
        MachineError: the disk refuses.
    """
    folder = Path(folder)
    previous = _listed_files(folder / META)
    files: dict[str, dict[str, str]] = {}
    same: dict[str, str] = {}
    splits = {name: getattr(encoded, name) for name in PARTS}
    for name, split in splits.items():
        twin = next((other for other in files if splits[other] is split), None)
        if twin is not None:
            same[name] = twin
            continue
        arrays = {"values": split.tokens.values, "offsets": split.tokens.offsets, "labels": split.labels}
        files[name] = {kind: _write_array(folder, arrays[kind], dtype) for kind, dtype in ARRAYS.items()}
    meta = {
        "format": FORMAT,
        "name": encoded.name,
        "classes": list(encoded.classes),
        "vocabulary_size": encoded.vocabulary_size,
        "sha256": encoded.sha256,
        "notices": list(encoded.notices),
        "best_accuracy": encoded.best_accuracy,
        "files": files,
        "same": same,
    }
    write_atomically(folder / META, json.dumps(meta, ensure_ascii=False, indent=1).encode())
    for digest in previous - _digests(files):
        (folder / f"{digest}.npy").unlink(missing_ok=True)


def load_encoded(folder: Path) -> EncodedDataset:
    """The data set that :func:`save_encoded` wrote, its arrays mapped read-only from disk.

    Every file is hashed before any of it is parsed, and nothing is ever unpickled.

    Raises:
        DataError: a file is missing, altered or cut short, or is no encoded data set at all.
        MachineError: the disk fails while reading.
    """
    folder = Path(folder)
    meta = _read_meta(folder / META)
    try:
        splits: dict[str, EncodedSplit] = {}
        for name in PARTS:
            if name in meta["same"]:
                splits[name] = splits[meta["same"][name]]
                continue
            arrays = {k: _read_array(folder, meta["files"][name][k], dtype) for k, dtype in ARRAYS.items()}
            splits[name] = EncodedSplit(Ragged(arrays["values"], arrays["offsets"]), arrays["labels"])
        return EncodedDataset(
            name=meta["name"],
            classes=tuple(meta["classes"]),
            vocabulary_size=meta["vocabulary_size"],
            sha256=meta["sha256"],
            notices=tuple(meta["notices"]),
            best_accuracy=meta["best_accuracy"],
            **splits,
        )
    except (KeyError, TypeError) as error:
        raise _damaged(folder / META, f"a field is missing or of the wrong kind ({error})") from error


def _write_array(folder: Path, array: NDArray[Any], dtype: np.dtype[Any]) -> str:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, dtype), allow_pickle=False)
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest()
    write_atomically(folder / f"{digest}.npy", payload)
    return digest


def _read_array(folder: Path, digest: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    # The name comes from a file: only a digest may become part of a path.
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise _damaged(folder / META, "a digest is not 64 hexadecimal digits")
    path = folder / f"{digest}.npy"
    with _disk_errors(path):
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise _damaged(path, "the file is missing") from error
        if found != digest:
            raise _damaged(path, f"the content has changed (got sha256={found[:16]}…)")
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise _damaged(path, f"not a .npy array ({error})") from error
    if array.dtype != dtype or array.ndim != 1:
        raise _damaged(path, f"wrong kind of array (got dtype={array.dtype}, shape={array.shape})")
    # The base class behaves the same everywhere; the mapping stays alive as its base.
    return np.asarray(array)


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        with _disk_errors(path):
            meta = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            str(path),
            "the file does not exist",
            expected="a folder that holds an encoded data set",
            action="encode the data set again",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "not JSON") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else type(meta).__name__
        raise _damaged(path, f"not an encoded data set of this version (got format={found!r})")
    return meta


def _listed_files(path: Path) -> set[str]:
    """Digests that the data set at ``path`` refers to; none where there is no sound one to keep."""
    try:
        return _digests(_read_meta(path)["files"])
    except (DataError, KeyError, AttributeError, TypeError):
        return set()


def _digests(files: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {digest for arrays in files.values() for digest in arrays.values() if digest.isalnum()}


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        str(path), what, expected="the file as it was written", action="delete the folder and encode again"
    )


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise MachineError(
            str(path),
            f"the disk refuses ({error.strerror or error})",
            expected="a folder with free space that may be read and written",
            action="free space, mend the permissions, or choose another folder",
        ) from error


def _sync_folder(folder: Path) -> None:
    # Renaming is durable only once the folder itself is on disk; Windows cannot open folders.
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
