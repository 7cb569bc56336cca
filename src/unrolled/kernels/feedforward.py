"""The kernels without a recurrence as differentiable JAX functions, for any jitted program on a CPU.

First derivatives only, in reverse mode: a second derivative raises, as a custom call has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from unrolled.kernels import programs
from unrolled.kernels.flags import KEEP, MASKED, RELU, SIZE_SHIFT

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]


def _call(
    kernel: str, direction: str, results: Sequence[tuple[int, ...]], flags: int, arguments: Arrays
) -> Arrays:
    programs.load(kernel)
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in results]
    target = jax.ffi.ffi_call(f"unrolled_{kernel}_{direction}", shapes, vmap_method="sequential")
    return tuple(target(*arguments, flags=np.int64(flags)))


def phrases(
    table: Array, kernel: Array, bias: Array, tokens: Array, *, size: int, relu: bool, masked: bool
) -> Array:
    """Embedding, convolution that keeps the number of steps, and max pooling of token ids.

    Args:
        table: float32, shape (rows, features).
        kernel: float32, shape (taps, features, filters).
        bias: float32, shape (filters,).
        tokens: int32, shape (batch, time); rows of the table, moved into it when they lie outside.
        size: steps in a pooling window; windows do not overlap.
        relu: whether the convolution ends with it; otherwise it ends with nothing.
        masked: whether the token 0 is no step at all: the convolution reads zeros there, pooling passes it
            over. Windows then end with the sequence, and the first may be incomplete.

    Returns:
        float32, shape (batch, windows, filters): ⌊time / size⌋ windows, with a mask ⌈time / size⌉; 0 where
        a window holds no step.
    """
    flags = (RELU if relu else 0) | (MASKED if masked else 0) | size << SIZE_SHIFT
    return _phrases(flags, table, kernel, bias, tokens)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _phrases(flags: int, table: Array, kernel: Array, bias: Array, tokens: Array) -> Array:
    return _phrases_forward(flags, table, kernel, bias, tokens)[0]


def _phrases_forward(flags: int, table: Array, kernel: Array, bias: Array, tokens: Array) -> Arrays:
    from unrolled.kernels.products import WIDTH

    batch, time = tokens.shape
    taps, _, filters = kernel.shape
    size = flags >> SIZE_SHIFT
    windows = -(-time // size) if flags & MASKED else time // size
    results: list[tuple[int, ...]] = [(batch, windows, filters)]
    if flags & KEEP:
        results.append((min(table.shape[0], batch * time), -(-taps * filters // WIDTH) * WIDTH))
    return _call("phrases", "forward", results, flags, (table, kernel, bias, tokens))


def _phrases_keeping(
    flags: int, table: Array, kernel: Array, bias: Array, tokens: Array
) -> tuple[Array, Any]:
    found, kept = _phrases_forward(flags | KEEP, table, kernel, bias, tokens)
    return found, (table, kernel, tokens, found, kept)


def _phrases_backward(flags: int, saved: Arrays, gradient: Array) -> tuple[Any, ...]:
    table, kernel = saved[:2]
    results = [table.shape, kernel.shape, kernel.shape[2:]]
    return *_call("phrases", "backward", results, flags, (*saved, gradient)), None


_phrases.defvjp(_phrases_keeping, _phrases_backward)


def positions(table: Array, kernel: Array, tokens: Array, *, masked: bool) -> Array:
    """The embeddings of all positions side by side, times a matrix.

    Args:
        table: float32, shape (rows, features).
        kernel: float32, shape (time × features, units).
        tokens: int32, shape (batch, time); rows of the table, moved into it when they lie outside.
        masked: whether the token 0 stands for zeros instead of the table's first row.

    Returns:
        float32, shape (batch, units).
    """
    return _positions(MASKED if masked else 0, table, kernel, tokens)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _positions(flags: int, table: Array, kernel: Array, tokens: Array) -> Array:
    results = [(tokens.shape[0], kernel.shape[1])]
    return _call("positions", "forward", results, flags, (table, kernel, tokens))[0]


def _positions_keeping(flags: int, table: Array, kernel: Array, tokens: Array) -> tuple[Array, Arrays]:
    return _positions(flags, table, kernel, tokens), (table, kernel, tokens)


def _positions_backward(flags: int, saved: Arrays, gradient: Array) -> tuple[Any, ...]:
    results = [array.shape for array in saved[:2]]
    return *_call("positions", "backward", results, flags, (*saved, gradient)), None


_positions.defvjp(_positions_keeping, _positions_backward)


def adam(weights: Array, momentum: Array, velocity: Array, gradient: Array, constants: Arrays) -> Arrays:
    """One step of Adam, in place where the three arrays are not needed any more.

    Args:
        weights: float32 of any shape, like the next three.
        momentum: running mean of the gradients.
        velocity: running mean of their squares.
        gradient: of the weights.
        constants: scalars: the step's length with both corrections in it, 1 - β₁, 1 - β₂ and ε.

    Returns:
        The new weights, momentum and velocity.
    """
    programs.load("adam")
    shape = jax.ShapeDtypeStruct(weights.shape, jnp.float32)
    aliases = {0: 0, 1: 1, 2: 2}
    target = jax.ffi.ffi_call("unrolled_adam_forward", [shape] * 3, input_output_aliases=aliases)
    numbers = jnp.stack([jnp.asarray(number, jnp.float32) for number in constants])
    # Seen as one row, the arrays would no longer be those that XLA may overwrite.
    return tuple(target(weights, momentum, velocity, gradient, numbers, flags=np.int64(weights.size)))
