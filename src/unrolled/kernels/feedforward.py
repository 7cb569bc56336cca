"""The kernels without a recurrence as differentiable JAX functions, for any jitted program on a CPU.

First derivatives only, in reverse mode: a second derivative raises, as a custom call has none.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from unrolled.kernels.flags import (
    KEEP,
    MASKED,
    MOST_SIZE,
    RELU,
    ROLE_PART,
    ROLE_ROWS,
    ROLE_WHOLE,
    SIZE_SHIFT,
)
from unrolled.kernels.parts import call, num_parts, num_threads, total

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]

# Adam over fewer weights is over before a second thread has begun.
WORTH_PARTS = 1 << 18


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
    from unrolled.kernels.tiles import WIDTH

    batch, time = tokens.shape
    taps, _, filters = kernel.shape
    size = flags >> SIZE_SHIFT & MOST_SIZE
    windows = -(-time // size) if flags & MASKED else time // size
    results: list[tuple[int, ...]] = [(batch, windows, filters)]
    if flags & KEEP:
        results.append((min(table.shape[0], batch * time), -(-taps * filters // WIDTH) * WIDTH))
    return call(
        "phrases_forward",
        flags,
        (table, kernel, bias, tokens),
        results,
        parts=num_parts(batch),
        argument_roles=(ROLE_WHOLE, ROLE_WHOLE, ROLE_WHOLE, ROLE_ROWS),
        result_roles=(ROLE_ROWS, ROLE_PART)[: len(results)],
    )


def _phrases_keeping(
    flags: int, table: Array, kernel: Array, bias: Array, tokens: Array
) -> tuple[Array, Any]:
    found, kept = _phrases_forward(flags | KEEP, table, kernel, bias, tokens)
    return found, (table, kernel, tokens, found, kept)


def _phrases_backward(flags: int, saved: Arrays, gradient: Array) -> tuple[Any, ...]:
    table, kernel, tokens, _, kept = saved
    parts = num_parts(tokens.shape[0])
    slots, sums, d_bias = call(
        "phrases_backward",
        flags,
        (*saved, gradient),
        [(1, table.shape[0]), kept.shape[-2:], kernel.shape[2:]],
        parts=parts,
        argument_roles=(ROLE_WHOLE, ROLE_WHOLE, ROLE_ROWS, ROLE_ROWS, ROLE_PART, ROLE_ROWS),
        result_roles=(ROLE_PART,) * 3,
        integers=(0,),
    )
    taps, features, filters = kernel.shape
    matrix = jnp.swapaxes(kernel, 0, 1).reshape(features, taps * filters)
    d_table, d_matrix = table_gradients(table, matrix, slots, sums, parts)
    d_kernel = jnp.swapaxes(d_matrix.reshape(features, taps, filters), 0, 1)
    return d_table, d_kernel, total(d_bias, parts), None


def table_gradients(table: Array, matrix: Array, slots: Array, sums: Array, parts: int) -> Arrays:
    """The gradients of a table and of the matrix that its rows were multiplied with.

    Args:
        table: float32, shape (rows, features).
        matrix: float32, shape (features, columns).
        slots: int32, (parts, 1, rows), or without the first axis if there is one part: the place of each row
            of the table among the distinct rows that a part read, -1 if it did not.
        sums: float32, (parts, most distinct rows, columns in whole vectors), likewise: the gradients of those
            rows' products with the matrix.
        parts: in how many parts a batch was computed, and this is.
    """
    d_table, d_matrix = call(
        "table_backward",
        0,
        (table, matrix, slots.reshape(parts, -1), sums.reshape(parts, *sums.shape[-2:])),
        [table.shape, matrix.shape],
        parts=parts,
        argument_roles=(ROLE_WHOLE,) * 4,
        result_roles=(ROLE_WHOLE, ROLE_PART),
    )
    return d_table, total(d_matrix, parts)


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
    parts = num_parts(tokens.shape[0])
    found = call(
        "positions_forward",
        flags,
        (table, kernel, tokens),
        [(tokens.shape[0], kernel.shape[1])],
        parts=parts,
        argument_roles=(ROLE_WHOLE,) * 3,
        result_roles=(ROLE_PART,),
    )
    return total(found[0], parts)


def _positions_keeping(flags: int, table: Array, kernel: Array, tokens: Array) -> tuple[Array, Arrays]:
    return _positions(flags, table, kernel, tokens), (table, kernel, tokens)


def _positions_backward(flags: int, saved: Arrays, gradient: Array) -> tuple[Any, ...]:
    parts = num_parts(saved[2].shape[0])
    d_table, d_kernel = call(
        "positions_backward",
        flags,
        (*saved, gradient),
        [array.shape for array in saved[:2]],
        parts=parts,
        argument_roles=(ROLE_WHOLE,) * 4,
        result_roles=(ROLE_PART, ROLE_WHOLE),
    )
    return total(d_table, parts), d_kernel, None


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
    numbers = jnp.stack([jnp.asarray(number, jnp.float32) for number in constants])
    # Seen as one row, the arrays would no longer be those that XLA may overwrite.
    return call(
        "adam_forward",
        0,
        (weights, momentum, velocity, gradient, numbers),
        [weights.shape] * 3,
        parts=min(num_threads(), weights.shape[0]) if weights.size >= WORTH_PARTS else 1,
        argument_roles=(*(ROLE_ROWS,) * 4, ROLE_WHOLE),
        result_roles=(ROLE_ROWS,) * 3,
        aliases={0: 0, 1: 1, 2: 2},
    )
