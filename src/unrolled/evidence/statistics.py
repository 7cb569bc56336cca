"""Intervals over seeds, and whether two models differ on the same test items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.errors import UsageError
from unrolled.types import BoolArray, DoubleArray

RESAMPLES = 2_000
_CHUNK = 100


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


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of one model minus that of another, on the same test items.

    Args:
        mean: the difference observed, as a share of the items.
        interval: 95% bootstrap interval, over items and, where there are several, over seeds.
        p_value: two-sided; how often chance alone would show a difference as large.
        num_runs: runs of the first and of the second. Seed noise of a model with one run is not in the
            interval.
    """

    mean: float
    interval: tuple[float, float]
    p_value: float
    num_runs: tuple[int, int]

    @property
    def is_real(self) -> bool:
        """Whether chance is an unlikely explanation, at the 5% level."""
        return self.p_value < 0.05


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


def compare_accuracy(first: BoolArray, second: BoolArray, *, seed: int = 0) -> Difference:
    """How much more often ``first`` is right than ``second``, and whether that can be chance.

    A bootstrap that resamples test items jointly for both models, and the seeds of each model on their
    own. Items alone would call a lucky seed an architecture; seeds alone would ignore that 1,000 other
    reviews could have been asked. (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 16.)

    Args:
        first: bool, shape (seeds, items); whether each run of the first model got each item right.
        second: bool, shape (seeds, items); the same for the second, items in the same order.
        seed: of the resampling.

    Raises:
        UsageError: the two do not share their items.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not first.size:
        raise UsageError(
            "compare_accuracy",
            f"shapes do not fit (got first={first.shape}, second={second.shape})",
            expected="(seeds, items) each, with the same items",
        )
    observed = float(first.mean() - second.mean())
    spread = _resampled(first, second, np.random.Generator(np.random.PCG64(seed)))
    low, high = np.quantile(spread, (0.025, 0.975))
    # Under "no difference" the resampled differences, moved to zero, show what chance does.
    extreme = int((np.abs(spread - spread.mean()) >= abs(observed)).sum())
    p_value = (extreme + 1) / (len(spread) + 1)
    return Difference(observed, (float(low), float(high)), p_value, (len(first), len(second)))


def _resampled(first: BoolArray, second: BoolArray, random: np.random.Generator) -> DoubleArray:
    """Bootstrap replicates of the difference, float64, shape (RESAMPLES,)."""
    num_items = first.shape[1]
    found = []
    for _ in range(RESAMPLES // _CHUNK):
        gap = _seed_means(first, random) - _seed_means(second, random)
        draws = random.poisson(1.0, (_CHUNK, num_items)).astype(np.float32)
        found.append((gap * draws).sum(axis=1) / draws.sum(axis=1))
    return np.concatenate(found).astype(np.float64)


def _seed_means(
    right: BoolArray, random: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Per replicate, the mean rightness of every item over seeds drawn with replacement."""
    num_seeds = len(right)
    draws = random.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), _CHUNK).astype(np.float32)
    return np.asarray(draws @ right.astype(np.float32) / num_seeds)
