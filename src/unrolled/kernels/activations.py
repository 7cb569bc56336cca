"""The two functions every gate needs, accurate to a few units in the last place of float32.

``tanh`` is a rational function in x², fitted to the least largest relative error on [-9, 9] (2e-8 before
rounding), beyond which float32 knows only ±1. ``sigmoid`` goes through the exponential, so that it keeps its
relative accuracy far down the tail, where ``(1 + tanh(x / 2)) / 2`` has none left.
"""

from __future__ import annotations

from unrolled.kernels.lanes import Lanes

# Falling powers of x².
_TANH_TOP = (1.340570247e-8, 2.06457664e-5, 3.497814131e-3, 0.1338289969, 0.9999999803)
_TANH_BOTTOM = (7.797397633e-7, 3.289276899e-4, 2.588544963e-2, 0.4671621587, 1.0)
_TANH_LIMIT = 9.0

# exp on half a binary step either side of 0, falling powers; relative error 3e-9 before rounding.
_EXP = (1.394111894e-3, 8.375134775e-3, 4.166635277e-2, 0.1666641541, 0.5000000047, 1.000000038, 1.0)
_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first is exact in few bits, so that n * ln 2 is exact before it is subtracted.
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440054690583e-4
_ROUNDER = 12582912.0
_EXP_LIMIT = 87.0


def exp(x: Lanes) -> Lanes:
    """e to the x, x held within ±87 (beyond, float32 overflows)."""
    x = x.clamp(-_EXP_LIMIT, _EXP_LIMIT)
    steps = x.times_plus(_LOG2_E, _ROUNDER)
    number = steps - _ROUNDER
    rest = number.times_plus(-_LN2_LOW, number.times_plus(-_LN2_HIGH, x))
    return rest.polynomial(_EXP) * steps.power_of_two()


def sigmoid(x: Lanes) -> Lanes:
    """``1 / (1 + exp(-x))``."""
    return 1.0 / (1.0 + exp(x * -1.0))


def tanh(x: Lanes) -> Lanes:
    """The hyperbolic tangent."""
    x = x.clamp(-_TANH_LIMIT, _TANH_LIMIT)
    square = x * x
    return x * square.polynomial(_TANH_TOP) / square.polynomial(_TANH_BOTTOM)
