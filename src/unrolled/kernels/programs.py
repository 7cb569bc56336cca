"""Kernels as targets of XLA custom calls: compiled once on a machine, loaded from disk afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import Any

from unrolled.kernels.caching import cache_directory, caching

KERNELS = ("lstm", "gru", "gru_reset_before", "simple_rnn")


def _directions(kernel: str) -> dict[str, Any]:
    """What XLA calls of a kernel, by direction."""
    module = import_module(f"unrolled.kernels.{kernel}")
    found = {name: getattr(module, f"handle_{name}", None) for name in ("forward", "backward")}
    return {name: handler for name, handler in found.items() if handler is not None}


def _compile(handler: Any) -> Any:
    """The C callback of a handler, from disk where it has been compiled before."""
    from numba import cfunc, types

    from unrolled.kernels.tiles import provide_products

    provide_products()
    with caching():
        return cfunc(types.intp(types.voidptr), cache=True, error_model="numpy")(handler)


def _is_compiled(kernel: str) -> bool:
    found = cache_directory()
    return all(list(found.glob(f"**/{kernel}.handle_{name}-*.nbi")) for name in _directions(kernel))


@cache
def _register(kernel: str) -> tuple[Any, ...]:
    """Compiles or loads one kernel and registers it; the callbacks, which must outlive every program."""
    from unrolled.kernels import bridge

    callbacks = []
    for name, handler in _directions(kernel).items():
        callback = _compile(handler)
        bridge.register(f"unrolled_{kernel}_{name}", callback.address)
        callbacks.append(callback)
    return tuple(callbacks)


_asked_for: list[str] | None = None


@contextmanager
def only_asking() -> Iterator[list[str]]:
    """Has :func:`load` note the names of kernels instead: what a program needs that is only traced inside."""
    global _asked_for
    _asked_for = []
    try:
        yield _asked_for
    finally:
        _asked_for = None


def compile_aside(kernels: Iterable[str]) -> None:
    """Compiles the kernels that are not on disk yet, in a process of its own that leaves them there.

    Compiling takes hundreds of megabytes that a process that trains would not get rid of again. Where no
    process can be started, or nothing can be left on disk, :func:`load` compiles by itself.
    """
    missing = [kernel for kernel in dict.fromkeys(kernels) if not _is_compiled(kernel)]
    if not missing or not sys.executable:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with suppress(OSError):
        subprocess.run(
            [sys.executable, "-m", __name__, *missing], env=environment, capture_output=True, check=False
        )


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
    if _asked_for is not None:
        _asked_for.append(kernel)
    else:
        _register(kernel)


if __name__ == "__main__":
    for kernel in sys.argv[1:]:
        for handler in _directions(kernel).values():
            _compile(handler)
