"""Where compiled kernels are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unrolled.cache import cache_folder


def _digest_sources() -> str:
    sha = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


# Taken when the package is loaded: were it upgraded under a running process, that would leave code of the old
# release where processes of the new one look.
_SOURCES = _digest_sources()


def cache_directory() -> Path:
    """Where compiled kernels are kept: a folder that changes with any line of this package.

    numba checks only the one file that a function stands in, and these functions call each other across
    files. ``NUMBA_CACHE_DIR`` is respected.
    """
    from numba.core import config

    root = Path(config.CACHE_DIR) if config.CACHE_DIR else cache_folder("kernels")
    return root / _SOURCES


@contextmanager
def caching() -> Iterator[None]:
    """Has numba keep what is compiled inside in :func:`cache_directory`, and leaves its setting as it was."""
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(cache_directory())
    try:
        yield
    finally:
        config.CACHE_DIR = before
