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
