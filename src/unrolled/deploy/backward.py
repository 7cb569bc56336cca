"""Gradient through time of an exported recurrent network, by NumPy, from the weights in its ONNX file.

ONNX graphs have no gradients. The recurrence is small enough to be walked once forward and once back in
float64, a few milliseconds for a review, so that a server needs no framework for it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.manifest import CONFIG, MODEL
from unrolled.deploy.predictor import Predictor
from unrolled.deploy.wire import fields, message
from unrolled.types import DoubleArray

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT32 = 1
OUT_OF_VOCABULARY = 2
NOT_RECURRENT = "not recurrent"


def read_float_weights(payload: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 weights of an ONNX file by name."""
    found = {}
    for field, graph in fields(memoryview(payload)):
        if field != _MODEL_GRAPH:
            continue
        for inner, value in fields(message(graph)):
            if inner == _GRAPH_INITIALIZER:
                tensor: dict[int, Any] = {_TENSOR_DIMS: []}
                for key, part in fields(message(value)):
                    if key == _TENSOR_DIMS:
                        # One number at a time, as our exporter writes it; the format knows packed shapes too.
                        tensor[key].append(part)
                    else:
                        tensor[key] = part
                if tensor.get(_TENSOR_TYPE) == _FLOAT32 and _TENSOR_RAW in tensor:
                    array = np.frombuffer(tensor[_TENSOR_RAW], "<f4").reshape(tensor[_TENSOR_DIMS])
                    found[bytes(tensor[_TENSOR_NAME]).decode()] = array
    return found


class BackwardThroughTime:
    """Norms of ∂score/∂h at every step of the last recurrent layer, for one export.

    Args:
        predictor: the export.

    Attributes:
        reason: why there is no gradient; empty where there is one.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.manifest = predictor.manifest
        config = json.loads(self.manifest.read(CONFIG)).get("model", {})
        self.reason = ""
        if "cell" not in config:
            self.reason = NOT_RECURRENT
        elif config.get("bidirectional"):
            self.reason = "reads in both directions: no single order of steps"
        elif self.manifest.precision != "float32":
            self.reason = "weights in eight bits"
        else:
            self.config: dict[str, Any] = config
            weights = read_float_weights(self.manifest.read(MODEL))
            self.weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def norms(self, tokens: NDArray[np.int64], target: int) -> DoubleArray:
        """‖∂score/∂h_t‖ for each step, float64, shape (steps,); the score is the logit of class ``target``.

        Args:
            tokens: int64, shape (tokens,), as read: cut to the export's length.
            target: index of the class; with two classes the sign of the one logit does not matter here.
        """
        inputs = self._steps(tokens)
        cell = str(self.config["cell"])
        number = int(self.config["num_layers"])
        for layer in range(1, number):
            inputs = run_cell(cell, inputs, self._layer(layer))[0]
        trace = run_cell(cell, inputs, self._layer(number))[1]
        kernel = self.weights["output.kernel"]
        slope = kernel[:, 0 if kernel.shape[1] == 1 else target]
        slopes = back_through_cell(cell, trace, self._layer(number), slope)
        return np.asarray(np.linalg.norm(slopes, axis=1))

    def scores(self, tokens: NDArray[np.int64]) -> DoubleArray:
        """The logits, float64, by the same walk forward: what ties it to the ONNX runtime's answers."""
        states = self._steps(tokens)
        for layer in range(1, int(self.config["num_layers"]) + 1):
            states = run_cell(str(self.config["cell"]), states, self._layer(layer))[0]
        last = states[-1] if len(states) else np.zeros(self.weights["output.kernel"].shape[0])
        return np.asarray(last @ self.weights["output.kernel"] + self.weights["output.bias"])

    def _layer(self, number: int) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        stem = f"{self.config['cell']}_{number}"
        inputs, state, bias = (self.weights[f"{stem}.{part}"][0] for part in ("inputs", "state", "bias"))
        return inputs, state, bias

    def _steps(self, tokens: NDArray[np.int64]) -> DoubleArray:
        """What the first recurrent layer reads: (steps, features)."""
        masked, length = self.manifest.masked, int(self.config["length"])
        ids = np.where(tokens >= self.config["vocabulary_size"], OUT_OF_VOCABULARY, tokens)
        front = 0 if masked else length - len(ids)
        pool = int(self.config.get("pool_size", 1)) if "filters" in self.config else 1
        if masked:
            front = -len(ids) % pool
        ids = np.concatenate([np.zeros(front, np.int64), ids])
        steps = self.weights["embedding"][ids]
        if "filters" not in self.config:
            return np.asarray(steps)
        kernel, bias = self.weights["convolution.kernel"], self.weights["convolution.bias"]
        around = kernel.shape[2] - 1
        padded = np.pad(steps, ((around // 2, around - around // 2), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2], axis=0)
        phrases = np.maximum(np.einsum("tik,oik->to", windows, kernel) + bias, 0.0)
        if masked:
            phrases[:front] = 0.0
        count = len(phrases) // pool
        return np.asarray(phrases[: count * pool].reshape(count, pool, -1).max(axis=1))


Layer = tuple[DoubleArray, DoubleArray, DoubleArray]


def _sigmoid(value: DoubleArray) -> DoubleArray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * value)))


