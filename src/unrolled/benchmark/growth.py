"""How time and memory grow with length, units and batch: exponents with their error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Exponent:
    """A power law fitted to measured points.

    Args:
        exponent: the slope of log y over log x: 1 is linear, 2 quadratic.
        standard_error: of the slope, from how far points lie off the line; None for two points.
    """

    exponent: float
    standard_error: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """y = base + slope · x, by least squares.

    Args:
        base: y at 0.
        slope: y for each unit of x.
        explained: the share of the variance of y that the line explains, at most 1.
    """

    base: float
    slope: float
    explained: float


@dataclass(frozen=True, slots=True)
class Point:
    """One size, measured in a process of its own.

    Args:
        size: of what grows.
        step_seconds: of a training step, median.
        peak_bytes: of the process.
        resting_bytes: of the process with its network built, before anything was compiled or computed.
    """

    size: int
    step_seconds: float
    peak_bytes: int
    resting_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """One model along one axis, everything else held.

    Args:
        model: registry name.
        axis: "length", "units" or "batch".
        held: the sizes of the other axes.
        points: rising.
        time: exponent of the step's time over all points.
        late_time: the same over the upper half, where fixed costs no longer hide the growth.
        memory: the peak as a line over the size.
    """

    model: str
    axis: str
    held: dict[str, int]
    points: tuple[Point, ...]
    time: Exponent
    late_time: Exponent
    memory: Line


AXES: dict[str, tuple[int, ...]] = {
    "length": (50, 100, 200, 500, 1000, 2000, 4000),
    "units": (32, 64, 128, 256, 512),
    "batch": (1, 8, 32, 128, 512),
}
HELD = {"length": 500, "units": 100, "batch": 128}


def fit_exponent(sizes: Sequence[float], values: Sequence[float]) -> Exponent:
    """The power law through the points, by least squares of the logarithms.

    Args:
        sizes: positive, two different ones at least.
        values: positive, one for each size.
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float))
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread
    if len(x) < 3:
        return Exponent(slope, None)
    residuals = y - y.mean() - slope * centred
    return Exponent(slope, math.sqrt(float(residuals @ residuals) / (len(x) - 2) / spread))


def fit_line(sizes: Sequence[float], values: Sequence[float]) -> Line:
    """The straight line through the points, by least squares."""
    x, y = np.asarray(sizes, float), np.asarray(values, float)
    centred = x - x.mean()
    slope = float(centred @ y) / float(centred @ centred)
    residuals = y - y.mean() - slope * centred
    total = float((y - y.mean()) @ (y - y.mean()))
    explained = 1.0 if total == 0 else 1.0 - float(residuals @ residuals) / total
    return Line(float(y.mean() - slope * x.mean()), slope, explained)


def summarise_growth(model: str, axis: str, held: dict[str, int], points: Sequence[Point]) -> Growth:
    """The fits over measured points, two at least."""
    ordered = sorted(points, key=lambda point: point.size)
    sizes = [point.size for point in ordered]
    seconds = [point.step_seconds for point in ordered]
    late = min(len(sizes) // 2, len(sizes) - 2)
    return Growth(
        model,
        axis,
        held,
        tuple(ordered),
        fit_exponent(sizes, seconds),
        fit_exponent(sizes[late:], seconds[late:]),
        fit_line(sizes, [point.peak_bytes for point in ordered]),
    )


def point_settings(axis: str, size: int) -> dict[str, Any]:
    """Length, units and batch of a point: those that are held, and ``size`` in the place of ``axis``."""
    return {**HELD, axis: size}
