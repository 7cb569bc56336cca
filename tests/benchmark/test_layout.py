"""Weights as PyTorch lays them out: its published equations in NumPy against Keras' own layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from unrolled.benchmark.peers.layout import to_torch

BATCH, TIME, INPUTS, UNITS = 3, 5, 4, 6


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def torch_recurrence(cell: str, x: np.ndarray, state: dict[str, np.ndarray], suffix: str) -> np.ndarray:
    """The last state by the equations of the documentation of torch.nn.RNN, GRU and LSTM."""
    w, u = state[f"weight_ih_l0{suffix}"], state[f"weight_hh_l0{suffix}"]
    b, c = state[f"bias_ih_l0{suffix}"], state[f"bias_hh_l0{suffix}"]
    h, memory = np.zeros((len(x), UNITS)), np.zeros((len(x), UNITS))
    for t in range(x.shape[1]):
        a, s = x[:, t] @ w.T + b, h @ u.T + c
        if cell == "simple_rnn":
            h = np.tanh(a + s)
        elif cell == "gru":
            (ar, az, an), (sr, sz, sn) = np.split(a, 3, 1), np.split(s, 3, 1)
            r, z = sigmoid(ar + sr), sigmoid(az + sz)
            h = (1 - z) * np.tanh(an + r * sn) + z * h
        else:
            i, f, g, o = np.split(a + s, 4, 1)
            memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(memory)
    return h


def randomise(layer: Any) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    for weight in layer.trainable_variables:
        weight.assign(random.normal(0, 0.5, weight.shape).astype(np.float32))
    return [np.asarray(weight) for weight in layer.trainable_variables]


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("cell", "name"), [("simple_rnn", "SimpleRNN"), ("gru", "GRU"), ("lstm", "LSTM")])
def test_recurrent_weights_compute_the_same(cell: str, name: str, both: bool) -> None:
    import keras

    layer = getattr(keras.layers, name)(UNITS)
    layer = keras.layers.Bidirectional(layer) if both else layer
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    layer.build(x.shape)
    weights = randomise(layer)
    found = to_torch([{"kind": "recurrence", "cell": cell, "bidirectional": both}], weights)
    state = {key.removeprefix("parts.0."): array for key, array in found.items()}
    answer = torch_recurrence(cell, x, state, "")
    if both:
        answer = np.concatenate([answer, torch_recurrence(cell, x[:, ::-1], state, "_reverse")], 1)
    np.testing.assert_allclose(answer, np.asarray(layer(x)), rtol=1e-4, atol=1e-5)


def test_a_convolution_computes_the_same() -> None:
    import keras

    layer = keras.layers.Conv1D(UNITS, 3, padding="same")
    x = np.random.default_rng(1).normal(size=(BATCH, TIME, INPUTS)).astype(np.float32)
    layer.build(x.shape)
    found = to_torch([{"kind": "convolution"}], randomise(layer))
    kernel, bias = found["parts.0.weight"], found["parts.0.bias"]
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    # weight[filter, channel, tap], as torch.nn.Conv1d reads it.
    windows = np.stack([padded[:, t : t + 3] for t in range(TIME)], 1)
    answer = np.einsum("btkc,fck->btf", windows, kernel) + bias
    np.testing.assert_allclose(answer, np.asarray(layer(x)), rtol=1e-4, atol=1e-5)


def test_every_part_gets_its_own_and_none_is_left() -> None:
    layers = [{"kind": "embedding"}, {"kind": "pooling"}, {"kind": "dense"}, {"kind": "output"}]
    arrays = [np.full(shape, n, np.float32) for n, shape in enumerate([(9, 2), (2, 7), (7,), (7, 1), (1,)])]
    found = to_torch(layers, arrays)
    assert {name: array.shape for name, array in found.items()} == {
        "parts.0.weight": (9, 2),
        "parts.2.weight": (7, 2),
        "parts.2.bias": (7,),
        "parts.3.weight": (1, 7),
        "parts.3.bias": (1,),
    }
    with pytest.raises(ValueError, match="more arrays"):
        to_torch(layers, [*arrays, arrays[0]])
