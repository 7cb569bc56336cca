"""Recurrent layers step by step, so that the gradient with respect to every state can be read.

The layers themselves run in fused kernels that never show a state's gradient. Here the same weights go
through a plain loop in which every state gets something added, which is zero: the gradient with respect to
that zero is the gradient of the loss with respect to the state, through all paths that lead on from it.
(Hochreiter, 1991; Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is
difficult", 1994, eq. 6.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import UsageError
from unrolled.types import BoolArray, DoubleArray, FloatArray, IntArray

STATES = {"SimpleRNN": ("hidden",), "GRU": ("hidden",), "LSTM": ("hidden", "cell")}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a compiled loop depends on: per layer its cell, and whether it reads in both directions."""

    cells: tuple[str, ...]
    bidirectional: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The recurrent layers of a network and the output unit behind them, as plain arrays.

    Args:
        shape: what the layers are.
        names: the layers' names within the model.
        weights: per layer and direction: kernel, recurrent kernel, bias; float64.
        output: kernel and bias of the output unit; float64.
    """

    shape: Shape
    names: tuple[str, ...]
    weights: tuple[tuple[tuple[NDArray[np.float64], ...], ...], ...]
    output: tuple[NDArray[np.float64], NDArray[np.float64]]


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
    cells, both, weights = [], [], []
    for layer in layers:
        wrapped = hasattr(layer, "forward_layer")
        parts = [layer.forward_layer, layer.backward_layer] if wrapped else [layer]
        kind = next((base.__name__ for base in type(parts[0]).__mro__ if base.__name__ in STATES), None)
        known = kind is not None and _has_default_cell(parts[0], kind)
        if kind is None or not known or (not wrapped and layer.go_backwards):
            raise UsageError(
                "gradients",
                f"no step-by-step reference for a layer (got {layer.name})",
                expected="SimpleRNN, GRU or LSTM with Keras' default activations, forwards or Bidirectional",
                action="another model, or --only without gradients",
            )
        cells.append(kind)
        both.append(wrapped)
        weights.append(tuple(_arrays(part.cell) for part in parts))
    return Recurrence(
        Shape(tuple(cells), tuple(both)),
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


def _arrays(cell: Any) -> tuple[NDArray[np.float64], ...]:
    return tuple(np.asarray(part, np.float64) for part in (cell.kernel, cell.recurrent_kernel, cell.bias))


def measure_sensitivity(
    recurrence: Recurrence, inputs: FloatArray, kept: BoolArray, labels: IntArray
) -> tuple[list[Sensitivity], DoubleArray]:
    """The gradient norm at every step of every layer, direction and state, and the logits.

    Computed in float64: a gradient that has shrunk by a factor of 1e-30 is still exact, and not what
    float32 leaves of it.

    Args:
        recurrence: weights.
        inputs: float32, shape (reviews, time, features); what the first recurrent layer reads.
        kept: bool, shape (reviews, time); steps that are computed, the others carry the state on.
        labels: int32, shape (reviews,).

    Returns:
        One :class:`Sensitivity` per layer, direction and state, and the logits (reviews, outputs).
    """
    import jax

    shape = recurrence.shape
    with jax.enable_x64(True):
        count, time = kept.shape
        pushes = [
            [
                {
                    state: np.zeros((time, count, direction[1].shape[0]))
                    for state in STATES[cell]
                }
                for direction in layer
            ]
            for cell, layer in zip(shape.cells, recurrence.weights, strict=True)
        ]
        gradients, logits = _compiled()(
            shape,
            pushes,
            recurrence.weights,
            recurrence.output,
            np.asarray(inputs, np.float64),
            kept,
            labels,
        )
        found = []
        for layer, name in enumerate(recurrence.names):
            for direction, states in enumerate(gradients[layer]):
                for state, gradient in states.items():
                    norms = np.linalg.norm(np.asarray(gradient), axis=2).T
                    mask = kept[:, ::-1] if direction else kept
                    label = f"{name}/backward" if direction else name
                    found.append(Sensitivity(label, state, _count_back(norms, mask)))
        return found, np.asarray(logits)


def _count_back(norms: DoubleArray, kept: BoolArray) -> DoubleArray:
    """Norms by distance from the last real step: column 0 is that step; NaN beyond the first."""
    found = np.full_like(norms, np.nan)
    for row, (values, real) in enumerate(zip(norms, kept, strict=True)):
        steps = values[real][::-1]
        found[row, : len(steps)] = steps
    return found


_programs: list[Any] = []


def _compiled() -> Any:
    """The jitted gradient; one function for all models, so that equal shapes are compiled once."""
    if not _programs:
        import jax

        _programs.append(jax.jit(jax.grad(_loss, argnums=1, has_aux=True), static_argnums=0))
    return _programs[0]


def _loss(
    shape: Shape, pushes: Any, weights: Any, output: Any, inputs: Any, kept: Any, labels: Any
) -> tuple[Any, Any]:
    """The sum of all reviews' cross-entropies, so that each review's gradient is its own; and the logits."""
    import jax
    import jax.numpy as jnp

    outputs = inputs
    last: list[Any] = []
    for cell, both, arrays, added in zip(shape.cells, shape.bidirectional, weights, pushes, strict=True):
        sequences, last = [], []
        for direction in range(2 if both else 1):
            every, final = _run(cell, arrays[direction], added[direction], outputs, kept, direction == 1)
            sequences.append(every)
            last.append(final)
        outputs = jnp.concatenate(sequences, axis=2)
    logits = jnp.concatenate(last, axis=1) @ output[0] + output[1]
    scores = jnp.concatenate([jnp.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None].astype(int), axis=1)
    return -chosen.sum(), logits


def _run(cell: str, arrays: Any, added: Any, inputs: Any, kept: Any, backwards: bool) -> tuple[Any, Any]:
    """A layer in one direction: outputs (reviews, time, units) in the order of time, and the last one."""
    import jax
    import jax.numpy as jnp

    kernel, recurrent, bias = arrays
    of_inputs = bias[0] if cell == "GRU" else bias
    projected = jnp.swapaxes(inputs @ kernel + of_inputs, 0, 1)
    real = kept.T
    if backwards:
        projected, real = projected[::-1], real[::-1]
    step = partial({"SimpleRNN": _simple_rnn, "GRU": _gru, "LSTM": _lstm}[cell], recurrent, bias)

    def advance(states: Any, now: Any) -> tuple[Any, Any]:
        ahead, is_real, push = now
        new = step(ahead, states, push)
        new = {name: jnp.where(is_real[:, None], new[name], states[name]) for name in new}
        return new, new["hidden"]

    start = {name: jnp.zeros_like(push[0]) for name, push in added.items()}
    final, every = jax.lax.scan(advance, start, (projected, real, added))
    return jnp.swapaxes(every[::-1] if backwards else every, 0, 1), final["hidden"]


def _simple_rnn(recurrent: Any, bias: Any, ahead: Any, states: Any, push: Any) -> Any:
    import jax.numpy as jnp

    return {"hidden": jnp.tanh(ahead + states["hidden"] @ recurrent) + push["hidden"]}


def _gru(recurrent: Any, bias: Any, ahead: Any, states: Any, push: Any) -> Any:
    import jax
    import jax.numpy as jnp

    hidden = states["hidden"]
    of_state = hidden @ recurrent + bias[1]
    update, reset, candidate = jnp.split(ahead, 3, axis=1)
    update_state, reset_state, candidate_state = jnp.split(of_state, 3, axis=1)
    update = jax.nn.sigmoid(update + update_state)
    proposal = jnp.tanh(candidate + jax.nn.sigmoid(reset + reset_state) * candidate_state)
    return {"hidden": update * hidden + (1 - update) * proposal + push["hidden"]}


def _lstm(recurrent: Any, bias: Any, ahead: Any, states: Any, push: Any) -> Any:
    import jax
    import jax.numpy as jnp

    gates = ahead + states["hidden"] @ recurrent
    entry, forget, candidate, exit_ = jnp.split(gates, 4, axis=1)
    cell = jax.nn.sigmoid(forget) * states["cell"] + jax.nn.sigmoid(entry) * jnp.tanh(candidate)
    cell = cell + push["cell"]
    return {"hidden": jax.nn.sigmoid(exit_) * jnp.tanh(cell) + push["hidden"], "cell": cell}
