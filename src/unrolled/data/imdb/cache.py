"""Parsed tokens kept as plain int32 arrays in the user's cache, so that a pickle is read once."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from unrolled.cache import cache_folder
from unrolled.data.imdb.npz import Part, read_parts
from unrolled.data.imdb.pins import hash_file
from unrolled.data.storage import write_atomically
from unrolled.errors import DataError, MachineError
from unrolled.types import Ragged

FORMAT = "unrolled.imdb-tokens/1"
META = "meta.json"
KIND = "imdb"
_KINDS = (("values", np.int32), ("offsets", np.int64), ("labels", np.int32))


def read_cached_parts(path: Path, *, is_known: bool) -> tuple[tuple[Part, Part], tuple[str, ...]]:
    """Train and test of ``imdb.npz`` as :func:`read_parts` gives them, parsed at most once.

    The copy is filed under the digest of the file it was made from, and is used only when the digest of
    each of its arrays is the one noted when it was made; otherwise it is made anew, and a notice says so.

    Args:
        path: the file.
        is_known: its digest is the published one.

    Returns:
        The parts, and notices on the copy.
    """
    folder = cache_folder(KIND) / f"tokens-{hash_file(path)[:32]}"
    notices: list[str] = []
    try:
        cached = _load(folder)
        if cached is not None:
            return cached, ()
    except DataError as error:
        notices.append(f"{Path(error.where).name}: {error.what}; the cached copy was made anew.")
    except OSError as error:
        notices.append(f"{folder.name}: the cached copy cannot be read ({error.strerror or error}).")
    parts = read_parts(path, is_known=is_known)
    try:
        _save(folder, parts)
    except MachineError as error:
        notices.append(f"{folder.name}: {error.what}; the next start parses the file again.")
    return parts, tuple(notices)


def _save(folder: Path, parts: tuple[Part, Part]) -> None:
    digests: dict[str, str] = {}
    for part, (tokens, labels) in zip(("train", "test"), parts, strict=True):
        arrays = {"values": tokens.values, "offsets": tokens.offsets, "labels": labels}
        for kind, dtype in _KINDS:
            buffer = io.BytesIO()
            np.save(buffer, np.ascontiguousarray(arrays[kind], dtype), allow_pickle=False)
            digests[f"{part}_{kind}.npy"] = hashlib.sha256(buffer.getbuffer()).hexdigest()
            write_atomically(folder / f"{part}_{kind}.npy", buffer.getvalue())
    # The list of digests comes last: without it there is no copy.
    meta = json.dumps({"format": FORMAT, "sha256": digests}, indent=1)
    write_atomically(folder / META, meta.encode())


def _load(folder: Path) -> tuple[Part, Part] | None:
    """The copy in ``folder``; None when there is none."""
    try:
        meta = json.loads((folder / META).read_bytes())
        digests = meta["sha256"] if meta["format"] == FORMAT else {}
        first, second = (_load_part(folder, part, digests) for part in ("train", "test"))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(str(folder / META), "it cannot be read") from None
    return first, second


def _load_part(folder: Path, part: str, digests: dict[str, str]) -> Part:
    arrays = {}
    for kind, dtype in _KINDS:
        file = folder / f"{part}_{kind}.npy"
        payload = file.read_bytes()
        if hashlib.sha256(payload).hexdigest() != digests[file.name]:
            raise DataError(str(file), "the content has changed since it was written")
        arrays[kind] = np.load(io.BytesIO(payload), allow_pickle=False).astype(dtype, copy=False)
    return Ragged(arrays["values"], arrays["offsets"]), arrays["labels"]
