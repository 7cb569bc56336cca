"""Recurrent layers step by step, so that the gradient with respect to every state can be read.

The layers themselves run in fused kernels that never show a state's gradient. Here the same weights go
through a plain loop forwards and, by the chain rule, back: at every step stands the gradient of the loss with
respect to that step's state, through all paths that lead on from it. (Bengio, Simard & Frasconi, "Learning
long-term dependencies with gradient descent is difficult", 1994; Werbos, "Backpropagation through time",
1990.) NumPy in float64, because a program for every model would take longer to compile than this to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from unrolled.errors import UsageError
from unrolled.types import BoolArray, DoubleArray, FloatArray, IntArray

Arrays: TypeAlias = tuple[DoubleArray, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The recurrent layers of a network and the output unit behind them, as plain arrays.

    Args:
        cells: per layer the kind, "SimpleRNN", "GRU" or "LSTM".
        names: the layers' names within the model.
        weights: per layer and direction (one, or forwards and backwards): kernel, recurrent kernel, bias.
        output: kernel and bias of the output unit; float64.
    """

    cells: tuple[str, ...]
    names: tuple[str, ...]
    weights: tuple[tuple[Arrays, ...], ...]
    output: tuple[DoubleArray, DoubleArray]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How strongly the loss hangs on one state at every step.

    Args:
        layer: the layer's name, with "/backward" for the direction that reads from the end.
        state: "hidden" or "cell".
        norms: float64, shape (reviews, steps); the gradient's norm, counted back from the direction's last
            real step; NaN where a review has no further step.
    """

    layer: str
    state: str
    norms: DoubleArray


def read_recurrence(layers: Sequence[Any], output: Any) -> Recurrence:
    """The weights that Keras' recurrent ``layers`` and the Dense layer ``output`` hold at this moment.

    Raises:
        UsageError: a layer is no recurrence with Keras' default activations.
    """
    cells, weights = [], []
    for layer in layers:
        wrapped = hasattr(layer, "forward_layer")
        parts = [layer.forward_layer, layer.backward_layer] if wrapped else [layer]
        kind = next((base.__name__ for base in type(parts[0]).__mro__ if base.__name__ in _CELLS), None)
        known = kind is not None and _has_default_cell(parts[0], kind)
        if kind is None or not known or (not wrapped and layer.go_backwards):
            raise UsageError(
                "gradients",
                f"no step-by-step reference for a layer (got {layer.name})",
                expected="SimpleRNN, GRU or LSTM with Keras' default activations, forwards or Bidirectional",
                action="another model, or --only without gradients",
            )
        cells.append(kind)
        weights.append(tuple(_arrays(part.cell) for part in parts))
    return Recurrence(
        tuple(cells),
        tuple(layer.name for layer in layers),
        tuple(weights),
        (np.asarray(output.kernel, np.float64), np.asarray(output.bias, np.float64)),
    )


def _has_default_cell(layer: Any, kind: str) -> bool:
    cell = layer.cell
    wanted = {"activation": "tanh"}
    if kind != "SimpleRNN":
        wanted["recurrent_activation"] = "sigmoid"
    plain = all(getattr(getattr(cell, name), "__name__", "") == value for name, value in wanted.items())
    return plain and getattr(cell, "reset_after", True) and cell.bias is not None


def _arrays(cell: Any) -> Arrays:
    return tuple(np.asarray(part, np.float64) for part in (cell.kernel, cell.recurrent_kernel, cell.bias))


def measure_sensitivity(
    recurrence: Recurrence, inputs: FloatArray, kept: BoolArray, labels: IntArray
) -> tuple[list[Sensitivity], DoubleArray]:
    """The gradient norm at every step of every layer, direction and state, and the logits.

    The loss is each review's own cross-entropy. In float64 a gradient that has shrunk by a factor of 1e-30 is
    still exact, and not what float32 leaves of it.

    Args:
        recurrence: weights.
        inputs: float32, shape (reviews, time, features); what the first recurrent layer reads.
        kept: bool, shape (reviews, time); steps that are computed, the others carry the state on.
        labels: int32, shape (reviews,).

    Returns:
        One :class:`Sensitivity` per layer, direction and state, and the logits (reviews, outputs).
    """
    outputs = np.swapaxes(np.asarray(inputs, np.float64), 0, 1)
    real = kept.T
    passes: list[list[_Pass]] = []
    for cell, layer in zip(recurrence.cells, recurrence.weights, strict=True):
        found = [_Pass(_CELLS[cell], arrays, bool(way)) for way, arrays in enumerate(layer)]
        outputs = np.concatenate([part.forwards(outputs, real) for part in found], axis=2)
        passes.append(found)
    last = np.concatenate([part.last for part in passes[-1]], axis=1)
    kernel, bias = recurrence.output
    logits = last @ kernel + bias
    of_last: DoubleArray = _logit_gradient(logits, labels) @ kernel.T
    above = np.zeros_like(outputs)
    sensitivities = []
    for name, found in zip(recurrence.names[::-1], passes[::-1], strict=True):
        below: list[DoubleArray] = []
        for way, part in enumerate(found):
            units = part.last.shape[1]
            share = slice(way * units, (way + 1) * units)
            part.backwards(above[:, :, share], of_last[:, share])
            below.append(part.of_inputs)
            label = f"{name}/backward" if way else name
            for state, norms in part.norms.items():
                sensitivities.append(Sensitivity(label, state, _count_back(norms.T, part.real.T)))
        above = np.sum(below, axis=0)
        # Lower layers act through their outputs alone, not through their last state.
        of_last = np.zeros((len(labels), above.shape[2]))
    order = {name: place for place, name in enumerate(recurrence.names)}
    sensitivities.sort(key=lambda found: order[found.layer.removesuffix("/backward")])
    return sensitivities, logits


def _logit_gradient(logits: DoubleArray, labels: IntArray) -> DoubleArray:
    """The gradient of each row's cross-entropy: the probabilities, less 1 for the true class."""
    if logits.shape[1] == 1:
        return _sigmoid(logits) - labels[:, None]
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = raised / raised.sum(axis=1, keepdims=True)
    chances[np.arange(len(labels)), labels] -= 1.0
    return np.asarray(chances)


