"""Operations counted by hand, layer by layer."""

from __future__ import annotations

import pytest

from unrolled.errors import UsageError
from unrolled.evidence.cost import count_flops
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


@pytest.mark.parametrize(("name", "expected"), BY_HAND.items())
def test_flops_are_those_counted_by_hand(name: str, expected: list[int]) -> None:
    assert [layer.flops for layer in count_flops(outline_model(make_spec(name)))] == expected


def test_every_network_can_be_counted() -> None:
    for name in architectures():
        spec = make_spec(name)
        if spec.neural:
            assert sum(layer.flops for layer in count_flops(outline_model(spec))) > 0


def test_a_layer_without_a_rule_is_named() -> None:
    network = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    with pytest.raises(UsageError, match=r"no rule for a layer \(got type=Softmax\)"):
        count_flops(network)