def run_cell(
    cell: str, inputs: DoubleArray, layer: Layer, start: DoubleArray | None = None
) -> tuple[DoubleArray, list[Any]]:
    """All states of one layer, float64 (steps, units), and what its backward walk needs.

    Args:
        cell: "simple_rnn", "gru" or "lstm"; gates in ONNX's order.
        inputs: (steps, features).
        layer: input weights (gates × units, features), state weights (gates × units, units), both biases.
        start: state before the first step, zeros if None.
    """
    kernel, recurrent, bias = layer
    units = recurrent.shape[1]
    offsets = inputs @ kernel.T + bias[: len(recurrent)]
    state_bias = bias[len(recurrent) :]
    hidden = np.zeros(units) if start is None else start
    memory = np.zeros(units)
    states = np.empty((len(inputs), units))
    trace: list[Any] = []
    for step, offset in enumerate(offsets):
        product = recurrent @ hidden + state_bias
        previous = hidden
        if cell == "simple_rnn":
            hidden = np.tanh(offset + product)
            trace.append((hidden,))
        elif cell == "gru":
            update, reset = _sigmoid((offset + product)[: 2 * units]).reshape(2, units)
            inner = product[2 * units :]
            new = np.tanh(offset[2 * units :] + reset * inner)
            hidden = (1.0 - update) * new + update * previous
            trace.append((previous, update, reset, inner, new))
        else:
            total = offset + product
            admit, emit, keep = _sigmoid(total[: 3 * units]).reshape(3, units)
            new = np.tanh(total[3 * units :])
            before, memory = memory, keep * memory + admit * new
            bent = np.tanh(memory)
            hidden = emit * bent
            trace.append((admit, emit, keep, new, before, bent))
        states[step] = hidden
    return states, trace


def back_through_cell(cell: str, trace: list[Any], layer: Layer, slope: DoubleArray) -> DoubleArray:
    """∂score/∂h_t for every step, (steps, units), where ``slope`` is that of the last one."""
    recurrent = layer[1]
    found = np.empty((len(trace), len(slope)))
    memory = np.zeros(len(slope))
    for step in reversed(range(len(trace))):
        found[step] = slope
        if cell == "simple_rnn":
            (hidden,) = trace[step]
            slope = (slope * (1.0 - hidden**2)) @ recurrent
        elif cell == "gru":
            previous, update, reset, inner, new = trace[step]
            candidate = slope * (1.0 - update) * (1.0 - new**2)
            gates = [
                slope * (previous - new) * update * (1.0 - update),
                candidate * inner * reset * (1.0 - reset),
                candidate * reset,
            ]
            slope = slope * update + np.concatenate(gates) @ recurrent
        else:
            admit, emit, keep, new, before, bent = trace[step]
            memory = memory + slope * emit * (1.0 - bent**2)
            gates = [
                memory * new * admit * (1.0 - admit),
                slope * bent * emit * (1.0 - emit),
                memory * before * keep * (1.0 - keep),
                memory * admit * (1.0 - new**2),
            ]
            memory = memory * keep
            slope = np.concatenate(gates) @ recurrent
    return found
