"""The published files, each with the digest that it must have before a byte of it is parsed.

Keras publishes the token ids and the words; the archive with the texts is the authors' own. Keras pins the
word list by MD5 alone: its length is pinned beside it, and it is JSON, checked entry by entry.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from unrolled.data.tables.table import show_path
from unrolled.errors import DataError

_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A published file: its name, where it is published, its length and its digest."""

    name: str
    url: str
    num_bytes: int
    algorithm: str
    digest: str


TOKENS = KnownFile(
    "imdb.npz",
    _KERAS + "imdb.npz",
    17_464_789,
    "sha256",
    "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
)
WORDS = KnownFile(
    "imdb_word_index.json",
    _KERAS + "imdb_word_index.json",
    1_641_221,
    "md5",
    "bfafd718b763782e994055a2d397834f",
)
ARCHIVE = KnownFile(
    "aclImdb_v1.tar.gz",
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    84_125_825,
    "sha256",
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
)


def hash_file(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file's content, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def check_pin(path: Path, known: KnownFile) -> None:
    """Makes sure that ``path`` is the published file, before anything parses it.

    Raises:
        DataError: it is cut short or altered.
    """
    rule = f"the published {known.name}: {known.num_bytes:,} bytes, {known.algorithm} {known.digest}"
    remedy = f"remove {show_path(path)} and load again, or give the file by its path to read it as it is"
    size = path.stat().st_size
    if size != known.num_bytes:
        raise DataError(
            show_path(path),
            f"the file is cut short or altered (got {size:,} bytes)",
            expected=rule,
            action=remedy,
        )
    found = hash_file(path, known.algorithm)
    if found != known.digest:
        raise DataError(
            show_path(path),
            f"the file is altered (got {known.algorithm}={found})",
            expected=rule,
            action=remedy,
        )
