"""Kernels as targets of XLA custom calls: compiled once on a machine, loaded from disk afterwards."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from unrolled.cache import cache_folder

KERNELS = ("lstm", "gru", "gru_reset_before", "simple_rnn")


def cache_directory() -> Path:
    """Where compiled kernels are kept: a folder that changes with any line of this package.

    numba checks only the one file that a function stands in, and these functions call each other across
    files. ``NUMBA_CACHE_DIR`` is respected.
    """
    from numba.core import config

    sha = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    root = Path(config.CACHE_DIR) if config.CACHE_DIR else cache_folder("kernels")
    return root / sha.hexdigest()[:16]


@contextmanager
def _caching_in(directory: Path) -> Iterator[None]:
    """Has numba keep what is compiled inside in ``directory``, and leaves its setting as it was."""
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(directory)
    try:
        yield
    finally:
        config.CACHE_DIR = before


@cache
def _register(kernel: str) -> tuple[Any, ...]:
    """Compiles or loads one kernel and registers it; the callbacks, which must outlive every program."""
    from numba import cfunc, types

    from unrolled.kernels import bridge

    module = import_module(f"unrolled.kernels.{kernel}")
    callbacks = []
    with _caching_in(cache_directory()):
        for direction in ("forward", "backward"):
            handler = getattr(module, f"handle_{direction}", None)
            if handler is None:
                continue
            callback = cfunc(types.intp(types.voidptr), cache=True, error_model="numpy")(handler)
            bridge.register(f"unrolled_{kernel}_{direction}", callback.address)
            callbacks.append(callback)
    return tuple(callbacks)


@cache
def unavailable_because() -> str | None:
    """Why no kernel can be called in this process, after one warning; None when they can."""
    from unrolled.kernels.bridge import header_problem

    problem = header_problem()
    if problem is not None:
        warnings.warn(
            f"The fused recurrent kernels are off, Keras' own loops are used instead: {problem}",
            RuntimeWarning,
            stacklevel=2,
        )
    return problem


def load(kernel: str) -> None:
    """Makes the custom-call targets of ``kernel`` ("lstm", …) available; at once after the first time."""
    _register(kernel)
