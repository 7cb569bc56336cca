"""The kernels as differentiable JAX functions, to be called inside any jitted program on a CPU.

Each takes inputs, weights, states and a mask, and returns the last states and, on demand, every output:

- ``lstm``: kernel (features, 4 * units), recurrent kernel (units, 4 * units), bias (4 * units,); states h
  and c.
- ``gru`` and ``gru_reset_before``: the same with 3 * units and a recurrent bias (3 * units,); state h.
- ``simple_rnn``: the same with units and one bias; state h.

First derivatives only, in reverse mode: a second derivative raises, as a custom call has none.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from unrolled.kernels import programs
from unrolled.kernels.flags import BACKWARDS, EVERY_OUTPUT, KEEP

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]


def _call(
    kernel: str, direction: str, results: list[tuple[int, ...]], flags: int, arguments: Arrays
) -> Arrays:
    programs.load(kernel)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in results]
    target = jax.ffi.ffi_call(f"unrolled_{kernel}_{direction}", shapes, vmap_method="sequential")
    return tuple(target(*arguments, flags=np.int64(flags)))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def run(
    kernel: str, flags: int, inputs: Array, weights: Arrays, states: Arrays, mask: Array
) -> tuple[Arrays, Array | None]:
    """The last states and every output of a recurrent layer.

    Args:
        kernel: "lstm", "gru", "gru_reset_before" or "simple_rnn".
        flags: EVERY_OUTPUT to get every output, BACKWARDS to go from the last step to the first (outputs then
            come in the order computed).
        inputs: float32, shape (batch, time, features).
        weights: float32, as the module's description lists them.
        states: float32, each (batch, units), before the first step.
        mask: bool, shape (batch, time); a step that is False carries the states on.

    Returns:
        The states after the last step, and the outputs (batch, time, units), None without EVERY_OUTPUT.
    """
    states, outputs, _ = _forward(kernel, flags, inputs, weights, states, mask)
    return states, outputs


def _forward(
    kernel: str, flags: int, inputs: Array, weights: Arrays, states: Arrays, mask: Array
) -> tuple[Arrays, Array | None, Array | None]:
    batch, time, _ = inputs.shape
    units = weights[1].shape[0]
    results = [state.shape for state in states]
    if flags & EVERY_OUTPUT:
        results.append((batch, time, units))
    if flags & KEEP:
        results.append((batch * time, import_module(f"unrolled.kernels.{kernel}").KEPT * units))
    found = list(_call(kernel, "forward", results, flags, (inputs, *weights, *states, mask)))
    kept = found.pop() if flags & KEEP else None
    outputs = found.pop() if flags & EVERY_OUTPUT else None
    return tuple(found), outputs, kept


def _forward_keeping(
    kernel: str, flags: int, inputs: Array, weights: Arrays, states: Arrays, mask: Array
) -> tuple[tuple[Arrays, Array | None], Any]:
    last, outputs, kept = _forward(kernel, flags | KEEP, inputs, weights, states, mask)
    return (last, outputs), (inputs, weights, states, mask, kept)


def _backward(
    kernel: str, flags: int, saved: Any, gradients: tuple[Arrays, Array | None]
) -> tuple[Array, Arrays, Arrays, None]:
    inputs, weights, states, mask, kept = saved
    of_states, of_outputs = gradients
    results = [array.shape for array in (inputs, *weights, *states)]
    arguments = (inputs, *weights, *states, mask, kept, *of_states)
    if of_outputs is not None:
        arguments = (*arguments, of_outputs)
    found = _call(kernel, "backward", results, flags, arguments)
    last = 1 + len(weights)
    return found[0], found[1:last], found[last:], None


run.defvjp(_forward_keeping, _backward)


def mode(*, every_output: bool, backwards: bool) -> int:
    """The flags of :func:`run` for a layer that returns sequences, or goes backwards, or both."""
    return (EVERY_OUTPUT if every_output else 0) | (BACKWARDS if backwards else 0)
