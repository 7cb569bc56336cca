"""Floating-point operations of a forward pass, layer by layer.

Convention: a multiply-add is 2 operations; an addition, a product and an activation of one number are 1
each. A sequence is counted at its full padded length, recurrence included: every step runs the cell once.
Lookups, reshapes, masks and dropout at inference cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from unrolled.errors import UsageError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer does for one sequence.

    Args:
        name: the layer's name within the model.
        flops: operations of a forward pass.
    """

    name: str
    flops: int


def count_flops(network: Any) -> tuple[LayerCost, ...]:
    """Forward operations for one sequence, layer by layer; the whole is the sum of the parts.

    Args:
        network: a built sequential Keras model with a fixed input length.

    Raises:
        UsageError: a layer for which there is no rule.
    """
    costs = []
    shape = tuple(network.input_shape)
    for layer in network.layers:
        costs.append(LayerCost(layer.name, _layer_flops(layer, shape)))
        shape = tuple(layer.output.shape)
    return tuple(costs)


def _layer_flops(layer: Any, shape: Shape) -> int:
    for kind in type(layer).__mro__:
        if kind.__name__ in _RULES:
            return _RULES[kind.__name__](layer, shape)
    raise UsageError(
        "count_flops",
        f"no rule for a layer (got type={type(layer).__name__})",
        expected=f"one of {', '.join(sorted(_RULES))}",
        action="leave the layer out, or add its rule to evidence/cost.py",
    )


def _dense(layer: Any, shape: Shape) -> int:
    size, units = layer.kernel.shape
    return int(prod(shape[1:-1]) * (2 * size * units + 2 * units))


def _convolution(layer: Any, shape: Shape) -> int:
    width, channels, filters = layer.kernel.shape
    return int(layer.output.shape[1] * (2 * width * channels * filters + 2 * filters))


def _pooling(layer: Any, shape: Shape) -> int:
    return int((layer.pool_size[0] - 1) * prod(layer.output.shape[1:]))


def _recurrence(layer: Any, shape: Shape) -> int:
    _, steps, size = shape
    units = layer.units
    gates, elementwise = next(
        _CELLS[kind.__name__] for kind in type(layer).__mro__ if kind.__name__ in _CELLS
    )
    return int(steps * (2 * gates * units * (size + units) + elementwise * units))


def _bidirectional(layer: Any, shape: Shape) -> int:
    return _layer_flops(layer.forward_layer, shape) + _layer_flops(layer.backward_layer, shape)


# Gates, and operations per unit and step beside the products:
# SimpleRNN: bias, sum, tanh. GRU with reset_after: 3 + 3 biases, 2 sums, 3 activations, reset product and
# sum, 4 for the update. LSTM: 4 biases, 4 sums, 5 activations, 4 for cell and state.
_CELLS = {"SimpleRNN": (1, 3), "GRU": (3, 17), "LSTM": (4, 17)}

_RULES: dict[str, Callable[[Any, Shape], int]] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "MaxPooling1D": _pooling,
    "Bidirectional": _bidirectional,
    "MarkedSteps": lambda layer, shape: 0,
    "Embedding": lambda layer, shape: 0,
    "Flatten": lambda layer, shape: 0,
    **dict.fromkeys(_CELLS, _recurrence),
}
