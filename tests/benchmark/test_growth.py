"""Exponents of known laws, and their error against a textbook's arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from unrolled.benchmark.growth import Point, fit_exponent, fit_line, summarise_growth


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 1.0, 1.7, 2.0])
def test_a_power_law_is_found_without_error(exponent: float) -> None:
    sizes = np.array([50, 100, 200, 500, 4000])
    found = fit_exponent(sizes, 3e-4 * sizes**exponent)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.standard_error == pytest.approx(0.0, abs=1e-6)


def test_the_error_is_that_of_a_regression() -> None:
    random = np.random.default_rng(0)
    sizes = np.array([1, 8, 32, 128, 512])
    values = sizes**0.9 * np.exp(random.normal(0, 0.2, len(sizes)))
    found, expected = fit_exponent(sizes, values), linregress(np.log(sizes), np.log(values))
    assert found.exponent == pytest.approx(expected.slope)
    assert found.standard_error == pytest.approx(expected.stderr)


def test_two_points_have_a_slope_and_no_error() -> None:
    found = fit_exponent([10, 100], [1, 100])
    assert (found.exponent, found.standard_error) == (pytest.approx(2.0), None)


def test_a_line_is_found() -> None:
    found = fit_line([50, 100, 400], [250, 300, 600])
    assert (found.base, found.slope, found.explained) == (
        pytest.approx(200),
        pytest.approx(1),
        pytest.approx(1),
    )
    assert fit_line([1, 2, 3], [0, 3, 0]).explained == pytest.approx(0.0)
    assert fit_line([1, 2, 3], [7, 7, 7]).explained == 1.0


def test_fixed_costs_bend_the_whole_and_not_the_upper_half() -> None:
    sizes = [50, 100, 200, 500, 1000, 2000, 4000]
    points = [Point(size, 0.1 + 1e-3 * size, 10**8 + 10**5 * size, 10**8) for size in reversed(sizes)]
    found = summarise_growth("lstm", "length", {"units": 100}, points)
    assert [point.size for point in found.points] == sizes
    assert found.time.exponent < 0.8 < found.late_time.exponent < 1.0
    assert found.memory.slope == pytest.approx(1e5)
    assert found.memory.base == pytest.approx(1e8)
