"""Rows of a table under factors of each sequence, against the same layer on inputs scaled beforehand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.kernels.reference import NUM_STATES
from unrolled.kernels import programs
from unrolled.kernels.recurrent import Lookup, mode, run

GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "simple_rnn": 1}
ROWS, TIME = 700, 330


def _normal(random: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(random.normal(0, 0.3, shape), jnp.float32)


def _factors(random: np.random.Generator, features: int) -> jax.Array:
    """Of six sequences: three tenths dropped, nothing, everything, all but one, a half, any numbers."""
    shares = np.array([0.7, 1.0, 0.0, 0.0, 0.5, 0.9])[:, None]
    kept = random.random((6, features)) < shares
    kept[3, features // 2] = True
    factors = kept / np.maximum(shares, 0.1)
    factors[5] *= random.normal(size=features)
    return jnp.asarray(factors, jnp.float32)


def _compare(kernel: str, features: int, units: int, lengths: list[int], backwards: bool) -> None:
    random = np.random.default_rng(features)
    table, batch = _normal(random, ROWS, features), len(lengths)
    biases = 2 if kernel.startswith("gru") else 1
    gates = GATES[kernel] * units
    weights = [_normal(random, features, gates), _normal(random, units, gates)]
    weights += [_normal(random, gates) for _ in range(biases)]
    states = tuple(_normal(random, batch, units) for _ in range(NUM_STATES[kernel]))
    # Words that return, as in texts, and some outside of the table.
    tokens = random.integers(-1, ROWS + 1, (batch, TIME))
    again = random.random((batch, TIME)) < 0.4
    tokens = jnp.asarray(np.where(again, tokens[:, :1] % 9, tokens), jnp.int32)
    mask = jnp.arange(TIME) < jnp.asarray(lengths)[:, None]
    factors = _factors(random, features)
    flags = mode(every_output=True, backwards=backwards)
    of_every = _normal(random, batch, TIME, units)

    def loss(table: Any, weights: Any, states: Any, *, scaled: bool) -> Any:
        if scaled:
            found = run(kernel, flags, table, tuple(weights), states, mask, Lookup(tokens, factors))
        else:
            inputs = table[tokens.clip(0, ROWS - 1)] * factors[:, None]
            found = run(kernel, flags, inputs, tuple(weights), states, mask)
        return (found[1][0] * of_every).sum(), found

    expected, found = (
        jax.jit(jax.value_and_grad(lambda *a, s=scaled: loss(*a, scaled=s), (0, 1, 2), has_aux=True))(
            table, weights, states
        )
        for scaled in (False, True)
    )
    for tolerance, exact, own in ((2e-5, expected[0][1], found[0][1]), (1e-4, expected[1], found[1])):
        for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(own), strict=True):
            size = float(jnp.abs(a).max())
            np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(size, 1e-6))


@pytest.mark.parametrize("kernel", programs.KERNELS)
def test_scaled_rows_equal_inputs_scaled_before(kernel: str) -> None:
    # Sequences of one word and of more distinct ones than are multiplied at once; no whole vectors.
    _compare(kernel, 37, 9, [330, 120, 300, 250, 1, 200], backwards=False)


@pytest.mark.parametrize("lengths", [[3, 2, 0, 1, 4, 2], [60, 330, 9, 2, 40, 0], [330] * 6])
@pytest.mark.parametrize("backwards", [False, True])
def test_short_and_long_sequences_share_products(lengths: list[int], backwards: bool) -> None:
    _compare("lstm", 20, 8, lengths, backwards=backwards)


def test_all_features_but_one_fit_beside_those_of_whole_vectors() -> None:
    # The room for a kernel's own gradient: 7 rows rounded up to tiles of 3 (AVX2) are more than 8.
    random = np.random.default_rng(0)
    table, units = _normal(random, ROWS, 8), 200
    weights = (_normal(random, 8, units), _normal(random, units, units) / 10, _normal(random, units))
    tokens = jnp.asarray(np.stack([random.permutation(ROWS)[:TIME] for _ in range(4)]), jnp.int32)
    factors = jnp.ones((4, 8)).at[:, 3].set(0)
    states, mask = (jnp.zeros((4, units)),), jnp.ones((4, TIME), bool)
    flags = mode(every_output=False, backwards=False)

    def loss(table: Any, weights: Any, *, scaled: bool) -> Any:
        inputs, lookup = (
            (table, Lookup(tokens, factors)) if scaled else (table[tokens] * factors[:, None], None)
        )
        return run("simple_rnn", flags, inputs, weights, states, mask, lookup)[0][0].sum()

    exact, found = (
        jax.jit(jax.grad(lambda *a, s=scaled: loss(*a, scaled=s), (0, 1)))(table, weights)
        for scaled in (False, True)
    )
    for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-4 * float(jnp.abs(a).max()))
