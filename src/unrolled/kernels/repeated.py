"""A recurrence over padding that is read as a word, and then over words, as a differentiable JAX function.

What stands in front of a sequence's first word is one input over and over: see
:mod:`unrolled.kernels.repeat`. First derivatives only.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from unrolled.kernels.flags import FOLDED, KEEP, ROLE_PART, ROLE_ROWS, ROLE_WHOLE, SCALED
from unrolled.kernels.parts import call, total
from unrolled.kernels.recurrent import Lookup, backward, forward, kept_units, parts_for

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]

KERNELS = ("lstm", "gru", "simple_rnn")


def run_after_padding(
    kernel: str,
    padding: Array,
    num: Array,
    inputs: Array,
    weights: Arrays,
    time: int,
    lookup: Lookup | None = None,
) -> Arrays:
    """The states of a recurrent layer, from zero, after all steps.

    Equal to rounding to computing every step. Where every sequence has padding of its own, under dropout, its
    steps are computed until the state is at rest; where they share it, once for all of them.

    Args:
        kernel: one of :data:`KERNELS`.
        padding: float32, shape (batch, slots, features): inputs of the first steps of padding, of which the
            last repeats; or (1, slots, features) if all sequences have the same.
        num: int32, shape (batch,), steps of padding in front of each sequence, at most ``time``.
        inputs: float32, shape (batch, time, features); with ``lookup`` the table, (rows, features).
        weights: float32, as :func:`unrolled.kernels.recurrent.run` takes them.
        time: steps of all sequences, padding included.
        lookup: which rows of the table are the inputs; None when ``inputs`` holds them.

    Returns:
        The states after the last step, each (batch, units).
    """
    input_kernel, recurrent, *biases = weights
    if not num.shape[0]:
        return (jnp.zeros((0, recurrent.shape[0]), jnp.float32),) * _num_states(kernel)
    # The products of all different inputs at once; a bias of their own stands in them.
    products = padding @ input_kernel
    if len(biases) > 1:
        products = products + biases[0]
    flags, tokens, factors = 0, jnp.zeros((1, 1), jnp.int32), jnp.zeros((1, 1), jnp.float32)
    if lookup is not None:
        inputs, tokens = inputs[None], lookup.tokens
        flags = FOLDED if lookup.factors is None else SCALED
        factors = factors if lookup.factors is None else lookup.factors
    num = jnp.minimum(num, time).astype(jnp.int32)
    return _run(kernel, flags, time, products, num, inputs, weights, tokens, factors)


def _num_states(kernel: str) -> int:
    return 2 if kernel == "lstm" else 1


def _pad_parts(flags: int, products: Array, num: Array) -> int:
    """As many as words have, with which an array is shared; one state alone is not worth a second thread."""
    return parts_for(flags, num.shape[0]) if products.shape[0] == num.shape[0] else 1


def _pad(
    kernel: str, flags: int, time: int, products: Array, weights: Arrays, num: Array
) -> tuple[Arrays, Arrays]:
    """The states after the padding, and with KEEP what the gradient needs."""
    rows, batch, units = products.shape[0], num.shape[0], weights[1].shape[0]
    num_states = _num_states(kernel)
    results: list[tuple[int, ...]] = [(batch, units)] * num_states
    if flags & KEEP:
        results += [(rows * time, kept_units(kernel) * units), (rows, time), (rows, 1)]
    found = call(
        f"{kernel}_repeat_forward",
        flags & KEEP,
        (products, weights[1], weights[-1], num[:, None]),
        results,
        parts=_pad_parts(flags, products, num),
        argument_roles=[ROLE_ROWS, ROLE_WHOLE, ROLE_WHOLE, ROLE_ROWS],
        result_roles=[ROLE_ROWS] * len(results),
    )
    return found[:num_states], found[num_states:]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _run(
    kernel: str,
    flags: int,
    time: int,
    products: Array,
    num: Array,
    inputs: Array,
    weights: Arrays,
    tokens: Array,
    factors: Array,
) -> Arrays:
    states, _ = _pad(kernel, flags, time, products, weights, num)
    return forward(kernel, flags, inputs, weights, states, _words(num, time), tokens, factors)[0]


def _words(num: Array, time: int) -> Array:
    return jnp.arange(time) >= num[:, None]


def _run_keeping(
    kernel: str,
    flags: int,
    time: int,
    products: Array,
    num: Array,
    inputs: Array,
    weights: Arrays,
    tokens: Array,
    factors: Array,
) -> tuple[Arrays, Any]:
    flags |= KEEP
    states, (stash, places, taken) = _pad(kernel, flags, time, products, weights, num)
    # Padding and words of a sequence are never more steps than it has: both fit into one array, the one at
    # its beginning and the other at its end. Padding that all share is kept apart: it is of no one sequence.
    apart = products.shape[0] != num.shape[0]
    rest = (_words(num, time), tokens, factors)
    last, _, kept = forward(kernel, flags, inputs, weights, states, *rest, stash=None if apart else stash)
    saved = (inputs, weights, states, rest, kept)
    return last, (saved, products, num, stash if apart else kept[0], places, taken)


def _backward(kernel: str, flags: int, time: int, everything: Any, gradients: Arrays) -> tuple[Any, ...]:
    saved, products, num, stash, places, taken = everything
    d_inputs, d_weights, d_states, *_ = backward(kernel, flags, saved, (gradients, ()))
    weights = saved[1]
    parts = _pad_parts(flags, products, num)
    d_products, d_recurrent, d_bias = call(
        f"{kernel}_repeat_backward",
        0,
        (weights[1], num[:, None], stash, places, taken, *d_states),
        [products.shape, weights[1].shape, weights[-1].shape],
        parts=parts,
        argument_roles=[ROLE_WHOLE, *[ROLE_ROWS] * (4 + len(d_states))],
        result_roles=[ROLE_ROWS, ROLE_PART, ROLE_PART],
    )
    d_kernel, d_of_words, *d_biases = d_weights
    d_biases[-1] = d_biases[-1] + total(d_bias, parts)
    d_weights = (d_kernel, d_of_words + total(d_recurrent, parts), *d_biases)
    return d_products, None, d_inputs, d_weights, None, None


_run.defvjp(_run_keeping, _backward)
