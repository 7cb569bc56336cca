"""Whether two models differ on the same test items, and how small a difference could have been seen.

Two questions hide in "which is better". For single runs: are these two *trained models* right on different
shares of items? McNemar's exact test answers, and knows nothing of seeds. For several runs: would the
*architectures* differ again, with other seeds and on other items? Then both are sampled, runs and items.

A bootstrap that resamples runs and items together has, for a mean, a closed form, so nothing need be drawn;
and two faults that matter here. With few seeds it takes the spread between runs for less than it is (half
of it with two, a third less with three) and has normal tails: where seeds matter, a model is called different
from itself in one study of five. And it counts the disagreement between runs of one model twice, in the
spread of runs and in the spread of items. Here the spread of runs is unbiased, with Student's t for its
degrees of freedom, and the disagreement enters once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unrolled.errors import UsageError
from unrolled.types import BoolArray, DoubleArray

LEVEL = 0.05
POWER = 0.8

Method = Literal["mcnemar", "seeds_and_items"]
Scope = Literal["trained_models", "architectures"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of one model minus that of another, on the same test items.

    Args:
        mean: the difference observed, as a share of the items.
        interval: its 95% interval.
        p_value: two-sided; how often chance alone would show a difference as large.
        num_runs: runs of the first and of the second.
        method: "mcnemar" for one run of each, exact, over items; "seeds_and_items" otherwise.
        scope: what the verdict is about: "architectures" when seed noise is in it, "trained_models" when
            a model with randomness has a single run, whose seed noise nobody can know.
        standard_error: of ``mean``.
        freedom: degrees of freedom of ``standard_error``; infinite for single runs.
    """

    mean: float
    interval: tuple[float, float]
    p_value: float
    num_runs: tuple[int, int]
    method: Method
    scope: Scope
    standard_error: float
    freedom: float

    @property
    def is_real(self) -> bool:
        """Whether chance is an unlikely explanation, at the 5% level."""
        return self.p_value < LEVEL

    def smallest_detectable(self, *, level: float = LEVEL) -> float:
        """The true difference that a study like this one finds in 80% of cases, at a two-sided ``level``."""
        from scipy.stats import t

        return float((t.ppf(1 - level / 2, self.freedom) + t.ppf(POWER, self.freedom)) * self.standard_error)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one model, as comparisons need them.

    Args:
        shares: float64, shape (items,); the share of runs that are right on each item.
        num_runs: how many.
        deterministic: whether a second run would be the same; a single run then says all.
        spread: variance of a run's accuracy from seed to seed; 0 when deterministic or a single run.
        freedom: degrees of freedom of ``spread``.
        disagreement: the part of ``spread`` that runs' disagreement on single items explains by itself.
    """

    shares: DoubleArray
    num_runs: int
    deterministic: bool
    spread: float
    freedom: float
    disagreement: float

    @property
    def mean(self) -> float:
        """Accuracy over runs and items."""
        return float(self.shares.mean())

    @property
    def knows_seeds(self) -> bool:
        """Whether the noise of seeds is known, or known to be none."""
        return self.deterministic or self.num_runs > 1


def describe_runs(right: BoolArray, *, deterministic: bool = False) -> Runs:
    """What ``right`` (bool, (runs, items)) says of a model's accuracy and of its spread over seeds.

    Runs that disagree on single items must scatter in accuracy at least as much as that disagreement
    implies; fewer scatter less only by luck, so that figure is the floor of the spread. So is one item.
    """
    num_runs, num_items = right.shape
    shares = right.mean(axis=0, dtype=np.float64)
    if num_runs < 2 or deterministic:
        return Runs(shares, num_runs, deterministic, 0.0, np.inf, 0.0)
    disagreement = float((shares * (1 - shares)).mean()) * num_runs / (num_runs - 1) / num_items
    spread = float(right.mean(axis=1, dtype=np.float64).var(ddof=1))
    spread = max(spread, disagreement, num_items**-2)
    return Runs(shares, num_runs, deterministic, spread, num_runs - 1.0, disagreement)


def compare_accuracy(first: BoolArray, second: BoolArray) -> Difference:
    """How much more often ``first`` is right than ``second``, and whether that can be chance.

    Args:
        first: bool, shape (seeds, items); whether each run of the first model got each item right.
        second: bool, shape (seeds, items); the same for the second, items in the same order.

    Raises:
        UsageError: the two do not share their items.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not first.size:
        raise UsageError(
            "compare_accuracy",
            f"shapes do not fit (got first={first.shape}, second={second.shape})",
            expected="(seeds, items) each, with the same items",
        )
    return compare_runs(describe_runs(first), describe_runs(second))


def compare_runs(first: Runs, second: Runs) -> Difference:
    """As :func:`compare_accuracy`, for runs that were described before."""
    if first.num_runs == second.num_runs == 1:
        return _compare_single(first, second)
    from scipy.stats import t

    gaps = first.shares - second.shares
    mean = float(gaps.mean())
    num_items = len(gaps)
    over_items = float(gaps.var(ddof=1)) / num_items if num_items > 1 else 0.0
    # What runs of one model disagree on is in the spread over items too; it is to count once.
    over_items -= first.disagreement / first.num_runs + second.disagreement / second.num_runs
    parts = [(max(over_items, 0.0), num_items - 1.0)]
    parts += [(model.spread / model.num_runs, model.freedom) for model in (first, second)]
    error, freedom = _combine(parts)
    p_value = float(2 * t.sf(abs(mean) / error, freedom))
    half = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    return Difference(
        mean,
        (mean - half, mean + half),
        p_value,
        (first.num_runs, second.num_runs),
        "seeds_and_items",
        _scope(first, second),
        error,
        freedom,
    )


def _combine(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """The standard error of a sum of independent parts (variance, freedom), and its degrees of freedom.

    Satterthwaite, "An Approximate Distribution of Estimates of Variance Components" (1946).
    """
    total = sum(variance for variance, _ in parts)
    doubt = sum(variance**2 / freedom for variance, freedom in parts if variance > 0)
    return float(np.sqrt(total)), float(total**2 / doubt) if doubt > 0 else np.inf


def _compare_single(first: Runs, second: Runs) -> Difference:
    """One run of each: McNemar's exact test on the items that only one of the two gets right.

    The interval is Agresti and Min's ("Simple Improved Confidence Intervals for Comparing Matched
    Proportions", 2005): half an item added to each cell, which holds its level where few items differ.
    """
    from scipy.stats import binomtest, norm

    gaps = first.shares - second.shares
    num_items = len(gaps)
    only_first, only_second = int((gaps > 0).sum()), int((gaps < 0).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    raised = num_items + 2
    centre = (only_first - only_second) / raised
    error = float(np.sqrt((differing + 1) / raised - centre**2) / np.sqrt(raised))
    half = float(norm.ppf(1 - LEVEL / 2)) * error
    return Difference(
        float(gaps.mean()),
        (centre - half, centre + half),
        p_value,
        (1, 1),
        "mcnemar",
        _scope(first, second),
        error,
        np.inf,
    )


def _scope(first: Runs, second: Runs) -> Scope:
    return "architectures" if first.knows_seeds and second.knows_seeds else "trained_models"
