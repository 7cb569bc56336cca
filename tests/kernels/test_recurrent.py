"""The kernels against a literal float64 reference: values, states, and gradients by finite differences."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernels import reference
from unrolled.kernels import programs
from unrolled.kernels.recurrent import mode
from unrolled.kernels.recurrent import run as run_kernel

KERNELS = pytest.mark.parametrize("kernel", programs.KERNELS)


def run(*arguments: Any) -> tuple[Any, Any]:
    """The last states, and the outputs or None."""
    last, every = run_kernel(*arguments)
    return last, every[0] if every else None


def to_float32(arrays: Any) -> Any:
    return jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), arrays)


def error(found: Any, expected: Any) -> float:
    """The largest difference between two trees of arrays, in units of the largest expected value of each."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max(
        float(np.abs(np.asarray(a) - np.asarray(b)).max(initial=0) / (np.abs(b).max(initial=0) + 1e-9))
        for a, b in pairs
    )


def value_and_gradients(kernel: str, flags: int, problem: Any, mask: Any, cotangents: Any) -> Any:
    """Outputs, and the gradients of their products with ``cotangents``, from one jitted program."""

    @jax.jit
    def both(inputs: Any, weights: Any, states: Any) -> Any:
        results, back = jax.vjp(lambda *a: run(kernel, flags, *a, mask), inputs, weights, states)
        return results, back(cotangents)

    inputs, weights, states = problem
    return both(inputs, tuple(weights), tuple(states))


