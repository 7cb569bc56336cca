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
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from unrolled.kernels.flags import (
    BACKWARDS,
    EVERY_OUTPUT,
    FOLDED,
    KEEP,
    ROLE_PART,
    ROLE_ROWS,
    ROLE_WHOLE,
    SCALED,
)
from unrolled.kernels.parts import call, num_parts, total

Array: TypeAlias = jax.Array
Arrays: TypeAlias = tuple[Array, ...]


class Lookup(NamedTuple):
    """Inputs that are rows of a table instead of an array of features.

    Args:
        tokens: int32, shape (batch, time); rows of the table, moved into it when they lie outside.
        factors: float32, shape (batch, features), multiplies the rows of each sequence; None for none.
    """

    tokens: Array
    factors: Array | None


def run(
    kernel: str,
    flags: int,
    inputs: Array,
    weights: Arrays,
    states: Arrays,
    mask: Array,
    lookup: Lookup | None = None,
) -> tuple[Arrays, Arrays]:
    """The last states and every output of a recurrent layer.

    Args:
        kernel: "lstm", "gru", "gru_reset_before" or "simple_rnn".
        flags: EVERY_OUTPUT to get every output, BACKWARDS to go from the last step to the first (outputs then
            come in the order computed).
        inputs: float32, shape (batch, time, features); with ``lookup`` the table, (rows, features).
        weights: float32, as the module's description lists them.
        states: float32, each (batch, units), before the first step.
        mask: bool, shape (batch, time); a step that is False carries the states on.
        lookup: which rows of the table are the inputs; None when ``inputs`` holds them.

    Returns:
        The states after the last step, each (batch, units); and the output of every step, (batch, time,
        units), if the flags ask for it.
    """
    if lookup is None:
        none = jnp.zeros((1, 1), jnp.int32), jnp.zeros((1, 1), jnp.float32)
        return _run(kernel, flags, inputs, weights, states, mask, *none)
    factors = lookup.factors
    if factors is None:
        flags, factors = flags | FOLDED, jnp.zeros((1, 1), jnp.float32)
    else:
        flags |= SCALED
    return _run(kernel, flags, inputs[None], weights, states, mask, lookup.tokens, factors)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(
    kernel: str,
    flags: int,
    inputs: Array,
    weights: Arrays,
    states: Arrays,
    mask: Array,
    tokens: Array,
    factors: Array,
) -> tuple[Arrays, Arrays]:
    return forward(kernel, flags, inputs, weights, states, mask, tokens, factors)[:2]


def _parts(flags: int, inputs: Array, weights: Arrays, states: Arrays, mask: Array) -> tuple[int, list[int]]:
    """In how many parts a call is worth making, and the roles of inputs, weights, states and what follows."""
    table = flags & (FOLDED | SCALED)
    roles = [ROLE_WHOLE if table else ROLE_ROWS, *[ROLE_WHOLE] * len(weights), *[ROLE_ROWS] * len(states)]
    of_tokens = ROLE_ROWS if table else ROLE_WHOLE
    of_factors = ROLE_ROWS if flags & SCALED else ROLE_WHOLE
    return parts_for(flags, mask.shape[0]), [*roles, ROLE_ROWS, of_tokens, of_factors]


def parts_for(flags: int, rows: int) -> int:
    """In how many parts so many sequences are computed; each makes a gradient of the whole table, if any."""
    return num_parts(rows, spare=not flags & (FOLDED | SCALED))


def kept_units(kernel: str) -> int:
    """What a kernel keeps of a step for the gradient, in units of the state."""
    return int(import_module(f"unrolled.kernels.{kernel}").KEPT)


def forward(
    kernel: str,
    flags: int,
    inputs: Array,
    weights: Arrays,
    states: Arrays,
    *rest: Array,
    stash: Array | None = None,
) -> tuple[Arrays, Arrays, Arrays]:
    """The last states, what comes of every step, and what the gradient needs (nothing without KEEP).

    ``stash``, of the shape of the last, is an array whose end may hold it; its beginning stays.
    """
    mask = rest[0]
    batch, time = mask.shape
    units = weights[1].shape[0]
    num_every = int(flags & EVERY_OUTPUT != 0)
    results: list[tuple[int, ...]] = [(batch, units)] * len(states) + [(batch, time, units)] * num_every
    if flags & KEEP:
        results.append((batch * time, kept_units(kernel) * units))
    parts, roles = _parts(flags, inputs, weights, states, mask)
    given, aliases = (inputs, *weights, *states, *rest), None
    if stash is not None:
        aliases = {len(given): len(results) - 1}
        given, roles = (*given, stash), [*roles, ROLE_ROWS]
    found = call(
        f"{kernel}_forward",
        flags,
        given,
        results,
        parts=parts,
        argument_roles=roles,
        result_roles=[ROLE_ROWS] * len(results),
        aliases=aliases,
    )
    first = len(states) + num_every
    return found[: len(states)], found[len(states) : first], found[first:]


def _forward_keeping(
    kernel: str, flags: int, inputs: Array, weights: Arrays, states: Arrays, *rest: Array
) -> tuple[tuple[Arrays, Arrays], Any]:
    last, every, kept = forward(kernel, flags | KEEP, inputs, weights, states, *rest)
    return (last, every), (inputs, weights, states, rest, kept)


def backward(kernel: str, flags: int, saved: Any, gradients: tuple[Arrays, Arrays]) -> tuple[Any, ...]:
    """The gradients of the arrays that a call was given, from what it saved and those of its results."""
    inputs, weights, states, rest, kept = saved
    of_states, of_every = gradients
    parts, roles = _parts(flags, inputs, weights, states, rest[0])
    given = (*kept, *of_states, *of_every)
    # A table's gradient comes once for each part, that of dense inputs sequence by sequence.
    of_inputs = ROLE_PART if roles[0] == ROLE_WHOLE else ROLE_ROWS
    of_weights = [ROLE_PART] * len(weights)
    found = call(
        f"{kernel}_backward",
        flags,
        (inputs, *weights, *states, *rest, *given),
        [array.shape for array in (inputs, *weights, *states)],
        parts=parts,
        argument_roles=[*roles, *[ROLE_ROWS] * len(given)],
        result_roles=[of_inputs, *of_weights, *[ROLE_ROWS] * len(states)],
    )
    last = 1 + len(weights)
    d_inputs = total(found[0], parts) if of_inputs == ROLE_PART else found[0]
    return d_inputs, tuple(total(each, parts) for each in found[1:last]), found[last:], None, None, None


_run.defvjp(_forward_keeping, backward)


def mode(*, every_output: bool, backwards: bool) -> int:
    """The flags of :func:`run` for a layer that returns sequences, or goes backwards, or both."""
    return (EVERY_OUTPUT if every_output else 0) | (BACKWARDS if backwards else 0)
