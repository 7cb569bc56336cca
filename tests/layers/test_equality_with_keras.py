"""Our recurrent layers against Keras' own: outputs, states and every gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import layers
from unrolled.layers import keras

KINDS = {
    "SimpleRNN": {},
    "LSTM": {},
    "GRU": {"reset_after": True},
    "GRU before": {"reset_after": False},
}


def make_mask(kind: str, rng: np.random.Generator, batch: int, time: int) -> np.ndarray | None:
    """A mask (batch, time): padding on the left or right, holes, or rows without a single real step."""
    lengths = rng.integers(0, time + 1, batch)
    steps = np.arange(time)
    if kind == "left":
        return steps >= time - lengths[:, None]
    if kind == "right":
        return steps < lengths[:, None]
    if kind == "holes":
        return rng.random((batch, time)) < 0.6
    return None


def compute(
    layer: Any, inputs: np.ndarray, mask: np.ndarray | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs and states, and the gradients of a fixed random sum of them for inputs and weights."""
    import jax
    import jax.numpy as jnp

    layer.build(inputs.shape)
    variables = [variable.value for variable in layer.trainable_variables]
    fixed = [variable.value for variable in layer.non_trainable_variables]

    def call(values: list[Any], tensor: Any) -> list[Any]:
        found, _ = layer.stateless_call(values, fixed, tensor, mask=mask)
        return list(found) if isinstance(found, list | tuple) else [found]

    def total(values: list[Any], tensor: Any) -> Any:
        rng = np.random.default_rng(7)
        return sum(
            (jnp.asarray(rng.normal(size=part.shape), "float32") * part).sum()
            for part in call(values, tensor)
        )

    tensor = jnp.asarray(inputs)
    gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(variables, tensor)
    outputs = jax.jit(call)(variables, tensor)
    return [np.asarray(part) for part in outputs], [
        np.asarray(part) for part in [*gradients[0], gradients[1]]
    ]


def assert_close(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float) -> None:
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        scale = max(1e-3, float(np.abs(theirs).max(initial=0.0)))
        np.testing.assert_allclose(mine / scale, theirs / scale, atol=tolerance, rtol=0)


CASES = [
    (1, 1, 1, 1, "none", False, False, 0),
    (3, 7, 4, 17, "left", True, False, 1),
    (4, 6, 3, 8, "holes", False, True, 2),
    (3, 5, 2, 5, "right", True, True, 3),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[4])
def test_outputs_states_and_gradients_are_keras_own(kind: str, case: tuple) -> None:
    compare(kind, *case)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    batch=st.integers(1, 5),
    time=st.integers(1, 9),
    features=st.integers(1, 6),
    units=st.integers(1, 9),
    mask=st.sampled_from(["none", "left", "right", "holes"]),
    sequences=st.booleans(),
    backwards=st.booleans(),
    seed=st.integers(0, 999),
)
@pytest.mark.parametrize("kind", KINDS)
def test_any_shape_mask_and_direction(kind: str, **case: Any) -> None:
    compare(kind, **case)


def compare(
    kind: str,
    batch: int,
    time: int,
    features: int,
    units: int,
    mask: str,
    sequences: bool,
    backwards: bool,
    seed: int,
) -> None:
    """Asserts that a layer of ours and Keras' own agree on one random case."""
    rng = np.random.default_rng(seed)
    options = {"return_sequences": sequences, "return_state": True, "go_backwards": backwards, **KINDS[kind]}
    name = kind.split()[0]
    ours, theirs = (getattr(house, name)(units, **options) for house in (layers, keras.layers))
    inputs = rng.normal(size=(batch, time, features)).astype(np.float32)
    for layer in (ours, theirs):
        layer.build(inputs.shape)
    weights = [rng.normal(scale=0.5, size=np.shape(array)).astype(np.float32) for array in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    kept = make_mask(mask, rng, batch, time)
    assert ours.kernel_obstacle() is None, "the kernel must be what is compared"
    found, expected = compute(ours, inputs, kept), compute(theirs, inputs, kept)
    assert_close(found[0], expected[0], 2e-5)
    assert_close(found[1], expected[1], 1e-4)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{"recurrent_dropout": 0.3}, {"activation": "relu"}, {"unroll": True}])
def test_where_no_kernel_applies_keras_own_loop_runs(kind: str, options: dict[str, object]) -> None:
    inputs = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    ours, theirs = (getattr(house, kind)(4, **options) for house in (layers, keras.layers))
    theirs.build(inputs.shape)
    ours.build(inputs.shape)
    ours.set_weights([np.asarray(variable.value) for variable in theirs.weights][: len(ours.weights)])
    assert ours.kernel_obstacle()
    np.testing.assert_array_equal(np.asarray(ours(inputs)), np.asarray(theirs(inputs)))


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_the_same_seed_drops_the_same_inputs(kind: str) -> None:
    inputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    initial = {"kernel_initializer": "ones", "recurrent_initializer": "zeros"}
    ours, theirs = (
        getattr(house, kind)(4, dropout=0.5, seed=3, **initial) for house in (layers, keras.layers)
    )
    found, expected = (np.asarray(layer(inputs, training=True)) for layer in (ours, theirs))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - np.asarray(ours(inputs))).max() > 1e-3
