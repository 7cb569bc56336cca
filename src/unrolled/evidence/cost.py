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
    return tuple(LayerCost(layer.name, _layer_flops(layer)) for layer in network.layers)


def _layer_flops(layer: Any) -> int:
    for kind in type(layer).__mro__:
        if kind.__name__ in _RULES:
            return _RULES[kind.__name__](layer)
    raise UsageError(
        "count_flops",
        f"no rule for a layer (got type={type(layer).__name__})",
        expected=f"one of {', '.join(sorted(_RULES))}",
        action="leave the layer out, or add its rule to evidence/cost.py",
    )


def _dense(layer: Any) -> int:
    size, units = layer.kernel.shape
    positions = prod(layer.output.shape[1:-1])
    return int(positions * (2 * size * units + 2 * units))


def _convolution(layer: Any) -> int:
    width, channels, filters = layer.kernel.shape
    return int(layer.output.shape[1] * (2 * width * channels * filters + 2 * filters))


def _pooling(layer: Any) -> int:
    return int((layer.pool_size[0] - 1) * prod(layer.output.shape[1:]))


def _recurrence(gates: int, elementwise: int) -> Callable[[Any], int]:
    """A rule for a cell of ``gates`` products per step and ``elementwise`` operations per unit and step."""

    def rule(layer: Any) -> int:
        steps, size = layer.input.shape[1:]
        return _recurrent_flops(steps, size, layer.units, gates, elementwise)

    return rule


def _recurrent_flops(steps: int, size: int, units: int, gates: int, elementwise: int) -> int:
    return int(steps * (2 * gates * units * (size + units) + elementwise * units))


def _bidirectional(layer: Any) -> int:
    steps, size = layer.input.shape[1:]
    gates, elementwise = _CELLS[layer.forward_layer.__class__.__name__]
    return 2 * _recurrent_flops(steps, size, layer.forward_layer.units, gates, elementwise)


# Gates, and operations per unit and step beside the products:
# SimpleRNN: bias, sum, tanh. GRU with reset_after: 3 + 3 biases, 2 sums, 3 activations, reset product and
# sum, 4 for the update. LSTM: 4 biases, 4 sums, 5 activations, 4 for cell and state.
_CELLS = {"SimpleRNN": (1, 3), "GRU": (3, 17), "LSTM": (4, 17)}

_RULES: dict[str, Callable[[Any], int]] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "MaxPooling1D": _pooling,
    "Bidirectional": _bidirectional,
    "Embedding": lambda layer: 0,
    "Flatten": lambda layer: 0,
    **{name: _recurrence(*cell) for name, cell in _CELLS.items()},
}