@KERNELS
@settings(max_examples=15)
@given(
    batch=st.integers(1, 15),
    time=st.integers(1, 9),
    features=st.integers(1, 19),
    units=st.integers(1, 35),
    kind=st.sampled_from(reference.MASKS),
    backwards=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_and_gradients_match_the_reference(
    kernel: str, batch: int, time: int, features: int, units: int, kind: str, backwards: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = {"batch": batch, "time": time, "features": features, "units": units}
    problem = reference.random_problem(kernel, rng, **sizes)
    mask = reference.random_mask(kind, rng, batch, time)
    inputs, weights, states = problem

    def expected(inputs: Any, weights: Any, states: Any) -> Any:
        last, outputs = reference.run(kernel, inputs, weights, states, mask, backwards)
        return tuple(last), outputs

    exact = expected(*problem)
    cotangents = jax.tree.map(lambda array: rng.normal(size=array.shape), exact)
    flags = mode(every_output=True, backwards=backwards)
    found, gradients = value_and_gradients(
        kernel, flags, to_float32(problem), jnp.asarray(mask), to_float32(cotangents)
    )
    assert error(found, exact) < 2e-5

    # One random direction for each argument: the slope along it is the gradient's product with it.
    arguments = [inputs, *weights, *states]
    for index, gradient in enumerate(jax.tree.leaves(gradients)):
        direction = rng.normal(size=arguments[index].shape)
        scale = np.sqrt(np.sum(direction**2) * np.sum(np.asarray(gradient, np.float64) ** 2))

        def loss(step: float, index: int = index, direction: Any = direction) -> float:
            moved = list(arguments)
            moved[index] = arguments[index] + step * direction
            rest = moved[1 : 1 + len(weights)], moved[1 + len(weights) :]
            pairs = zip(jax.tree.leaves(expected(moved[0], *rest)), jax.tree.leaves(cotangents), strict=True)
            return float(sum((a * b).sum() for a, b in pairs))

        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        assert abs((np.asarray(gradient, np.float64) * direction).sum() - slope) <= 1e-4 * scale + 1e-7


def loop(kernel: str, inputs: Any, weights: Any, states: Any, mask: Any) -> Any:
    """The same layer as a JAX scan, differentiated by JAX."""

    def one(states: Any, step: Any) -> Any:
        x, real = step
        h, units = states[0], states[0].shape[1]
        if kernel == "lstm":
            i, f, g, o = jnp.split(x @ weights[0] + h @ weights[1] + weights[2], 4, axis=1)
            c = jax.nn.sigmoid(f) * states[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            after = (jax.nn.sigmoid(o) * jnp.tanh(c), c)
        elif kernel == "simple_rnn":
            after = (jnp.tanh(x @ weights[0] + h @ weights[1] + weights[2]),)
        else:
            a = x @ weights[0] + weights[2]
            q = h @ weights[1] + (weights[3] if kernel == "gru" else 0)
            z = jax.nn.sigmoid(a[:, :units] + q[:, :units])
            r = jax.nn.sigmoid(a[:, units : 2 * units] + q[:, units : 2 * units])
            candidate = r * q[:, 2 * units :] if kernel == "gru" else (r * h) @ weights[1][:, 2 * units :]
            after = (z * h + (1 - z) * jnp.tanh(a[:, 2 * units :] + candidate),)
        kept = tuple(jnp.where(real[:, None], new, old) for new, old in zip(after, states, strict=True))
        return kept, kept[0]

    last, outputs = jax.lax.scan(one, states, (inputs.swapaxes(0, 1), mask.T))
    return last, outputs.swapaxes(0, 1)


@KERNELS
@pytest.mark.parametrize(("batch", "time", "features", "units"), [(131, 12, 40, 50), (300, 3, 7, 16)])
def test_every_gradient_matches_automatic_differentiation(
    kernel: str, batch: int, time: int, features: int, units: int
) -> None:
    rng = np.random.default_rng(0)
    problem = to_float32(
        reference.random_problem(kernel, rng, batch=batch, time=time, features=features, units=units)
    )
    inputs, weights, states = problem[0], tuple(problem[1]), tuple(problem[2])
    mask = jnp.asarray(reference.random_mask("holes", rng, batch, time)).at[3].set(False)
    exact, back = jax.vjp(lambda *a: loop(kernel, *a, mask), inputs, weights, states)
    cotangents = jax.tree.map(lambda array: jnp.asarray(rng.normal(size=array.shape), jnp.float32), exact)
    found, gradients = value_and_gradients(
        kernel, mode(every_output=True, backwards=False), problem, mask, cotangents
    )
    assert error(found, exact) < 2e-5
    assert error(gradients, back(cotangents)) < 1e-4


@KERNELS
def test_without_gradient_without_outputs_and_again_the_bits_are_the_same(kernel: str) -> None:
    rng = np.random.default_rng(1)
    problem = to_float32(reference.random_problem(kernel, rng, batch=7, time=6, features=5, units=18))
    inputs, weights, states = problem[0], tuple(problem[1]), tuple(problem[2])
    mask = jnp.asarray(reference.random_mask("left", rng, 7, 6))
    every = jax.jit(lambda *a: run(kernel, mode(every_output=True, backwards=False), *a))
    last = jax.jit(lambda *a: run(kernel, mode(every_output=False, backwards=False), *a))
    first_states, outputs = every(inputs, weights, states, mask)
    cotangents = jax.tree.map(jnp.ones_like, (first_states, outputs))
    flags = mode(every_output=True, backwards=False)
    kept_states, gradients = value_and_gradients(kernel, flags, problem, mask, cotangents)
    _, again = value_and_gradients(kernel, flags, problem, mask, cotangents)
    for other in (last(inputs, weights, states, mask), kept_states, every(inputs, weights, states, mask)):
        jax.tree.map(np.testing.assert_array_equal, other[0], first_states)
    np.testing.assert_array_equal(outputs[:, -1], first_states[0])
    jax.tree.map(np.testing.assert_array_equal, gradients, again)


@KERNELS
def test_masked_steps_change_no_bit_wherever_they_stand(kernel: str) -> None:
    rng = np.random.default_rng(2)
    problem = to_float32(reference.random_problem(kernel, rng, batch=5, time=4, features=3, units=6))
    inputs, weights, states = problem[0], tuple(problem[1]), tuple(problem[2])
    flags = mode(every_output=False, backwards=False)
    expected, _ = run(kernel, flags, inputs, weights, states, jnp.ones((5, 4), bool))
    for places in ((4, 5, 6, 7), (0, 1, 2, 3), (0, 2, 5, 7)):
        padded = jnp.full((5, 8, 3), jnp.nan).at[:, jnp.array(places)].set(inputs)
        mask = jnp.zeros((5, 8), bool).at[:, jnp.array(places)].set(True)
        found, _ = run(kernel, flags, padded, weights, states, mask)
        jax.tree.map(np.testing.assert_array_equal, found, expected)


@KERNELS
def test_rows_of_padding_return_their_state_and_its_gradient(kernel: str) -> None:
    rng = np.random.default_rng(3)
    problem = to_float32(reference.random_problem(kernel, rng, batch=3, time=4, features=2, units=5))
    mask = jnp.zeros((3, 4), bool)
    shapes = tuple(problem[2]), jnp.zeros((3, 4, 5), jnp.float32)
    found, (d_inputs, d_weights, d_states) = value_and_gradients(
        kernel, mode(every_output=True, backwards=True), problem, mask, jax.tree.map(jnp.ones_like, shapes)
    )
    jax.tree.map(np.testing.assert_array_equal, found[0], tuple(problem[2]))
    for gradient in jax.tree.leaves((d_inputs, d_weights)):
        assert not np.asarray(gradient).any()
    assert (np.asarray(d_states[0]) == 5).all()


@KERNELS
def test_a_diverged_state_stays_visible(kernel: str) -> None:
    problem = to_float32(
        reference.random_problem(kernel, np.random.default_rng(4), batch=2, time=3, features=2, units=4)
    )
    inputs = problem[0].at[0, 1, 0].set(jnp.nan)
    flags = mode(every_output=False, backwards=False)
    (h, *_), _ = run(kernel, flags, inputs, tuple(problem[1]), tuple(problem[2]), jnp.ones((2, 3), bool))
    assert np.isnan(h[0]).all()
    assert np.isfinite(h[1]).all()


@KERNELS
def test_it_maps_over_an_axis(kernel: str) -> None:
    rng = np.random.default_rng(5)
    problem = to_float32(reference.random_problem(kernel, rng, batch=2, time=3, features=2, units=4))
    weights, states = tuple(problem[1]), tuple(problem[2])
    several = jnp.stack([problem[0], problem[0] * 2])
    mask = jnp.ones((2, 3), bool)
    flags = mode(every_output=True, backwards=False)

    def one(inputs: Any) -> Any:
        return run(kernel, flags, inputs, weights, states, mask)[1]

    mapped = jax.jit(jax.vmap(one))(several)
    np.testing.assert_array_equal(mapped, jnp.stack([one(inputs) for inputs in several]))


def test_a_second_derivative_is_refused() -> None:
    problem = to_float32(
        reference.random_problem("simple_rnn", np.random.default_rng(6), batch=1, time=2, features=1, units=1)
    )

    def loss(inputs: Any) -> Any:
        flags = mode(every_output=False, backwards=False)
        mask = jnp.ones((1, 2), bool)
        return run("simple_rnn", flags, inputs, tuple(problem[1]), tuple(problem[2]), mask)[0][0].sum()

    with pytest.raises(ValueError, match="differentiat"):
        jax.grad(lambda x: jax.grad(loss)(x).sum())(problem[0])
