"""Operations counted by hand, layer by layer, and by XLA on an unrolled graph."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled import layers
from unrolled.errors import UsageError
from unrolled.evidence.cost import count_adam, count_flops
from unrolled.kernels import gru, lstm, simple_rnn
from unrolled.layers import keras
from unrolled.models import architectures, make_spec
from unrolled.models.build import outline_model

T, E, H, F = 500, 100, 100, 32
PRODUCTS = 2 * H * (E + H)
BY_HAND = {
    "dense": [2 * 500 * 250 + 2 * 250, 2 * 250 + 2],
    "embedding_dense": [0, 0, 2 * 50_000 * 250 + 2 * 250, 502],
    "cnn": [0, T * (2 * 3 * E * F + 2 * F), 250 * F, 0, 2 * 8000 * 250 + 500, 502],
    "simple_rnn": [0, T * (PRODUCTS + 3 * H), 202],
    "gru": [0, T * (3 * PRODUCTS + 17 * H), 202],
    "lstm": [0, T * (4 * PRODUCTS + 17 * H), 202],
    "bilstm": [0, 2 * T * (4 * PRODUCTS + 17 * H), 402],
    "stacked_lstm": [0, T * (4 * PRODUCTS + 17 * H), T * (4 * PRODUCTS + 17 * H), 202],
    "cnn_lstm": [0, T * (600 * F + 2 * F), 250 * F, 250 * (4 * 2 * H * (F + H) + 17 * H), 202],
}
# Forwards and back. A product has two on the way back, but one where nothing before it learns.
TRAINING_BY_HAND = {
    "dense": [2 * (2 * 500 * 250) + 4 * 250, 3 * 2 * 250 + 4],
    "embedding_dense": [T * E, 0, 3 * 2 * 50_000 * 250 + 4 * 250, 3 * 500 + 4],
    "cnn": [
        T * E,
        T * (3 * 2 * 3 * E * F + 4 * F),
        250 * F + 2 * 250 * F,
        0,
        3 * 2 * 8000 * 250 + 4 * 250,
        3 * 500 + 4,
    ],
    "simple_rnn": [T * E, T * (3 * PRODUCTS + 7 * H), 604],
    "gru": [T * E, T * (9 * PRODUCTS + 39 * H), 604],
    "lstm": [T * E, T * (12 * PRODUCTS + 44 * H), 604],
    "bilstm": [T * E, 2 * T * (12 * PRODUCTS + 44 * H) + T * E, 1204],
    "stacked_lstm": [T * E, T * (12 * PRODUCTS + 45 * H), T * (12 * PRODUCTS + 44 * H), 604],
}
# Numbers of 4 bytes that a training step keeps of one sequence.
KEPT_BY_HAND = {
    "dense": [250, 1],
    "cnn": [T * E, T * F, 250 * F, 0, 250, 1],
    "simple_rnn": [T * E, T * H + H, 1],
    "gru": [T * E, 5 * T * H + H, 1],
    "stacked_lstm": [T * E, 5 * T * H + T * H, 5 * T * H + H, 1],
}


def costs(name: str):
    return count_flops(outline_model(make_spec(name)))


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_flops_are_those_counted_by_hand(name: str, expected: list[int]) -> None:
    assert [layer.flops for layer in costs(name)] == expected


@pytest.mark.parametrize(("name", "expected"), TRAINING_BY_HAND.items())
def test_training_flops_are_those_counted_by_hand(name: str, expected: list[int]) -> None:
    assert [layer.training_flops for layer in costs(name)] == expected


@pytest.mark.parametrize(("name", "expected"), KEPT_BY_HAND.items())
def test_activations_are_those_counted_by_hand(name: str, expected: list[int]) -> None:
    assert [layer.activation_bytes for layer in costs(name)] == [4 * count for count in expected]


def test_multiply_adds_leave_out_everything_else() -> None:
    assert [layer.multiply_adds for layer in costs("lstm")] == [0, T * 4 * H * (E + H), H]


def test_a_recurrence_is_said_to_keep_what_its_kernel_keeps() -> None:
    kernels = {"simple_rnn": simple_rnn, "gru": gru, "lstm": lstm}
    for name, kernel in kernels.items():
        assert costs(name)[1].activation_bytes == 4 * (kernel.KEPT * T * H + H)


def test_every_network_can_be_counted() -> None:
    for name in architectures():
        spec = make_spec(name)
        if spec.neural:
            found = costs(name)
            assert sum(layer.flops for layer in found) > 0
            assert all(layer.training_flops >= layer.flops >= 2 * layer.multiply_adds for layer in found)
            assert count_adam(outline_model(spec)) == 12 * outline_model(spec).count_params()


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_xla_counts_the_same_on_an_unrolled_graph(kind: str) -> None:
    """XLA sees the body of a loop once; unrolled it sees every step, and counts as we do.

    Forwards before optimisation, so that nothing is merged; back after it, so that nothing is idle. What is
    left is how activations and their slopes are written.
    """
    import jax
    import jax.numpy as jnp

    def build(library, **options):
        return keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Embedding(50, 24),
                getattr(library, kind)(32, **options),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )

    ours, graph = count_flops(build(layers)), build(keras.layers, unroll=True)
    fixed = [variable.value for variable in graph.non_trainable_variables]
    weights = [variable.value for variable in graph.trainable_variables]
    tokens = np.ones((1, 5), np.int32)

    def answer(weights, tokens):
        return graph.stateless_call(weights, fixed, tokens, training=False)[0]

    def loss(weights, tokens):
        return -jnp.log(answer(weights, tokens)).sum()

    forwards = jax.jit(answer).lower(weights, tokens).cost_analysis()["flops"]
    both = jax.jit(jax.value_and_grad(loss)).lower(weights, tokens).compile().cost_analysis()["flops"]
    assert sum(layer.flops for layer in ours) == pytest.approx(forwards, rel=0.02)
    assert sum(layer.training_flops for layer in ours) == pytest.approx(both, rel=0.04)


def test_a_layer_without_a_rule_is_named() -> None:
    network = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    with pytest.raises(UsageError, match=r"no rule for a layer \(got type=Softmax\)"):
        count_flops(network)