def _count_back(norms: DoubleArray, real: BoolArray) -> DoubleArray:
    """Norms by distance from the last real step: column 0 is that step; NaN beyond the first."""
    found = np.full_like(norms, np.nan)
    for row, (values, kept) in enumerate(zip(norms, real, strict=True)):
        steps = values[kept][::-1]
        found[row, : len(steps)] = steps
    return found


class _Pass:
    """One layer in one direction, there and back. Everything is (time, reviews, …) in the order computed.

    Args:
        cell: the step and its derivative.
        arrays: kernel, recurrent kernel, bias.
        turned: whether it reads from the end.
    """

    def __init__(self, cell: _Cell, arrays: Arrays, turned: bool) -> None:
        self.cell, self.turned = cell, turned
        self.kernel, self.recurrent, self.bias = arrays

    def forwards(self, inputs: DoubleArray, real: BoolArray) -> DoubleArray:
        """Outputs (time, reviews, units), in the order of time."""
        of_inputs = self.bias[0] if self.bias.ndim == 2 else self.bias
        self.real = real[::-1] if self.turned else real
        projected = (inputs[::-1] if self.turned else inputs) @ self.kernel + of_inputs
        units = self.recurrent.shape[0]
        state: Arrays = (np.zeros((inputs.shape[1], units)),) * len(self.cell.states)
        outputs, self.kept = np.empty((*projected.shape[:2], units)), []
        for step, (ahead, now) in enumerate(zip(projected, self.real, strict=True)):
            new, kept = self.cell.forwards(self.recurrent, self.bias, ahead, state)
            self.kept.append(kept)
            state = tuple(np.where(now[:, None], a, b) for a, b in zip(new, state, strict=True))
            outputs[step] = state[0]
        self.last = state[0]
        return outputs[::-1] if self.turned else outputs

    def backwards(self, above: DoubleArray, of_last: DoubleArray) -> None:
        """Sets ``norms`` per state (time, reviews), in the order computed, and ``of_inputs``.

        Args:
            above: the gradient that arrives at every output, in the order of time.
            of_last: the gradient that arrives at the last state.
        """
        above = above[::-1] if self.turned else above
        carried: Arrays = (of_last, *(np.zeros_like(self.last),) * (len(self.cell.states) - 1))
        self.norms = {name: np.empty(self.real.shape) for name in self.cell.states}
        of_projected = np.zeros((*self.real.shape, self.kernel.shape[1]))
        for step in range(len(self.real))[::-1]:
            now = self.real[step][:, None]
            arrived = (carried[0] + above[step], *carried[1:])
            total, back, gates = self.cell.backwards(self.recurrent, self.kept[step], arrived)
            for name, gradient in zip(self.cell.states, total, strict=True):
                self.norms[name][step] = np.linalg.norm(gradient, axis=1)
            of_projected[step] = np.where(now, gates, 0.0)
            carried = tuple(np.where(now, a, b) for a, b in zip(back, arrived, strict=True))
        of_inputs = of_projected @ self.kernel.T
        self.of_inputs = of_inputs[::-1] if self.turned else of_inputs


