"""A slow, literal float64 reference of every recurrent layer, one row and one step at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "simple_rnn": 1}
NUM_STATES = {"lstm": 2, "gru": 1, "gru_reset_before": 1, "simple_rnn": 1}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def step(kernel: str, x: Array, weights: list[Array], states: list[Array]) -> list[Array]:
    """The states of one row after one real step."""
    units = len(states[0])
    h = states[0]
    if kernel == "simple_rnn":
        w, u, b = weights
        return [np.tanh(x @ w + h @ u + b)]
    if kernel == "lstm":
        w, u, b = weights
        z = x @ w + h @ u + b
        i, f, g, o = (z[gate * units : (gate + 1) * units] for gate in range(4))
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    w, u, b, recurrent_b = weights
    a = x @ w + b
    if kernel == "gru":
        q = h @ u + recurrent_b
        z, r = sigmoid(a[:units] + q[:units]), sigmoid(a[units : 2 * units] + q[units : 2 * units])
        g = np.tanh(a[2 * units :] + r * q[2 * units :])
    else:
        q = h @ u[:, : 2 * units]
        z, r = sigmoid(a[:units] + q[:units]), sigmoid(a[units : 2 * units] + q[units:])
        g = np.tanh(a[2 * units :] + (r * h) @ u[:, 2 * units :])
    return [z * h + (1 - z) * g]


def run(
    kernel: str, inputs: Array, weights: list[Array], states: list[Array], mask: Array, backwards: bool
) -> tuple[list[Array], Array]:
    """The last states and every output, as ``unrolled.kernels.recurrent.run`` defines them."""
    batch, time, _ = inputs.shape
    last = [state.copy() for state in states]
    outputs = np.empty((batch, time, states[0].shape[1]))
    for row in range(batch):
        now = [state[row] for state in states]
        for count in range(time):
            at = time - 1 - count if backwards else count
            if mask[row, at]:
                now = step(kernel, inputs[row, at], weights, now)
            outputs[row, count] = now[0]
        for state, value in zip(last, now, strict=True):
            state[row] = value
    return last, outputs


def random_problem(
    kernel: str, rng: np.random.Generator, *, batch: int, time: int, features: int, units: int
) -> tuple[Array, list[Array], list[Array]]:
    """Inputs, weights and states as they occur in training, float64 but exact in float32."""

    def draw(*shape: int, scale: float = 1.0) -> Array:
        return (rng.normal(size=shape) * scale).astype(np.float32).astype(np.float64)

    width = GATES[kernel] * units
    weights = [draw(features, width, scale=features**-0.5), draw(units, width, scale=units**-0.5)]
    weights += [draw(width, scale=0.1) for _ in range(2 if kernel.startswith("gru") else 1)]
    states = [draw(batch, units, scale=0.5) for _ in range(NUM_STATES[kernel])]
    return draw(batch, time, features), weights, states


def random_mask(kind: str, rng: np.random.Generator, batch: int, time: int) -> NDArray[np.bool_]:
    """A mask padded on the "left" or "right", with "holes", "full", or "mixed" with rows of padding only."""
    lengths = rng.integers(0 if kind == "mixed" else 1, time + 1, size=(batch, 1))
    place = np.arange(time)[None]
    if kind == "left":
        return place >= time - lengths
    if kind in ("right", "mixed"):
        return place < lengths
    if kind == "holes":
        return rng.random((batch, time)) < 0.6
    return np.ones((batch, time), bool)


MASKS = ("full", "left", "right", "holes", "mixed")
