"""Padding read as a word: resting and fading give what every step, computed one by one, gives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import reference
from unrolled.kernels import parts
from unrolled.kernels.flags import KEEP
from unrolled.kernels.recurrent import Lookup, mode, run
from unrolled.kernels.repeat import REST_STEPS
from unrolled.kernels.repeated import KERNELS, _pad, run_after_padding

FEATURES, UNITS, BATCH = 4, 7, 6
EVERY_KERNEL = pytest.mark.parametrize("kernel", KERNELS)


def _normal(random: np.random.Generator, *shape: int, scale: float = 0.4) -> jax.Array:
    return jnp.asarray(random.normal(0, scale, shape), jnp.float32)


def _weights(random: np.random.Generator, kernel: str, scale: float = 0.4) -> tuple[jax.Array, ...]:
    gates = reference.GATES[kernel] * UNITS
    shapes = [(FEATURES, gates), (UNITS, gates), *[(gates,)] * (2 if kernel == "gru" else 1)]
    return tuple(_normal(random, *shape, scale=scale) for shape in shapes)


def _step_by_step(
    kernel: str, padding: jax.Array, num: jax.Array, inputs: jax.Array, weights: tuple[jax.Array, ...]
) -> tuple[jax.Array, ...]:
    """The same with the padding written out: the layer's own kernel, held against a reference elsewhere."""
    batch, time, _ = inputs.shape
    slots = jnp.minimum(jnp.arange(time), padding.shape[1] - 1)
    written = jnp.broadcast_to(padding, (batch, *padding.shape[1:]))[:, slots]
    inputs = jnp.where((jnp.arange(time) < num[:, None])[..., None], written, inputs)
    start = (jnp.zeros((batch, UNITS), jnp.float32),) * reference.NUM_STATES[kernel]
    flags = mode(every_output=False, backwards=False)
    return run(kernel, flags, inputs, weights, start, jnp.ones((batch, time), bool))[0]


def _compare(
    kernel: str,
    padding: jax.Array,
    num: jax.Array,
    inputs: jax.Array,
    weights: tuple[jax.Array, ...],
    sizes: jax.Array,
) -> None:
    """States, and gradients of a loss to which each sequence adds by its size, both ways."""
    random = np.random.default_rng(5)
    factors = [_normal(random, BATCH, UNITS) * sizes[:, None] for _ in range(reference.NUM_STATES[kernel])]
    time = inputs.shape[1]

    def fast(padding: Any, inputs: Any, weights: Any) -> Any:
        return run_after_padding(kernel, padding, num, inputs, weights, time)

    def slow(padding: Any, inputs: Any, weights: Any) -> Any:
        return _step_by_step(kernel, padding, num, inputs, weights)

    found = []
    for way in (fast, slow):

        def loss(*given: Any, way: Any = way) -> Any:
            states = way(*given)
            return sum((state * factor).sum() for state, factor in zip(states, factors, strict=True)), states

        made = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))
        gradients, states = made(padding, inputs, weights)
        found.append((jax.tree.leaves(states), jax.tree.leaves(gradients)))
    (states, gradients), (all_states, all_gradients) = found
    for state, expected in zip(states, all_states, strict=True):
        # A state that drifts on unseen, at the speed that counts as rest, is off by no more.
        np.testing.assert_allclose(state, expected, rtol=2e-6, atol=6e-6)
    for gradient, expected in zip(gradients, all_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-4 * float(jnp.abs(expected).max()))


CASES = {
    "kernel": st.sampled_from(KERNELS),
    "shared": st.booleans(),
    "slots": st.integers(1, 3),
    "time": st.sampled_from([3, 40, 150]),
    "scale": st.sampled_from([0.1, 0.5]),
    "seed": st.integers(0, 9),
}


