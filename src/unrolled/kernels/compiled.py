"""The decorator of every function that is compiled into a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

ByteArray: TypeAlias = NDArray[np.uint8]
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """``function`` as numba compiles it when a kernel first calls it; not to be called from Python itself.

    Division does not check for zero (a check is a branch, and a branch stops vector code). The wrappers that
    would let Python call it cost a quarter of the first compilation.
    """
    made: Function = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return made


def compiled_as(name: str) -> Callable[[Function], Function]:
    """:func:`compiled` for a function that is made several times over: each under a name of its own.

    Machine code is linked by module and qualified name, and told apart by a number that every process counts
    anew. Two functions of one name that were compiled in two processes, and are loaded into a third, would be
    taken for the same.
    """

    def decorate(function: Function) -> Function:
        function.__qualname__ = f"{name}_{function.__name__}"
        return compiled(function)

    return decorate
