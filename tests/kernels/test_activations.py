"""The gates' functions against NumPy in float64, over every range that float32 tells apart."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from numba import njit

from unrolled.kernels import activations
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.lanes import vector_width
from unrolled.kernels.products import start_of

UNIT = 2.0**-24

_tanh = elementwise("test_tanh", lambda x: (activations.tanh(x),), 1)
_sigmoid = elementwise("test_sigmoid", lambda x: (activations.sigmoid(x),), 1)
_exp = elementwise("test_exp", lambda x: (activations.exp(x),), 1)


@njit
def apply(which, x, y):
    if which == 0:
        _tanh(x.size, (start_of(x), start_of(y)))
    elif which == 1:
        _sigmoid(x.size, (start_of(x), start_of(y)))
    else:
        _exp(x.size, (start_of(x), start_of(y)))


def values(which: int, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    apply(which, x, y)
    return y


POINTS = np.concatenate(
    [
        np.linspace(-86, 86, 300_001),
        np.linspace(-10, 10, 300_001),
        *(sign * np.logspace(-30, 1.9, 20_001) for sign in (-1, 1)),
    ]
).astype(np.float32)


@pytest.mark.parametrize(
    ("which", "exact", "units"),
    [
        (0, np.tanh, 6),
        (1, lambda x: 1 / (1 + np.exp(-x)), 4),
        (2, np.exp, 3),
    ],
    ids=["tanh", "sigmoid", "exp"],
)
def test_relative_error_is_a_few_units_in_the_last_place(which: int, exact, units: int) -> None:
    expected = exact(POINTS.astype(np.float64))
    assert (np.abs(values(which, POINTS) - expected) <= units * UNIT * np.abs(expected)).all()


def test_the_ends_saturate_and_nan_stays_nan() -> None:
    ends = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, -0.0], np.float32)
    # Without a fused multiply-add, as on x86 before AVX2, tanh ends one unit in the last place above 1.
    fused = vector_width() > 4 or platform.machine().lower() in {"aarch64", "arm64"}
    found = values(0, ends)
    np.testing.assert_allclose(found, [np.nan, 1, -1, 1, -1, 0, 0], rtol=0 if fused else 1.2e-7)
    assert list(np.signbit(found[-2:])) == [False, True]
    np.testing.assert_allclose(values(1, ends), [np.nan, 1, 0, 1, 0, 0.5, 0.5], atol=1e-37)


@pytest.mark.parametrize("count", range(40))
def test_every_length_gives_the_bits_of_single_numbers(count: int) -> None:
    x = np.linspace(-3, 3, 40, dtype=np.float32)[:count]
    y = np.full(count + 1, 7, np.float32)
    apply(0, x, y[:count])
    assert y[count] == 7
    np.testing.assert_array_equal(y[:count], [values(0, x[i : i + 1])[0] for i in range(count)])
