"""The kernels without a recurrence against literal float64 references, and Adam against Keras' own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.kernels.feedforward import phrases, positions


def error(found: Any, expected: Any) -> float:
    """The largest difference in units of the largest expected value."""
    return float(
        np.abs(np.asarray(found) - expected).max(initial=0) / (np.abs(expected).max(initial=0) + 1e-9)
    )


def draw_tokens(rng: np.random.Generator, batch: int, time: int, words: int, *, holes: bool) -> Any:
    """Left-padded sequences of every length, none and all included; with ``holes`` padding inside, too."""
    tokens = np.zeros((batch, time), np.int32)
    for row, length in zip(tokens, rng.integers(0, time + 1, batch), strict=True):
        row[time - length :] = rng.integers(0 if holes else 1, words, length)
    return tokens


def reference_phrases(
    table: Any, kernel: Any, bias: Any, tokens: Any, gradient: Any, size: int, relu: bool, masked: bool
) -> tuple[Any, tuple[Any, Any, Any]]:
    """Phrases and, for a gradient of them, those of table, kernel and bias: position by position."""
    (batch, time), (taps, _, filters) = tokens.shape, kernel.shape
    real = (tokens != 0) | (not masked)
    missing = -time % size if masked else 0
    windows = (time + missing) // size
    low = (taps - 1) // 2
    values = np.zeros((batch, windows, filters))
    d_table, d_kernel, d_bias = np.zeros(table.shape), np.zeros(kernel.shape), np.zeros(filters)
    for b in range(batch):
        reach = [
            [(t, p + t - low) for t in range(taps) if 0 <= p + t - low < time and real[b, p + t - low]]
            for p in range(time)
        ]
        z = [bias + sum(table[tokens[b, q]] @ kernel[t] for t, q in reach[p]) for p in range(time)]
        z = [np.maximum(row, 0) for row in z] if relu else z
        for window in range(windows):
            start = window * size - missing
            steps = [p for p in range(max(start, 0), start + size) if real[b, p]]
            if not steps:
                continue
            stack = np.stack([z[p] for p in steps])
            values[b, window] = stack.max(0)
            for f, first in enumerate(stack.argmax(0)):
                if relu and values[b, window, f] <= 0:
                    continue
                d = gradient[b, window, f]
                d_bias[f] += d
                for t, q in reach[steps[first]]:
                    d_table[tokens[b, q]] += d * kernel[t, :, f]
                    d_kernel[t, :, f] += d * table[tokens[b, q]]
    return values, (d_table, d_kernel, d_bias)


@settings(max_examples=8)
@given(
    batch=st.integers(1, 6),
    time=st.integers(1, 20),
    features=st.integers(1, 20),
    filters=st.integers(1, 35),
    taps=st.sampled_from([1, 2, 3, 5, 7]),
    size=st.integers(1, 4),
    relu=st.booleans(),
    masked=st.booleans(),
    holes=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_phrases_and_their_gradients_match_the_reference(
    batch: int,
    time: int,
    features: int,
    filters: int,
    taps: int,
    size: int,
    relu: bool,
    masked: bool,
    holes: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    time = max(time, size)
    tokens = draw_tokens(rng, batch, time, 9, holes=holes)
    arrays = [rng.normal(size=shape) for shape in ((9, features), (taps, features, filters), (filters,))]
    arrays = [array.astype(np.float32) for array in arrays]
    windows = -(-time // size) if masked else time // size
    gradient = rng.normal(size=(batch, windows, filters)).astype(np.float32)
    mode = {"size": size, "relu": relu, "masked": masked}
    found, back = jax.vjp(lambda *a: phrases(*a, jnp.asarray(tokens), **mode), *map(jnp.asarray, arrays))
    wide = [array.astype(np.float64) for array in arrays]
    expected, gradients = reference_phrases(*wide, tokens, gradient, **mode)
    assert error(found, expected) < 2e-5
    for mine, exact in zip(back(jnp.asarray(gradient)), gradients, strict=True):
        assert error(mine, exact) < 1e-4
    np.testing.assert_array_equal(phrases(*map(jnp.asarray, arrays), jnp.asarray(tokens), **mode), found)


@settings(max_examples=8)
@given(
    batch=st.integers(1, 40),
    time=st.integers(1, 40),
    features=st.integers(1, 40),
    units=st.integers(1, 70),
    masked=st.booleans(),
    holes=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_positions_and_their_gradients_match_the_reference(
    batch: int, time: int, features: int, units: int, masked: bool, holes: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    tokens = draw_tokens(rng, batch, time, 9, holes=holes)
    table = rng.normal(size=(9, features)).astype(np.float32)
    kernel = rng.normal(size=(time * features, units)).astype(np.float32)
    gradient = rng.normal(size=(batch, units)).astype(np.float32)
    found, back = jax.vjp(
        lambda a, b: positions(a, b, jnp.asarray(tokens), masked=masked),
        jnp.asarray(table),
        jnp.asarray(kernel),
    )
    real = ((tokens != 0) | (not masked))[:, :, None]
    side_by_side = (table.astype(np.float64)[tokens] * real).reshape(batch, -1)
    d_words = (gradient.astype(np.float64) @ kernel.T).reshape(batch, time, features) * real
    d_table = np.zeros((9, features))
    np.add.at(d_table, tokens, d_words)
    mine = back(jnp.asarray(gradient))
    assert error(found, side_by_side @ kernel) < 2e-5
    assert error(mine[0], d_table) < 1e-4
    assert error(mine[1], side_by_side.T @ gradient) < 1e-4


def test_a_diverged_network_stays_visible() -> None:
    tokens = jnp.asarray([[0, 1, 2, 3], [0, 0, 1, 1]])
    table = jnp.ones((4, 2)).at[3].set(jnp.nan)
    found = phrases(table, jnp.ones((3, 2, 5)), jnp.zeros(5), tokens, size=2, relu=True, masked=False)
    assert np.isnan(found[0, 1]).all()
    assert np.isfinite(found[1]).all()
    assert np.isnan(positions(table, jnp.ones((8, 5)), tokens, masked=True)[0]).all()


def test_tokens_outside_the_table_are_moved_into_it() -> None:
    table = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)
    outside, inside = jnp.asarray([[-5, 9, 2]]), jnp.asarray([[0, 3, 2]])
    for read in (
        lambda tokens: phrases(
            table, jnp.ones((3, 2, 5)), jnp.zeros(5), tokens, size=1, relu=False, masked=False
        ),
        lambda tokens: positions(table, jnp.ones((6, 5)), tokens, masked=False),
    ):
        np.testing.assert_allclose(read(outside), read(inside), atol=1e-6)


@pytest.mark.parametrize("shape", [(70_001,), (257, 300)])
def test_adam_is_keras_own(shape: tuple[int, ...]) -> None:
    from unrolled.layers import Adam, keras
    from unrolled.layers.adam import FEWEST_NUMBERS

    assert np.prod(shape) >= FEWEST_NUMBERS
    rng = np.random.default_rng(0)
    start = rng.normal(size=shape).astype(np.float32)
    sides = []
    for kind in (Adam, keras.optimizers.Adam):
        optimizer = kind(1e-2, beta_1=0.8, beta_2=0.99, epsilon=1e-6)
        variable = keras.Variable(start, name="weights")
        optimizer.build([variable])
        sides.append((optimizer, variable))
    for _ in range(4):
        # From nothing to large, as gradients of rare and frequent words are.
        gradient = (rng.normal(size=shape) * 10.0 ** rng.integers(-9, 3, shape)).astype(np.float32)
        gradient[0] = 0
        for optimizer, variable in sides:
            optimizer.apply([jnp.asarray(gradient)], [variable])
    (mine, found), (theirs, expected) = sides
    assert [variable.name for variable in mine.variables] == [variable.name for variable in theirs.variables]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    for mine_variable, their_variable in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(mine_variable, their_variable, rtol=2e-6, atol=1e-12)