def _sigmoid(values: DoubleArray) -> DoubleArray:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values))


class _Cell:
    """One step of a cell, and the way back through it. The first state is the output."""

    states: tuple[str, ...] = ("hidden",)

    def forwards(
        self, recurrent: DoubleArray, bias: DoubleArray, ahead: DoubleArray, state: Arrays
    ) -> tuple[Arrays, Arrays]:
        """The new states, and what the way back needs; ``ahead`` is the input's share of the gates."""
        raise NotImplementedError

    def backwards(
        self, recurrent: DoubleArray, kept: Arrays, arrived: Arrays
    ) -> tuple[Arrays, Arrays, DoubleArray]:
        """Gradients of this step's states, of the last step's states, and of ``ahead``."""
        raise NotImplementedError


class _SimpleRnn(_Cell):
    def forwards(
        self, recurrent: DoubleArray, bias: DoubleArray, ahead: DoubleArray, state: Arrays
    ) -> tuple[Arrays, Arrays]:
        hidden = np.tanh(ahead + state[0] @ recurrent)
        return (hidden,), (hidden,)

    def backwards(
        self, recurrent: DoubleArray, kept: Arrays, arrived: Arrays
    ) -> tuple[Arrays, Arrays, DoubleArray]:
        gates = arrived[0] * (1 - kept[0] ** 2)
        return arrived, (gates @ recurrent.T,), gates


class _Gru(_Cell):
    def forwards(
        self, recurrent: DoubleArray, bias: DoubleArray, ahead: DoubleArray, state: Arrays
    ) -> tuple[Arrays, Arrays]:
        hidden = state[0]
        update, reset, proposal = np.split(ahead, 3, axis=1)
        of_update, of_reset, of_proposal = np.split(hidden @ recurrent + bias[1], 3, axis=1)
        update, reset = _sigmoid(update + of_update), _sigmoid(reset + of_reset)
        proposal = np.tanh(proposal + reset * of_proposal)
        return (update * hidden + (1 - update) * proposal,), (hidden, update, reset, proposal, of_proposal)

    def backwards(
        self, recurrent: DoubleArray, kept: Arrays, arrived: Arrays
    ) -> tuple[Arrays, Arrays, DoubleArray]:
        hidden, update, reset, proposal, of_proposal = kept
        total = arrived[0]
        proposed = total * (1 - update) * (1 - proposal**2)
        updated = total * (hidden - proposal) * update * (1 - update)
        was_reset = proposed * of_proposal * reset * (1 - reset)
        of_state = np.concatenate([updated, was_reset, proposed * reset], axis=1)
        back = total * update + of_state @ recurrent.T
        return arrived, (back,), np.concatenate([updated, was_reset, proposed], axis=1)


class _Lstm(_Cell):
    states = ("hidden", "cell")

    def forwards(
        self, recurrent: DoubleArray, bias: DoubleArray, ahead: DoubleArray, state: Arrays
    ) -> tuple[Arrays, Arrays]:
        entry, forget, proposal, leave = np.split(ahead + state[0] @ recurrent, 4, axis=1)
        entry, forget, leave = _sigmoid(entry), _sigmoid(forget), _sigmoid(leave)
        proposal = np.tanh(proposal)
        cell = forget * state[1] + entry * proposal
        shown = np.tanh(cell)
        return (leave * shown, cell), (state[1], entry, forget, proposal, leave, shown)

    def backwards(
        self, recurrent: DoubleArray, kept: Arrays, arrived: Arrays
    ) -> tuple[Arrays, Arrays, DoubleArray]:
        before, entry, forget, proposal, leave, shown = kept
        hidden = arrived[0]
        cell = arrived[1] + hidden * leave * (1 - shown**2)
        gates = np.concatenate(
            [
                cell * proposal * entry * (1 - entry),
                cell * before * forget * (1 - forget),
                cell * entry * (1 - proposal**2),
                hidden * shown * leave * (1 - leave),
            ],
            axis=1,
        )
        return (hidden, cell), (gates @ recurrent.T, cell * forget), gates


_CELLS: dict[str, _Cell] = {"SimpleRNN": _SimpleRnn(), "GRU": _Gru(), "LSTM": _Lstm()}
