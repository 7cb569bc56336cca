"""Keras' recurrent layers as ONNX's RNN, GRU and LSTM operators: equal equations, gates in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.graph import Graph

#: For each cell its operator, where each of ONNX's gates stands among Keras', and fixed attributes.
#: Keras' GRU of today applies the reset gate after the matrix product: ``linear_before_reset``.
OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "simple_rnn": ("RNN", (0,), {}),
    "gru": ("GRU", (0, 1, 2), {"linear_before_reset": 1}),
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
}
ARRAYS_PER_DIRECTION = 3
#: Each operator's activations by default, for one direction.
ACTIVATIONS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}


def add_recurrent(
    graph: Graph,
    inputs: str,
    arrays: Sequence[NDArray[Any]],
    *,
    cell: str,
    bidirectional: bool,
    lengths: str | None,
    exact_tanh: bool,
    name: str,
) -> tuple[str, str]:
    """One recurrent layer: all its states and its last one.

    Args:
        graph: what it is added to.
        inputs: float32 (time, batch, features), padded on the right.
        arrays: kernel, recurrent kernel and bias as Keras keeps them, for each direction.
        cell: "simple_rnn", "gru" or "lstm".
        bidirectional: whether the second half of ``arrays`` reads from right to left.
        lengths: int32 (batch,), real steps of each row; None where all are.
        exact_tanh: tanh as ScaledTanh with 1 and 1, which is the same function. ONNX Runtime computes Tanh by
            a rational approximation whose error, 1e-7 a step, grows over hundreds of steps to 1e-5 of a
            probability; ScaledTanh it computes by the C library, at 1.5 times the cost of the whole layer.
        name: for its weights.

    Returns:
        The names of (time, batch, features) and (batch, features); both directions side by side.
    """
    operator, order, fixed = OPERATORS[cell]
    if exact_tanh:
        fixed = {**fixed, **_exact_activations(operator, 1 + bidirectional)}
    directions = [arrays[:ARRAYS_PER_DIRECTION], arrays[ARRAYS_PER_DIRECTION:]][: 1 + bidirectional]
    units = directions[0][1].shape[0]

    def gates(array: NDArray[Any]) -> NDArray[Any]:
        """(..., gates × units) in Keras' order to (gates × units, ...) in ONNX's."""
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1).T

    def biases(bias: NDArray[Any]) -> NDArray[Any]:
        """ONNX keeps a bias for inputs and one for the state; only Keras' GRU has both."""
        rows = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        return np.concatenate([gates(row) for row in rows])

    states, last = graph.add_all(
        operator,
        [
            inputs,
            graph.weight(f"{name}.inputs", np.stack([gates(part[0]) for part in directions])),
            graph.weight(f"{name}.state", np.stack([gates(part[1]) for part in directions])),
            graph.weight(f"{name}.bias", np.stack([biases(part[2]) for part in directions])),
            lengths or "",
        ],
        outputs=2,
        hidden_size=units,
        direction="bidirectional" if bidirectional else "forward",
        **fixed,
    )
    if not bidirectional:
        return graph.add("Squeeze", [states, graph.integers(1)]), graph.add(
            "Squeeze", [last, graph.integers(0)]
        )
    side_by_side = graph.add("Transpose", [states], perm=[0, 2, 1, 3])
    states = graph.add("Reshape", [side_by_side, graph.integers(0, 0, 2 * units)])
    both = graph.add("Transpose", [last], perm=[1, 0, 2])
    return states, graph.add("Reshape", [both, graph.integers(-1, 2 * units)])


def _exact_activations(operator: str, directions: int) -> dict[str, Any]:
    kinds = [kind.replace("Tanh", "ScaledTanh") for kind in ACTIVATIONS[operator] * directions]
    ones = [1.0] * kinds.count("ScaledTanh")
    return {"activations": kinds, "activation_alpha": ones, "activation_beta": ones}
