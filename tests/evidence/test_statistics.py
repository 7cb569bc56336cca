"""Intervals that cover, and a comparison that rarely cries wolf."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.errors import UsageError
from unrolled.evidence.evaluation import wilson_interval
from unrolled.evidence.statistics import compare_accuracy, estimate_mean


def test_the_interval_is_students() -> None:
    found = estimate_mean([0.80, 0.90, 0.85])
    # Mean 0.85, standard deviation 0.05, t(0.975; 2) = 4.302653.
    half = 4.302653 * 0.05 / np.sqrt(3)
    assert found.mean == pytest.approx(0.85)
    assert found.interval == pytest.approx((0.85 - half, 0.85 + half), abs=1e-6)
    assert estimate_mean([0.7]).interval is None
    with pytest.raises(UsageError, match="no values"):
        estimate_mean([])


def test_intervals_cover_at_their_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    means = [estimate_mean(list(rng.normal(0.8, 0.02, 4))).interval for _ in range(800)]
    covered = np.mean([low <= 0.8 <= high for low, high in means if low is not None])
    assert 0.93 <= covered <= 0.97
    shares = rng.binomial(120, 0.9, 800) / 120
    covered = np.mean([low <= 0.9 <= high for low, high in (wilson_interval(s, 120) for s in shares)])
    assert 0.92 <= covered <= 0.98


def test_a_model_against_its_like_is_rarely_called_different() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for trial in range(60):
        easy = rng.random(400) < 0.8
        draws = [easy ^ (rng.random((3, 400)) < 0.1) for _ in range(2)]
        alarms += compare_accuracy(*draws, seed=trial).is_real
    assert alarms <= 6, "5% of 60 trials, and room for chance"


def test_a_real_difference_is_found_and_measured() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random((3, 3000)) < 0.90, rng.random((3, 3000)) < 0.86
    found = compare_accuracy(first, second)
    assert found.is_real
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.interval[0] < 0.04 < found.interval[1]
    assert found.num_runs == (3, 3)
    mirrored = compare_accuracy(second, first)
    assert mirrored.mean == -found.mean


def test_a_lucky_seed_is_not_called_an_architecture() -> None:
    # One of three runs of the first model collapsed: over items alone the gap would look certain.
    rng = np.random.default_rng(3)
    first = np.stack([rng.random(2000) < rate for rate in (0.88, 0.88, 0.60)])
    second = np.stack([rng.random(2000) < 0.88 for _ in range(3)])
    assert not compare_accuracy(second, first).is_real


def test_other_items_are_refused() -> None:
    with pytest.raises(UsageError, match="shapes do not fit"):
        compare_accuracy(np.ones((2, 3), bool), np.ones((2, 4), bool))
