"""A mean over seeds with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.errors import UsageError


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds.

    Args:
        mean: of ``values``.
        interval: 95% interval of the mean (Student's t); None for fewer than two values, which carry no
            information on their spread.
        values: one figure per seed.
    """

    mean: float
    interval: tuple[float, float] | None
    values: tuple[float, ...]


def estimate_mean(values: Sequence[float]) -> Estimate:
    """The mean of ``values`` with its 95% interval by Student's t.

    Raises:
        UsageError: there is no value.

    >>> estimate_mean([0.8, 0.9, 0.85]).interval
    (0.7258..., 0.9741...)
    """
    if not values:
        raise UsageError("estimate_mean", "no values (got values=[])", expected="at least one figure")
    from scipy.stats import t

    numbers = np.asarray(values, np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Estimate(mean, None, tuple(map(float, values)))
    half = float(t.ppf(0.975, len(numbers) - 1) * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return Estimate(mean, (mean - half, mean + half), tuple(map(float, values)))
