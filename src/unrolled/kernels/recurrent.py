"""The kernels as differentiable JAX functions, to be called inside any jitted program on a CPU."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from unrolled.kernels import programs
from unrolled.kernels.flags import BACKWARDS, EVERY_OUTPUT, KEEP

Array: TypeAlias = jax.Array


def _call(kernel: str, direction: str, results: list[tuple[int, ...]], flags: int, *arguments: Array) -> Any:
    programs.load(kernel)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in results]
    target = jax.ffi.ffi_call(f"unrolled_{kernel}_{direction}", shapes, vmap_method="sequential")
    return target(*arguments, flags=np.int64(flags))


def _lstm_flags(every_output: bool, backwards: bool) -> int:
    return (BACKWARDS if backwards else 0) | (EVERY_OUTPUT if every_output else 0)


@partial(jax.custom_vjp, nondiff_argnums=(7, 8))
def lstm(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    h: Array,
    c: Array,
    mask: Array,
    every_output: bool,
    backwards: bool,
) -> tuple[Array, ...]:
    """The last h and c of an LSTM and, on demand, every output.

    Args:
        inputs: float32, shape (batch, time, features).
        kernel: float32, shape (features, 4 * units), gates in the order i, f, g, o.
        recurrent_kernel: float32, shape (units, 4 * units).
        bias: float32, shape (4 * units,).
        h: float32, shape (batch, units), the state before the first step.
        c: float32, shape (batch, units), the cell before the first step.
        mask: bool, shape (batch, time); a step that is False carries the state on.
        every_output: whether to return h after every step as well.
        backwards: whether to go from the last step to the first; outputs come in the order computed.

    Returns:
        h, c, each (batch, units), and with ``every_output`` the outputs (batch, time, units).
    """
    return _lstm_forward(inputs, kernel, recurrent_kernel, bias, h, c, mask, every_output, backwards, 0)


def _lstm_forward(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    h: Array,
    c: Array,
    mask: Array,
    every_output: bool,
    backwards: bool,
    keep: int,
) -> tuple[Array, ...]:
    batch, time, _ = inputs.shape
    units = recurrent_kernel.shape[0]
    results: list[tuple[int, ...]] = [(batch, units), (batch, units)]
    if every_output:
        results.append((batch, time, units))
    if keep:
        results.append((batch * time, 5 * units))
    flags = _lstm_flags(every_output, backwards) | keep
    return tuple(_call("lstm", "forward", results, flags, inputs, kernel, recurrent_kernel, bias, h, c, mask))


def _lstm_keeping(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array,
    h: Array,
    c: Array,
    mask: Array,
    every_output: bool,
    backwards: bool,
) -> Any:
    *outputs, kept = _lstm_forward(
        inputs, kernel, recurrent_kernel, bias, h, c, mask, every_output, backwards, KEEP
    )
    return tuple(outputs), (inputs, kernel, recurrent_kernel, h, c, mask, kept)


def _lstm_backward(every_output: bool, backwards: bool, saved: Any, gradients: Any) -> Any:
    inputs, kernel, recurrent_kernel, h, c, _, _ = saved
    results = [inputs.shape, kernel.shape, recurrent_kernel.shape, kernel.shape[1:], h.shape, c.shape]
    flags = _lstm_flags(every_output, backwards)
    found = _call("lstm", "backward", results, flags, *saved, *gradients)
    return *found, None


lstm.defvjp(_lstm_keeping, _lstm_backward)
