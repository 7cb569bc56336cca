"""Adam in one pass over weights, moments and gradient.

Kingma and Ba (2015) in Keras' order: ``m += (g - m)(1 - β₁)``, ``v += (g² - v)(1 - β₂)``,
``w -= α m / (√v + ε)``. A step moves 28 bytes a weight and computes next to nothing, so what counts is that
every number is read once and written once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.kernels.bridge import (
    BUFFER_DIMENSIONS,
    BUFFER_RANK,
    address_of,
    argument,
    floats1,
    result,
    word,
)
from unrolled.kernels.compiled import compiled
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.lanes import Lanes
from unrolled.kernels.products import start_of
from unrolled.kernels.tasks import entry

# Numbers in a stretch: the rows of constants that go with it stay in the first-level cache.
STRETCH = 1024


def _update(
    w: Lanes, m: Lanes, v: Lanes, g: Lanes, alpha: Lanes, first: Lanes, second: Lanes, epsilon: Lanes
) -> tuple[Lanes, ...]:
    m = m + (g - m) * first
    v = v + (g * g - v) * second
    return w - m * alpha / (v.square_root() + epsilon), m, v


_step = elementwise("adam", _update, 8)


@compiled
def _count_numbers(buffer: int) -> int:
    """The numbers in an array of any rank."""
    count = np.int64(1)
    for axis in range(word(buffer, BUFFER_RANK)):
        count *= word(word(buffer, BUFFER_DIMENSIONS), 8 * axis)
    return count  # type: ignore[return-value]


@compiled
def forward(frame: int) -> None:
    """Runs the step: the arguments and results of one custom call.

    Arguments: weights, momentum, velocity and gradient, of one shape, and the constants α, 1 - β₁, 1 - β₂,
    ε. Results: weights, momentum and velocity, which may lie where the arguments do. Of the arrays, whose
    rank may be any, only the number of their numbers and where they begin is read.
    """
    size = _count_numbers(argument(frame, 0))
    w, m, v = floats1(argument(frame, 0)), floats1(argument(frame, 1)), floats1(argument(frame, 2))
    g, constants = floats1(argument(frame, 3)), floats1(argument(frame, 4))
    new_w, new_m, new_v = floats1(result(frame, 0)), floats1(result(frame, 1)), floats1(result(frame, 2))
    spread = np.empty((4, STRETCH), np.float32)
    for place in range(4):
        spread[place, :] = constants[place]
    for first in range(0, size, STRETCH):
        count, at, alpha = min(STRETCH, size - first), first * 4, start_of(spread)
        sources = (start_of(w) + at, start_of(m) + at, start_of(v) + at, start_of(g) + at)
        numbers = (alpha, alpha + STRETCH * 4, alpha + 2 * STRETCH * 4, alpha + 3 * STRETCH * 4)
        targets = (start_of(new_w) + at, start_of(new_m) + at, start_of(new_v) + at)
        _step(count, sources + numbers + targets)


_enter_forward = entry("adam_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))
