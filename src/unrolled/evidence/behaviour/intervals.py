"""Means with 95% intervals over reviews and seeds at once, and how they become curves and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.evidence.evaluation import wilson_interval
from unrolled.evidence.findings import Curve, Value
from unrolled.evidence.statistics import estimate_mean
from unrolled.types import BoolArray, DoubleArray


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its 95% interval; the ends are None for a single observation."""

    mean: float
    low: float | None
    high: float | None

    def values(self, name: str) -> dict[str, Value]:
        """The three figures as ``name``, ``name_low`` and ``name_high``."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; False where there is no interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def pool(values: DoubleArray | BoolArray) -> Interval:
    """The mean over runs and reviews, and an interval that allows for other reviews and for other seeds.

    The half widths of both sources add as squares. That counts the noise they share twice, so the interval is
    a little too wide rather than too narrow. A single run says nothing of seeds, and its interval is over
    reviews alone.

    Args:
        values: shape (runs, reviews).
    """
    numbers = np.asarray(values, np.float64)
    halves = [_half(numbers.mean(axis=0)), _half(numbers.mean(axis=1))]
    known = [half for half in halves if half is not None]
    mean = float(numbers.mean())
    if not known:
        return Interval(mean, None, None)
    half = float(np.sqrt(np.square(known).sum()))
    return Interval(mean, mean - half, mean + half)


def pool_share(right: BoolArray | DoubleArray) -> Interval:
    """As :func:`pool` for a share, whose interval over reviews is Wilson's: it stays true near 0 and 1.

    Args:
        right: bool, or means of bools, shape (runs, reviews).
    """
    numbers = np.asarray(right, np.float64)
    mean = float(numbers.mean())
    low, high = wilson_interval(mean, numbers.shape[1])
    seeds = _half(numbers.mean(axis=1)) or 0.0
    return Interval(
        mean,
        max(0.0, mean - float(np.hypot(mean - low, seeds))),
        min(1.0, mean + float(np.hypot(high - mean, seeds))),
    )


def _half(values: NDArray[np.float64]) -> float | None:
    interval = estimate_mean(values.tolist()).interval
    return None if interval is None else (interval[1] - interval[0]) / 2


def to_curve(x_label: str, y_label: str, x: Sequence[float], points: Sequence[Interval]) -> Curve:
    """A curve through ``points`` at the positions ``x``, with their intervals."""
    return Curve(
        x_label=x_label,
        y_label=y_label,
        x=tuple(float(place) for place in x),
        y=tuple(point.mean for point in points),
        low=tuple(point.low for point in points),
        high=tuple(point.high for point in points),
    )
