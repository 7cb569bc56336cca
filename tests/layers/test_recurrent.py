"""The fused layers against keras.layers: weights, outputs, states, gradients, masks, configuration."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unrolled.kernels import bridge, programs
from unrolled.layers import GRU, LSTM, SimpleRNN, keras
from unrolled.layers.recurrent import FusedLoop

BATCH, TIME, FEATURES, UNITS = 6, 11, 5, 18
LAYERS = pytest.mark.parametrize("layer", [SimpleRNN, LSTM, GRU], ids=lambda layer: layer.__name__)

OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "sequences": {"return_sequences": True},
    "states": {"return_state": True, "return_sequences": True},
    "backwards": {"go_backwards": True, "return_sequences": True},
    "dropout": {"dropout": 0.4, "seed": 3},
    "no bias": {"use_bias": False},
    "zero output": {"zero_output_for_mask": True, "return_sequences": True},
    "zero output backwards": {"zero_output_for_mask": True, "go_backwards": True, "return_state": True},
    "regularised": {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_initializer": "ones"},
    "activity": {"activity_regularizer": "l2", "return_sequences": True},
}

MASKS = {
    "left": np.arange(TIME)[None] >= np.array([0, 1, 4, 7, 10, 3])[:, None],
    "right": np.arange(TIME)[None] < np.array([11, 1, 4, 7, 10, 3])[:, None],
    "holes": np.random.default_rng(0).random((BATCH, TIME)) < 0.5,
    "some rows empty": np.arange(TIME)[None] >= np.array([11, 1, 11, 7, 0, 3])[:, None],
}


def of_keras(layer: type) -> type:
    """Keras' own layer of the same name."""
    return getattr(keras.layers, layer.__name__)


def made(layer: type, **options: Any) -> Any:
    """A built layer, always from the same seed."""
    keras.utils.set_random_seed(7)
    result = layer(UNITS, **{"name": "layer", **options})
    result.build((BATCH, TIME, FEATURES))
    return result


def inputs() -> Any:
    return jnp.asarray(np.random.default_rng(1).normal(size=(BATCH, TIME, FEATURES)), jnp.float32)


def values(variables: Any) -> list[Any]:
    return [variable.value for variable in variables]


def training_call(layer: Any, initial_state: Any = None) -> Any:
    """A jitted function of a mask: outputs, next non-trainable values and all gradients."""

    def loss(weights: Any, x: Any, state: Any, mask: Any) -> Any:
        outputs, others, losses = layer.stateless_call(
            weights,
            values(layer.non_trainable_variables),
            x,
            mask=mask,
            training=True,
            initial_state=state,
            return_losses=True,
        )
        leaves = jax.tree.leaves(outputs)
        total = sum(jnp.sum(jnp.sin(leaf + index)) for index, leaf in enumerate(leaves))
        return total + sum(losses), (leaves, others)

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))

    def run(mask: Any) -> tuple[Any, Any, Any]:
        weights = values(layer.trainable_variables)
        (_, (outputs, others)), gradients = compiled(weights, inputs(), initial_state, mask)
        return outputs, others, gradients

    return run


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (float(jnp.abs(b).max()) + 1e-6))


def assert_equal_to_keras(layer: type, options: dict[str, Any], *masks: Any, **arguments: Any) -> None:
    ours, theirs = made(layer, **options), made(of_keras(layer), **options)
    assert ours.kernel_obstacle() is None
    jax.tree.map(np.testing.assert_array_equal, values(ours.weights), values(theirs.weights))
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    ours_call, theirs_call = training_call(ours, **arguments), training_call(theirs, **arguments)
    for mask in masks:
        found, expected = ours_call(mask), theirs_call(mask)
        assert_close(found[0], expected[0], 2e-5)
        jax.tree.map(np.testing.assert_array_equal, found[1], expected[1])
        assert_close(found[2], expected[2], 1e-4)


@LAYERS
def test_any_mask_gives_keras_results(layer: type) -> None:
    assert_equal_to_keras(layer, {"return_sequences": True, "return_state": True}, *MASKS.values())


@pytest.mark.parametrize("options", OPTIONS)
def test_any_option_gives_keras_results(options: str) -> None:
    assert_equal_to_keras(LSTM, OPTIONS[options], MASKS["left"] if "zero" in options else None)


@pytest.mark.parametrize("layer", [SimpleRNN, GRU])
@pytest.mark.parametrize("options", ["dropout", "no bias", "zero output backwards"])
def test_the_other_layers_follow(layer: type, options: str) -> None:
    assert_equal_to_keras(layer, OPTIONS[options], MASKS["holes"] if "zero" in options else None)


def test_the_gru_with_its_reset_gate_before_the_product() -> None:
    assert_equal_to_keras(GRU, {"reset_after": False}, MASKS["right"])


@LAYERS
def test_an_initial_state_and_its_gradient(layer: type) -> None:
    rng = np.random.default_rng(2)
    count = 2 if layer is LSTM else 1
    state = [jnp.asarray(rng.normal(size=(BATCH, UNITS)), jnp.float32) for _ in range(count)]
    assert_equal_to_keras(layer, {}, MASKS["left"], initial_state=state)


