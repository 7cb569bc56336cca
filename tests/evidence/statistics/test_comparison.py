"""Intervals that cover, comparisons that rarely cry wolf, and a reach that is as stated."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from tests.evidence.statistics.simulation import draw_items, draw_runs, resample
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


def test_single_runs_are_compared_by_mcnemars_exact_test() -> None:
    # 9 items only the first gets right, 2 only the second: P(at most 2 or at least 9 of 11 coins).
    first = np.array([[1] * 9 + [0] * 2 + [1] * 40 + [0] * 9], bool)
    second = np.array([[0] * 9 + [1] * 2 + [1] * 40 + [0] * 9], bool)
    found = compare_accuracy(first, second)
    assert found.p_value == pytest.approx(2 * sum(comb(11, k) for k in range(3)) / 2**11)
    assert (found.method, found.scope, found.num_runs) == ("mcnemar", "trained_models", (1, 1))
    assert found.mean == pytest.approx(7 / 60)
    # Agresti and Min: half an item in each cell, 9.5 against 2.5 of 62.
    centre = 7 / 62
    half = 1.959964 * np.sqrt((12 / 62 - centre**2) / 62)
    assert found.interval == pytest.approx((centre - half, centre + half), abs=1e-6)
    twin = compare_accuracy(first, first)
    assert twin.p_value == 1.0
    assert twin.interval[0] < 0 < twin.interval[1]


@pytest.mark.parametrize(
    ("num_runs", "seed_noise"), [(1, 0.0), (2, 0.3), (3, 0.0), (3, 0.1), (3, 0.4), (5, 0.2)]
)
def test_a_model_against_itself_is_rarely_called_different(num_runs: int, seed_noise: float) -> None:
    rng = np.random.default_rng([1, num_runs, int(100 * seed_noise)])
    trials, alarms = 600, 0
    for _ in range(trials):
        items = draw_items(rng, 400)
        both = [draw_runs(rng, items, num_runs, seed_noise=seed_noise) for _ in range(2)]
        found = compare_accuracy(*both)
        alarms += found.is_real
        # The interval and the test say the same, but for the item and a half that Agresti and Min add.
        if num_runs > 1:
            assert found.is_real != (found.interval[0] <= 0 <= found.interval[1])
    # 5% of 600, and two and a half standard errors of chance.
    assert alarms <= 30 + 2.5 * np.sqrt(600 * 0.05 * 0.95)


def test_the_plain_bootstrap_would_cry_wolf() -> None:
    """Why the spread of runs is not left to resampling: two runs know too little of it."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(80):
        items = draw_items(rng, 400)
        first, second = (draw_runs(rng, items, 2, seed_noise=0.4) for _ in range(2))
        drawn = resample(rng, first, second, 200)
        alarms += np.mean(np.abs(drawn - drawn.mean()) >= abs(first.mean() - second.mean())) < 0.05
    assert alarms > 8, "twice the nominal rate, at least"


@pytest.mark.parametrize(("num_runs", "seed_noise"), [(1, 0.0), (3, 0.2), (5, 0.2)])
def test_intervals_of_a_difference_cover_it(num_runs: int, seed_noise: float) -> None:
    rng = np.random.default_rng([3, num_runs])
    # What the two architectures are worth in truth: many runs on many items.
    plenty = draw_items(rng, 200_000)
    worth = [draw_runs(rng, plenty, 20, skill=skill, seed_noise=seed_noise).mean() for skill in (0.4, 0.0)]
    truth = worth[0] - worth[1]
    covered = 0
    for _ in range(500):
        items = draw_items(rng, 400)
        runs = [draw_runs(rng, items, num_runs, skill=skill, seed_noise=seed_noise) for skill in (0.4, 0.0)]
        low, high = compare_accuracy(*runs).interval
        covered += low <= truth <= high
    assert 0.93 <= covered / 500 <= 0.99


def test_the_error_is_that_of_the_bootstrap_with_unbiased_runs() -> None:
    """With many runs the faults of the bootstrap shrink to the disagreement counted twice, small here."""
    rng = np.random.default_rng(4)
    items = draw_items(rng, 500)
    first = draw_runs(rng, items, 40, skill=0.5, seed_noise=0.3, run_noise=0.1)
    second = draw_runs(rng, items + 0.8 * rng.normal(size=500), 40, seed_noise=0.3, run_noise=0.1)
    drawn = resample(rng, first, second, 1500)
    assert compare_accuracy(first, second).standard_error == pytest.approx(drawn.std(), rel=0.08)


def test_a_real_difference_is_found_and_measured() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random((3, 3000)) < 0.90, rng.random((3, 3000)) < 0.86
    found = compare_accuracy(first, second)
    assert found.is_real
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.interval[0] < 0.04 < found.interval[1]
    assert (found.num_runs, found.method, found.scope) == ((3, 3), "seeds_and_items", "architectures")
    mirrored = compare_accuracy(second, first)
    assert (mirrored.mean, mirrored.p_value) == (-found.mean, found.p_value)


def test_a_lucky_seed_is_not_called_an_architecture() -> None:
    # One of three runs of the first model collapsed: over items alone the gap would look certain.
    rng = np.random.default_rng(3)
    first = np.stack([rng.random(2000) < rate for rate in (0.88, 0.88, 0.60)])
    second = np.stack([rng.random(2000) < 0.88 for _ in range(3)])
    assert not compare_accuracy(second, first).is_real


def test_runs_that_scatter_less_than_they_disagree_were_lucky() -> None:
    # Three runs of equal accuracy that disagree on many items: their spread cannot be nothing.
    right = np.zeros((3, 90), bool)
    for run in range(3):
        right[run, 20 * run : 20 * run + 40] = True
    other = np.ones((3, 90), bool)
    found = compare_accuracy(other, right)
    share = right.mean(axis=0)
    floor = (share * (1 - share)).mean() * 3 / 2 / 90
    assert found.standard_error >= np.sqrt(floor / 3)


def test_one_run_against_several_is_about_trained_models() -> None:
    rng = np.random.default_rng(5)
    items = draw_items(rng, 500)
    found = compare_accuracy(draw_runs(rng, items, 1), draw_runs(rng, items, 3))
    assert (found.method, found.scope) == ("seeds_and_items", "trained_models")


@pytest.mark.parametrize("num_runs", [1, 3])
def test_the_smallest_detectable_difference_is_found_in_eight_of_ten_studies(num_runs: int) -> None:
    rng = np.random.default_rng([6, num_runs])
    # A single run knows nothing of seeds: there is to be nothing to know.
    skill, seed_noise = {1: (0.235, 0.0), 3: (0.36, 0.1)}[num_runs]
    trials = 400
    plenty = draw_items(rng, 200_000)
    worth = [draw_runs(rng, plenty, 10, skill=value, seed_noise=seed_noise).mean() for value in (skill, 0.0)]
    truth = worth[0] - worth[1]
    found, stated = 0, []
    for _ in range(trials):
        items = draw_items(rng, 1000)
        both = [draw_runs(rng, items, num_runs, skill=value, seed_noise=seed_noise) for value in (skill, 0.0)]
        result = compare_accuracy(*both)
        found += result.is_real
        stated.append(result.smallest_detectable())
    # The difference planted is the one stated, and it is found as often as stated.
    assert np.median(stated) == pytest.approx(truth, rel=0.15)
    assert 0.7 <= found / trials <= 0.9


def test_other_items_are_refused() -> None:
    with pytest.raises(UsageError, match="shapes do not fit"):
        compare_accuracy(np.ones((2, 3), bool), np.ones((2, 4), bool))