def _check(kernel: str, shared: bool, slots: int, time: int, scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    padding = _normal(random, 1 if shared else BATCH, slots, FEATURES)
    # Nothing but padding, none at all, and what lies between.
    num = jnp.asarray([time, 0, *random.integers(0, time + 1, BATCH - 2)], jnp.int32)
    inputs = _normal(random, BATCH, time, FEATURES)
    sizes = jnp.asarray(10.0 ** random.uniform(-6, 0, BATCH), jnp.float32)
    _compare(kernel, padding, num, inputs, _weights(random, kernel, scale), sizes)


@settings(max_examples=4)
@given(**CASES)
def test_padding_then_words_equal_every_step(**case: Any) -> None:
    _check(**case)


@pytest.mark.slow
@settings(max_examples=60)
@given(**CASES)
def test_padding_then_words_equal_every_step_in_many_cases(**case: Any) -> None:
    _check(**case)


@EVERY_KERNEL
def test_states_equal_a_float64_reference(kernel: str) -> None:
    random = np.random.default_rng(2)
    weights, padding = _weights(random, kernel), _normal(random, BATCH, 1, FEATURES)
    time, num = 120, np.array([120, 119, 90, 60, 17, 0])
    inputs = _normal(random, BATCH, time, FEATURES)
    found = run_after_padding(kernel, padding, jnp.asarray(num, jnp.int32), inputs, weights, time)
    whole = np.asarray(inputs, np.float64)
    for row, count in enumerate(num):
        whole[row, :count] = padding[row, 0]
    start = [np.zeros((BATCH, UNITS))] * reference.NUM_STATES[kernel]
    wide = [np.asarray(weight, np.float64) for weight in weights]
    expected, _ = reference.run(kernel, whole, wide, start, np.ones((BATCH, time), bool), False)
    for state, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(state, right, rtol=2e-5, atol=2e-6)


def _steps_computed(
    kernel: str, weights: tuple[jax.Array, ...], padding: jax.Array, num: list[int], time: int
) -> list[int]:
    products = padding @ weights[0]
    steps = jnp.asarray(num, jnp.int32)
    _, (_, _, taken) = _pad(kernel, KEEP, time, products, weights, steps)
    return [int(count) for count in np.asarray(taken)[:, 0]]


@EVERY_KERNEL
def test_a_sequence_at_rest_is_computed_no_further(kernel: str) -> None:
    random = np.random.default_rng(3)
    weights = _weights(random, kernel, scale=0.1)
    padding = _normal(random, 4, 1, FEATURES)
    taken = _steps_computed(kernel, weights, padding, [2000, 1500, 5, 0], 2000)
    assert taken[2:] == [5, 0]
    assert all(0 < count < 200 and count % REST_STEPS == 1 for count in taken[:2])


def test_a_slow_drift_is_no_rest() -> None:
    # A state that shrinks to 0.999 of itself moves by little at any one step, and by much over all of them.
    random = np.random.default_rng(4)
    keep, time = 0.999, 1000
    weights = _weights(random, "lstm", scale=0.0)
    forget = float(np.log(keep / (1 - keep)))
    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS], bias[2 * UNITS : 3 * UNITS] = forget, 0.01
    weights = (*weights[:2], jnp.asarray(bias))
    padding, num = jnp.zeros((BATCH, 1, FEATURES)), [time] * BATCH
    assert _steps_computed("lstm", weights, padding, num, time) == num
    _compare(
        "lstm", padding, jnp.asarray(num), _normal(random, BATCH, time, FEATURES), weights, jnp.ones(BATCH)
    )


@pytest.mark.parametrize("count", [300, 301])
def test_a_state_that_swings_to_and_fro_is_not_at_rest(count: int) -> None:
    # It is where it was two steps ago, and sixteen steps ago.
    recurrent = jnp.asarray(-1.5 * np.eye(UNITS), jnp.float32)
    weights = (jnp.zeros((FEATURES, UNITS)), recurrent, jnp.full((UNITS,), 0.1))
    padding, num = jnp.zeros((BATCH, 1, FEATURES)), [count] * BATCH
    assert _steps_computed("simple_rnn", weights, padding, num, count) == num
    inputs = jnp.zeros((BATCH, count, FEATURES))
    _compare("simple_rnn", padding, jnp.asarray(num), inputs, weights, jnp.ones(BATCH))


def test_a_state_that_turns_for_ever_is_computed_to_its_end() -> None:
    # A rotation, stretched to make up for tanh: no step is like the one before.
    turn = np.array([[np.cos(1.0), np.sin(1.0)], [-np.sin(1.0), np.cos(1.0)]], np.float32) * 1.5
    recurrent = np.zeros((UNITS, UNITS), np.float32)
    recurrent[:2, :2] = turn
    weights = (jnp.zeros((FEATURES, UNITS)), jnp.asarray(recurrent), jnp.full((UNITS,), 0.01))
    taken = _steps_computed("simple_rnn", weights, jnp.zeros((2, 1, FEATURES)), [300, 100], 300)
    assert taken == [300, 100]


def test_a_broken_state_is_not_taken_for_rest() -> None:
    random = np.random.default_rng(6)
    weights = _weights(random, "lstm")
    padding = _normal(random, BATCH, 1, FEATURES).at[2].set(jnp.nan)
    num = jnp.full((BATCH,), 60, jnp.int32)
    found = run_after_padding("lstm", padding, num, _normal(random, BATCH, 64, FEATURES), weights, 64)
    broken = np.isnan(np.asarray(found[0])).all(axis=1)
    assert broken.tolist() == [False, False, True, False, False, False]


def test_a_broken_gradient_is_followed_through_the_padding() -> None:
    random = np.random.default_rng(9)
    weights, padding = _weights(random, "lstm"), _normal(random, BATCH, 1, FEATURES)
    inputs, num = _normal(random, BATCH, 64, FEATURES), jnp.full((BATCH,), 60, jnp.int32)
    factors = jnp.ones((BATCH, 1)).at[3].set(jnp.nan)

    def loss(padding: Any) -> Any:
        return (run_after_padding("lstm", padding, num, inputs, weights, 64)[0] * factors).sum()

    found = np.asarray(jax.grad(loss)(padding))
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()
    assert (np.delete(found, 3, axis=0) != 0).all()


