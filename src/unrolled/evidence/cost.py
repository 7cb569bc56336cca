"""Operations and activations of a network, layer by layer, counted and not measured.

Conventions, so that figures can be compared with other counters:

- a multiply-add is one multiply-add and 2 floating-point operations; every other addition, product,
  comparison or activation of one number is 1 operation;
- a sequence is counted at the network's length, recurrence included: every step runs the cell once.
  Counters that look at one call of a cell miss all steps but one;
- lookups, reshapes, masks and dropout cost nothing; the windows of a convolution count in full at the edges;
- the backward pass has one product for a layer's weights and one for its inputs, the latter only where some
  layer before it learns; activations are differentiated from their values;
- an optimizer step of Adam is 12 operations for each weight, whether its gradient is zero or not;
- activations are the float32 numbers that the backward pass reads again: outputs of layers, and of a
  recurrence what its kernel keeps of every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from unrolled.errors import UsageError

Shape = tuple[int, ...]

BYTES_PER_NUMBER = 4
ADAM_OPERATIONS = 12
"""m += (g - m)(1 - b1): 3. v += (g² - v)(1 - b2): 4. w -= m a / (sqrt(v) + e): 5."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer does for one sequence.

    Args:
        name: the layer's name within the model.
        multiply_adds: of a forward pass, within matrix products.
        flops: operations of a forward pass, 2 for each multiply-add.
        training_flops: operations of a forward and a backward pass, without the optimizer.
        activation_bytes: what a training step keeps of it.
    """

    name: str
    multiply_adds: int
    flops: int
    training_flops: int
    activation_bytes: int


@dataclass(frozen=True, slots=True)
class _Work:
    """Counts of one layer: products and other operations, forwards and back, and numbers kept."""

    products: int = 0
    others: int = 0
    products_back: int = 0
    others_back: int = 0
    kept: int = 0

    def __add__(self, more: _Work) -> _Work:
        return _Work(
            self.products + more.products,
            self.others + more.others,
            self.products_back + more.products_back,
            self.others_back + more.others_back,
            self.kept + more.kept,
        )


def count_flops(network: Any) -> tuple[LayerCost, ...]:
    """The cost of one sequence, layer by layer; the whole is the sum of the parts.

    Args:
        network: a built sequential Keras model with a fixed input length.

    Raises:
        UsageError: a layer for which there is no rule.
    """
    costs = []
    shape = tuple(network.input_shape)
    learns_before = False
    for layer in network.layers:
        work = _count(layer, shape, learns_before)
        flops = 2 * work.products + work.others
        costs.append(
            LayerCost(
                layer.name,
                work.products,
                flops,
                flops + 2 * work.products_back + work.others_back,
                BYTES_PER_NUMBER * work.kept,
            )
        )
        shape = tuple(layer.output.shape)
        learns_before = learns_before or bool(layer.trainable_variables)
    return tuple(costs)


def count_adam(network: Any) -> int:
    """Operations of one optimizer step, whatever the batch."""
    return ADAM_OPERATIONS * int(network.count_params())


def _count(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    """The work of a layer on inputs of ``shape``; ``passes_back``: a gradient of its inputs is wanted."""
    for kind in type(layer).__mro__:
        if kind.__name__ in _RULES:
            return _RULES[kind.__name__](layer, shape, passes_back)
    raise UsageError(
        "count_flops",
        f"no rule for a layer (got type={type(layer).__name__})",
        expected=f"one of {', '.join(sorted(_RULES))}",
        action="leave the layer out, or add its rule to evidence/cost.py",
    )


def _dense(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    size, units = layer.kernel.shape
    outputs = prod(shape[1:-1]) * units
    # Bias and activation; on the way back the activation's slope and the sum for the bias.
    return _Work(outputs * size, 2 * outputs, outputs * size * (1 + passes_back), 2 * outputs, outputs)


def _convolution(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    width, channels, filters = layer.kernel.shape
    outputs = layer.output.shape[1] * filters
    products = outputs * width * channels
    return _Work(products, 2 * outputs, products * (1 + passes_back), 2 * outputs, outputs)


def _pooling(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    size, outputs = layer.pool_size[0], prod(layer.output.shape[1:])
    # Back, every number of a window is compared with the largest.
    return _Work(others=(size - 1) * outputs, others_back=size * outputs * passes_back, kept=outputs)


def _embedding(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    # A lookup forwards; back, every step's gradient is added to its word's row.
    outputs = prod(shape[1:]) * layer.output_dim
    return _Work(others_back=outputs, kept=outputs)


def _recurrence(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    _, steps, size = shape
    units = layer.units
    cell = next(_CELLS[kind.__name__] for kind in type(layer).__mro__ if kind.__name__ in _CELLS)
    of_inputs = steps * cell.gates * units * size
    of_states = steps * cell.gates * units * units
    numbers = steps * units
    return _Work(
        of_inputs + of_states,
        cell.others * numbers,
        of_inputs * (1 + passes_back) + 2 * of_states,
        (cell.others_back + layer.return_sequences) * numbers,
        cell.kept * numbers + (numbers if layer.return_sequences else units),
    )


def _bidirectional(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    both = _count(layer.forward_layer, shape, passes_back) + _count(layer.backward_layer, shape, passes_back)
    # The two gradients of the inputs are added.
    return both + _Work(others_back=prod(shape[1:]) * passes_back)


def _free(layer: Any, shape: Shape, passes_back: bool) -> _Work:
    return _Work()


@dataclass(frozen=True, slots=True)
class _Cell:
    """Per unit and step of a recurrence: gates, operations beside the products, numbers kept."""

    gates: int
    others: int
    others_back: int
    kept: int


_CELLS = {
    # Bias, sum, tanh. Back: 3 for the slope, 1 for the bias. Kept: h.
    "SimpleRNN": _Cell(1, 3, 4, 1),
    # 3 + 3 biases, 2 sums, 3 activations, reset product and sum, 4 for the update. Back: 5 for the proposal,
    # 4 for update, 4 for reset, 1 for what was reset, 2 for h, 6 biases. Kept: three gates, the
    # proposal's recurrent part, h.
    "GRU": _Cell(3, 17, 22, 5),
    # 4 biases, 4 sums, 5 activations, 4 for cell and state. Back: 6 for the cell, 4 for each gate, 1 for
    # the cell before, 4 biases. Kept: four gates, c.
    "LSTM": _Cell(4, 17, 27, 5),
}

_RULES: dict[str, Callable[[Any, Shape, bool], _Work]] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "MaxPooling1D": _pooling,
    "Bidirectional": _bidirectional,
    "Embedding": _embedding,
    "Flatten": _free,
    "MarkedSteps": _free,
    **dict.fromkeys(_CELLS, _recurrence),
}