@LAYERS
def test_one_row_and_one_step(layer: type) -> None:
    x = inputs()[:1, :1]
    ours, theirs = made(layer), made(of_keras(layer))
    assert_close(ours(x), theirs(x), 2e-5)


@LAYERS
def test_a_stateful_layer_carries_its_state(layer: type) -> None:
    x = inputs()
    ours, theirs = made(layer, stateful=True), made(of_keras(layer), stateful=True)
    for _ in range(2):
        found, expected = ours(x), theirs(x)
        assert_close(found, expected, 2e-5)
    ours.reset_state()
    theirs.reset_state()
    assert_close(ours(x), theirs(x), 2e-5)


@pytest.mark.parametrize("layer", [LSTM])
def test_stacked_and_bidirectional_models_behind_an_embedding(layer: type) -> None:
    tokens = np.random.default_rng(3).integers(1, 20, size=(BATCH, TIME))
    tokens[MASKS["left"] == 0] = 0

    def model(kind: type) -> Any:
        keras.utils.set_random_seed(5)
        return keras.Sequential(
            [
                keras.layers.Input((TIME,), dtype="int32"),
                keras.layers.Embedding(20, FEATURES, mask_zero=True),
                keras.layers.Bidirectional(kind(7, return_sequences=True)),
                kind(UNITS, return_sequences=True),
                keras.layers.Bidirectional(kind(3), merge_mode="sum"),
                keras.layers.Dense(1),
            ]
        )

    ours, theirs = model(layer), model(of_keras(layer))
    assert ours.output_shape == theirs.output_shape
    assert ours.count_params() == theirs.count_params()

    def gradients(model: Any) -> Any:
        def loss(weights: Any) -> Any:
            outputs, _ = model.stateless_call(weights, values(model.non_trainable_variables), tokens)
            return (outputs**2).sum(), outputs

        return jax.jit(jax.grad(loss, has_aux=True))(values(model.trainable_variables))

    found, expected = gradients(ours), gradients(theirs)
    assert_close(found[1], expected[1], 2e-5)
    assert_close(found[0], expected[0], 1e-4)


FALLBACKS: list[tuple[dict[str, Any], str]] = [
    ({"activation": "relu"}, "activation=relu"),
    ({"recurrent_dropout": 0.2, "seed": 1}, r"recurrent_dropout=0\.2"),
    ({"unroll": True}, "unroll=True"),
    ({"dtype": "mixed_bfloat16"}, "not bfloat16"),
]


@pytest.mark.parametrize(("options", "reason"), FALLBACKS)
@pytest.mark.parametrize("layer", [SimpleRNN])
def test_what_no_kernel_computes_is_left_to_keras(layer: type, options: dict[str, Any], reason: str) -> None:
    ours, theirs = made(layer, **options), made(of_keras(layer), **options)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(ours.explain_path())
    found, expected = training_call(ours)(MASKS["left"]), training_call(theirs)(MASKS["left"])
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_other_obstacles_are_named() -> None:
    assert "implementation=1" in made(LSTM, implementation=1, dropout=0.1).explain_path()
    assert (
        "recurrent_activation=hard_sigmoid" in made(GRU, recurrent_activation="hard_sigmoid").explain_path()
    )
    assert "dropout=1.0" in made(LSTM, dropout=1.0).explain_path()
    assert made(LSTM).explain_path() == "fused kernel"


def test_without_a_usable_jaxlib_keras_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = training_call(made(LSTM))(MASKS["left"])
    monkeypatch.setattr(bridge, "header_problem", lambda: "another interface")
    programs.unavailable_because.cache_clear()
    try:
        layer = made(LSTM)
        with pytest.warns(RuntimeWarning, match="another interface"):
            found = training_call(layer)(MASKS["left"])
        assert "another interface" in layer.explain_path()
    finally:
        programs.unavailable_because.cache_clear()
    assert_close(found, expected, 1e-4)


@LAYERS
def test_the_configuration_and_the_weights_are_keras_own(layer: type, tmp_path: Any) -> None:
    options = {"dropout": 0.25, "return_sequences": True, "seed": 4, "name": "layer"}
    ours, theirs = made(layer, **options), made(of_keras(layer), **options)
    assert ours.get_config() == theirs.get_config()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(ours))
    assert type(again) is layer
    assert isinstance(again, FusedLoop)
    assert again.get_config() == ours.get_config()
    ours.set_weights([weight + 1 for weight in ours.get_weights()])
    theirs.set_weights(ours.get_weights())
    assert_close(ours(inputs()), theirs(inputs()), 2e-5)

    model = keras.Sequential([keras.layers.Input((TIME, FEATURES)), ours])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is layer
    np.testing.assert_array_equal(loaded(inputs()), model(inputs()))


def test_a_mask_may_arrive_as_numbers() -> None:
    layer, theirs = made(LSTM), made(keras.layers.LSTM)
    mask = MASKS["holes"].astype("int32")
    assert_close(layer(inputs(), mask=mask), theirs(inputs(), mask=MASKS["holes"]), 2e-5)