@EVERY_KERNEL
def test_gradients_that_fade_leave_the_large_ones_alone(kernel: str) -> None:
    # One sequence counts ten million times as much as the others: theirs are dropped at once.
    random = np.random.default_rng(7)
    padding, inputs = _normal(random, BATCH, 1, FEATURES), _normal(random, BATCH, 200, FEATURES)
    num = jnp.asarray([200, 190, 180, 150, 199, 0], jnp.int32)
    sizes = jnp.asarray([1e-8, 1.0, 1e-8, 1e-9, 1e-9, 1e-8], jnp.float32)
    _compare(kernel, padding, num, inputs, _weights(random, kernel, scale=0.2), sizes)


@pytest.mark.parametrize("source", ["dense", "folded", "scaled"])
@EVERY_KERNEL
def test_in_parts_equal_to_the_whole(monkeypatch: pytest.MonkeyPatch, kernel: str, source: str) -> None:
    random = np.random.default_rng(8)
    weights, num = _weights(random, kernel), jnp.asarray([30, 0, 7, 50, 49, 12], jnp.int32)
    tokens = jnp.asarray(random.integers(1, 9, (BATCH, 50)), jnp.int32)
    factors = _normal(random, BATCH, FEATURES) if source == "scaled" else None
    lookup = None if source == "dense" else Lookup(tokens, factors)
    inputs = _normal(random, *((BATCH, 50, FEATURES) if source == "dense" else (9, FEATURES)))
    padding = _normal(random, BATCH if source == "scaled" else 1, 2, FEATURES)

    def loss(padding: Any, inputs: Any, weights: Any) -> Any:
        found = run_after_padding(kernel, padding, num, inputs, weights, 50, lookup)
        return sum((state**2 * jnp.arange(1.0, BATCH + 1)[:, None]).sum() for state in found)

    found = []
    for count in (1, 3):
        monkeypatch.setenv(parts.VARIABLE, str(count))
        monkeypatch.setattr(parts, "FEWEST_ROWS", 1)
        monkeypatch.setattr(parts, "WORTH_SPARE_PARTS", 1)
        made = jax.jit(jax.value_and_grad(lambda *given: loss(*given), argnums=(0, 1, 2)))
        found.append(jax.tree.leaves(made(padding, inputs, weights)))
    for whole, dealt in zip(*found, strict=True):
        np.testing.assert_allclose(dealt, whole, rtol=2e-5, atol=2e-6 * float(jnp.abs(whole).max()))


def test_no_sequences_have_no_states() -> None:
    weights = _weights(np.random.default_rng(0), "lstm")
    none = jnp.zeros((0, 1, FEATURES))
    found = run_after_padding("lstm", none, jnp.zeros(0, jnp.int32), jnp.zeros((0, 5, FEATURES)), weights, 5)
    assert [state.shape for state in found] == [(0, UNITS)] * 2


@pytest.mark.parametrize("eigenvalues", [(0.98, 0.97), (0.99, 0.98, 0.96)])
def test_several_slow_modes_stay_within_rounding(eigenvalues: tuple[float, ...]) -> None:
    """What lies across a line must not add up: states and gradients against float64, every step computed."""
    units, time, batch = 40, 600, 6
    random = np.random.default_rng(1)
    basis, _ = np.linalg.qr(random.normal(size=(units, units)))
    modes = np.zeros(units)
    modes[: len(eigenvalues)] = eigenvalues
    recurrent = ((basis * modes) @ basis.T).astype(np.float32)
    bias, kernel = _normal(random, units, scale=0.03), _normal(random, FEATURES, units, scale=0.02)
    padding, factors = _normal(random, batch, 1, FEATURES, scale=1), _normal(random, batch, units, scale=1)
    num, inputs = jnp.full(batch, time), jnp.zeros((batch, time, FEATURES))

    def states(weights: Any) -> jax.Array:
        return run_after_padding("simple_rnn", padding, num, inputs, weights, time)[0]

    weights = (kernel, jnp.asarray(recurrent), bias)
    found = jax.grad(lambda weights: (states(weights) * factors).sum())(weights)

    held = [np.zeros((batch, units))]
    fixed = np.asarray(padding[:, 0] @ kernel, np.float64) + np.asarray(bias, np.float64)
    for _ in range(time):
        held.append(np.tanh(held[-1] @ recurrent.astype(np.float64) + fixed))
    d_h, d_recurrent, d_bias = np.asarray(factors, np.float64), np.zeros((units, units)), np.zeros(units)
    for step in reversed(range(time)):
        d_z = d_h * (1 - held[step + 1] ** 2)
        d_recurrent += held[step].T @ d_z
        d_bias += d_z.sum(0)
        d_h = d_z @ recurrent.T
    np.testing.assert_allclose(states(weights), held[-1], atol=6e-6)
    np.testing.assert_allclose(found[1], d_recurrent, atol=6e-5 * np.abs(d_recurrent).max())
    np.testing.assert_allclose(found[2], d_bias, atol=6e-5 * np.abs(d_bias).max())
