"""A recurrence over inputs that soon stay the same, as a differentiable JAX function.

What padding that is read as a word amounts to: see :mod:`unrolled.kernels.repeat`. First derivatives only.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from unrolled.kernels.flags import KEEP, ROLE_PART, ROLE_ROWS, ROLE_WHOLE
from unrolled.kernels.parts import call, num_parts, total

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]

KERNELS = ("lstm", "gru", "simple_rnn")


def repeat(kernel: str, inputs: Array, weights: Arrays, num: Array, most: int) -> Arrays:
    """The states of every sequence after steps of which all but the first few have the same input.

    Args:
        kernel: one of :data:`KERNELS`.
        inputs: float32, shape (batch, slots, features): those of the first steps, of which the last repeats;
            or (1, slots, features) if all sequences have the same.
        weights: float32, as :func:`unrolled.kernels.recurrent.run` takes them.
        num: int32, shape (batch,), steps of each sequence; none starts anywhere but at zero.
        most: more steps than any sequence takes.

    Returns:
        The states after those steps, each (batch, units); equal to rounding to computing every step.
    """
    kernel_weights, recurrent, *biases = weights
    # The products of all different inputs at once; a bias of their own stands in them.
    products = inputs @ kernel_weights
    if len(biases) > 1:
        products = products + biases[0]
    steps = jnp.minimum(num, most).astype(jnp.int32)[:, None]
    return _repeat(kernel, most, products, recurrent, biases[-1], steps)


def _parts(products: Array, num: Array) -> int:
    """Sequences of one state are not worth a second thread."""
    return num_parts(num.shape[0]) if products.shape[0] == num.shape[0] else 1


def _num_states(kernel: str) -> int:
    return 2 if kernel == "lstm" else 1


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _repeat(kernel: str, most: int, products: Array, recurrent: Array, bias: Array, num: Array) -> Arrays:
    return _forward(kernel, 0, most, products, recurrent, bias, num)


def _forward(
    kernel: str, flags: int, most: int, products: Array, recurrent: Array, bias: Array, num: Array
) -> Arrays:
    units = recurrent.shape[0]
    results: list[tuple[int, ...]] = [(num.shape[0], units)] * _num_states(kernel)
    roles = [ROLE_ROWS] * len(results)
    if flags & KEEP:
        kept = import_module(f"unrolled.kernels.{kernel}_repeat").KEPT
        results += [(products.shape[0] * most, kept * units), (products.shape[0], 1)]
        roles += [ROLE_ROWS, ROLE_ROWS]
    return call(
        f"{kernel}_repeat_forward",
        flags,
        (products, recurrent, bias, num),
        results,
        parts=_parts(products, num),
        argument_roles=[ROLE_ROWS, ROLE_WHOLE, ROLE_WHOLE, ROLE_ROWS],
        result_roles=roles,
    )


def _forward_keeping(
    kernel: str, most: int, products: Array, recurrent: Array, bias: Array, num: Array
) -> tuple[Arrays, Any]:
    *states, kept, taken = _forward(kernel, KEEP, most, products, recurrent, bias, num)
    return tuple(states), (products, recurrent, bias, num, kept, taken)


def _backward(kernel: str, most: int, saved: Any, gradients: Arrays) -> tuple[Any, ...]:
    products, recurrent, bias, num, kept, taken = saved
    parts = _parts(products, num)
    d_products, d_recurrent, d_bias = call(
        f"{kernel}_repeat_backward",
        0,
        (recurrent, num, kept, taken, *gradients),
        [products.shape, recurrent.shape, bias.shape],
        parts=parts,
        argument_roles=[ROLE_WHOLE, ROLE_ROWS, ROLE_ROWS, ROLE_ROWS, *[ROLE_ROWS] * len(gradients)],
        result_roles=[ROLE_ROWS, ROLE_PART, ROLE_PART],
    )
    return d_products, total(d_recurrent, parts), total(d_bias, parts), np.zeros(num.shape, jax.dtypes.float0)


_repeat.defvjp(_forward_keeping, _backward)
