"""Real steps first, and back again, equals Keras' loop over masks of any shape.

The routine in cuDNN's place is JAX's own reference of it, with the same arguments; it needs no GPU.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.experimental.rnn import lstm_ref, unpack_lstm_weights

from unrolled import layers
from unrolled.layers import cudnn, recurrent

BATCH, TIME, FEATURES, UNITS = 5, 7, 3, 4


def reference(features: int, units: int) -> cudnn.Routine:
    """The routine in plain JAX."""

    def call(inputs: Any, h: Any, c: Any, weights: Any, lengths: Any) -> Any:
        # cuDNN refuses an empty sequence; so does this.
        assert inputs.shape[2] == features
        parts = unpack_lstm_weights(weights, features, units, 1, False)
        return lstm_ref(inputs, h, c, *parts, lengths, features, units, 1, 0.0, False)

    return call


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Layers that believe themselves on a GPU; the list gets a word for each call of the routine."""
    calls: list[str] = []

    def routine(features: int, units: int) -> cudnn.Routine:
        calls.append("called")
        return reference(features, units)

    monkeypatch.setattr(recurrent, "_platform", lambda: "gpu")
    monkeypatch.setattr(cudnn, "cudnn_routine", routine)
    return calls


def masks() -> dict[str, np.ndarray]:
    steps = np.arange(TIME)
    lengths = np.array([7, 5, 1, 0, 3])[:, None]
    random = np.random.default_rng(0)
    return {
        "left": steps >= TIME - lengths,
        "right": steps < lengths,
        "holes": random.random((BATCH, TIME)) < 0.5,
    }


@pytest.mark.parametrize("zeroed", [False, True], ids=["carried", "zeroed"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("every", [False, True], ids=["last", "every"])
@pytest.mark.parametrize("kind", ["left", "right", "holes"])
def test_outputs_states_and_gradients_equal_keras(
    on_a_gpu: list[str], kind: str, every: bool, backwards: bool, zeroed: bool
) -> None:
    arguments = {
        "return_sequences": every,
        "return_state": True,
        "go_backwards": backwards,
        "zero_output_for_mask": zeroed,
        "bias_initializer": "random_normal",
    }
    ours, theirs = layers.LSTM(UNITS, **arguments), keras.layers.LSTM(UNITS, **arguments, use_cudnn=False)
    random = np.random.default_rng(1)
    inputs = jnp.asarray(random.normal(size=(BATCH, TIME, FEATURES)), jnp.float32)
    begun = [jnp.asarray(random.normal(size=(BATCH, UNITS)), jnp.float32) for _ in range(2)]
    mask = jnp.asarray(masks()[kind])
    for layer in (ours, theirs):
        layer.build(inputs.shape)
    theirs.set_weights(ours.get_weights())

    def loss(layer: Any, weights: list[Any], inputs: Any, begun: list[Any]) -> Any:
        seeds = [variable.value for variable in layer.non_trainable_variables]
        found, _ = layer.stateless_call(weights, seeds, inputs, initial_state=begun, mask=mask)
        return sum(jnp.sin(part * 3).sum() for part in found), found

    sides = []
    for layer in (ours, theirs):
        values = [variable.value for variable in layer.trainable_variables]
        made = jax.value_and_grad(loss, argnums=(1, 2, 3), has_aux=True)
        (_, found), gradients = made(layer, values, inputs, begun)
        sides.append(jax.tree.leaves((found, gradients)))
    assert on_a_gpu == ["called"]
    for mine, keras_own in zip(*sides, strict=True):
        np.testing.assert_allclose(mine, keras_own, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(
    "arguments",
    [{"recurrent_dropout": 0.2}, {"activation": "relu"}, {"use_cudnn": False}, {"unroll": True}],
    ids=str,
)
def test_what_the_routine_cannot_do_is_left_to_keras(on_a_gpu: list[str], arguments: dict[str, Any]) -> None:
    layer = layers.LSTM(UNITS, **arguments)
    layer(jnp.ones((BATCH, TIME, FEATURES)), mask=jnp.asarray(masks()["left"]))
    assert on_a_gpu == []


def test_other_layers_run_keras_loop_on_a_gpu(on_a_gpu: list[str]) -> None:
    layer = layers.GRU(UNITS)
    assert layer.kernel_obstacle() == "the device is a gpu, not a CPU"
    assert layer(jnp.ones((BATCH, TIME, FEATURES)), mask=jnp.asarray(masks()["left"])).shape == (BATCH, UNITS)
