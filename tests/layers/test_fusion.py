"""A fused model against the same model layer by layer: the same losses, weights and predictions."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.layers import accelerate, keras
from unrolled.layers.adam import FEWEST_NUMBERS
from unrolled.layers.fusion import fusion_of
from unrolled.models import build_model, make_spec
from unrolled.training.network import Network
from unrolled.types import SequenceBatch

TIME = 24
SMALL = {"length": TIME, "vocabulary_size": 40, "embedding_size": 6, "units": 7}


def batch(random: np.random.Generator, size: int) -> SequenceBatch:
    """Left-padded reviews of every length, one of them all padding or a single word."""
    tokens = np.zeros((size, TIME), np.int32)
    for row, length in zip(tokens, random.integers(0, TIME + 1, size), strict=True):
        row[TIME - length :] = random.integers(1, 40, length)
    tokens[0] = 0
    tokens[1] = random.integers(1, 40, TIME)
    return SequenceBatch(tokens, random.integers(0, 2, size).astype(np.int32), np.ones(size, np.float32))


@pytest.mark.parametrize("padding", ["masked", "word"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("gru", {}, marks=pytest.mark.slow),
        ("simple_rnn", {}),
        ("lstm", {}),
        ("lstm", {"dropout": 0.0}),
        pytest.param("stacked_lstm", {}, marks=pytest.mark.slow),
        ("cnn_gru", {"kernel_size": 5, "pool_size": 3}),
        ("cnn_lstm", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "plain",
)
def test_training_is_the_same_function(name: str, settings: dict[str, float], padding: str) -> None:
    spec = make_spec(name, **SMALL, **settings, padding=padding)
    fused, plain = (Network(spec, seed=0, learning_rate=1e-2, fused=fused) for fused in (True, False))
    states = [fused.initial_state(), plain.initial_state()]
    random = np.random.default_rng(0)
    for _ in range(8):
        step = batch(random, 6)
        states[0], loss, _ = fused.step(states[0], step)
        states[1], expected, _ = plain.step(states[1], step)
        assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    mine, theirs = fused.weights(states[0]), plain.weights(states[1])
    for key, value in theirs.items():
        np.testing.assert_allclose(mine[key], value, atol=2e-4, err_msg=key)
    tokens = batch(random, 5).tokens
    np.testing.assert_allclose(
        fused.probabilities(states[0], tokens), plain.probabilities(states[1], tokens), atol=2e-4
    )


@pytest.mark.parametrize("padding", ["masked", "word"])
@pytest.mark.parametrize("name", ["cnn", "embedding_dense"])
def test_fifty_steps_of_a_flattened_network_lose_the_same(name: str, padding: str) -> None:
    # Wide enough that Adam's own kernel steps in for the largest weights.
    sizes = {"length": TIME, "vocabulary_size": 2_000, "embedding_size": 36, "hidden_units": 80}
    spec = make_spec(name, **sizes, padding=padding)
    fused, plain = (Network(spec, seed=0, learning_rate=1e-3, fused=fused) for fused in (True, False))
    assert max(value.size for value in fused.initial_state().trainable) >= FEWEST_NUMBERS
    states = [fused.initial_state(), fused.initial_state(), plain.initial_state()]
    random = np.random.default_rng(0)
    for _ in range(50):
        step = batch(random, 6)
        states[0], loss, _ = fused.step(states[0], step)
        states[1], again, _ = fused.step(states[1], step)
        states[2], expected, _ = plain.step(states[2], step)
        assert float(loss) == float(again)
        assert float(loss) == pytest.approx(float(expected), rel=1e-3)
    for one, other in zip(states[0].trainable, states[1].trainable, strict=True):
        np.testing.assert_array_equal(one, other)
    tokens = batch(random, 5).tokens
    np.testing.assert_allclose(
        fused.probabilities(states[0], tokens), plain.probabilities(states[2], tokens), atol=2e-4
    )


def test_an_accelerated_model_shares_its_variables() -> None:
    model = build_model("gru", seed=1, **SMALL)
    fast = accelerate(model)
    tokens = batch(np.random.default_rng(1), 4).tokens
    np.testing.assert_allclose(np.asarray(fast(tokens)), np.asarray(model(tokens)), atol=1e-6)
    model.layers[0].embeddings.assign(model.layers[0].embeddings * 2)
    np.testing.assert_allclose(np.asarray(fast(tokens)), np.asarray(model(tokens)), atol=1e-6)
    assert [variable.path for variable in fast.trainable_variables] == [
        variable.path for variable in model.trainable_variables
    ]
    assert accelerate(model, False) is model


def test_what_is_fused_and_what_is_left() -> None:
    from unrolled import layers

    def chain(*following: object) -> list[object]:
        return [keras.layers.Embedding(10, 4), *following]

    assert fusion_of(chain(layers.LSTM(3)), 0) == "tokens"
    assert fusion_of(chain(keras.layers.LSTM(3)), 0) is None
    assert fusion_of(chain(layers.LSTM(3, activation="relu")), 0) is None
    assert fusion_of(chain(layers.GRU(3, recurrent_dropout=0.1)), 0) is None
    assert fusion_of(chain(layers.GRU(3, stateful=True)), 0) is None
    assert fusion_of(chain(keras.layers.Dropout(0.5), layers.GRU(3)), 0) is None
    front = [layers.Conv1D(4, 3, padding="same"), layers.MaxPooling1D(2)]
    assert fusion_of(chain(*front, layers.GRU(3)), 0) == "phrases"
    assert fusion_of(chain(layers.Conv1D(4, 3), layers.MaxPooling1D(2), layers.GRU(3)), 0) is None
    assert fusion_of(chain(*front), 0) == "front"
    assert fusion_of(chain(*front, keras.layers.Flatten()), 0) == "front"
    assert fusion_of(chain(front[0], layers.MaxPooling1D(2, strides=1)), 0) is None
    assert fusion_of(chain(layers.Conv1D(4, 3, padding="same", activation="tanh"), front[1]), 0) is None
    assert fusion_of(chain(layers.Conv1D(4, 3, padding="same", groups=2), front[1]), 0) is None
    assert fusion_of(chain(keras.layers.Flatten(), keras.layers.Dense(3)), 0) == "positions"
    assert fusion_of(chain(keras.layers.Flatten(), keras.layers.Dropout(0.5)), 0) is None
    # Keras' own layers drop the mask: what they compute then is another function.
    masked = keras.layers.Embedding(10, 4, mask_zero=True)
    keras_front = [keras.layers.Conv1D(4, 3, padding="same"), keras.layers.MaxPooling1D(2)]
    assert fusion_of([masked, *front], 0) == "front"
    assert fusion_of([masked, *keras_front], 0) is None
    assert fusion_of([masked, layers.Flatten(), keras.layers.Dense(3)], 0) == "positions"
    assert fusion_of([masked, keras.layers.Flatten(), keras.layers.Dense(3)], 0) is None


@pytest.mark.parametrize("name", ["lstm", "cnn_lstm"])
def test_fifty_steps_over_long_padding_lose_the_same(name: str) -> None:
    # Long enough that, under dropout, states come to rest and gradients fade.
    spec = make_spec(name, length=160, vocabulary_size=40, embedding_size=6, units=7, padding="word")
    fused, plain = (Network(spec, seed=0, learning_rate=1e-2, fused=fused) for fused in (True, False))
    states = [fused.initial_state(), plain.initial_state()]
    random = np.random.default_rng(0)
    tokens = np.zeros((8, 160), np.int32)
    for row, length in zip(tokens, [0, 160, 80, 10, 20, 30, 5, 40], strict=True):
        row[160 - length :] = random.integers(1, 40, length)
    for _ in range(50):
        labels = random.integers(0, 2, 8).astype(np.int32)
        step = SequenceBatch(tokens, labels, np.ones(8, np.float32))
        states[0], loss, _ = fused.step(states[0], step)
        states[1], expected, _ = plain.step(states[1], step)
        assert float(loss) == pytest.approx(float(expected), rel=1e-3)
