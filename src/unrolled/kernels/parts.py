"""Calls dealt out to threads: how many parts, and what each part sees of every buffer.

Sequences do not know each other, so a part computes its own alone. What belongs to all of them, the
gradients of weights, comes once for each part and is summed afterwards, always in the same order: the bits
depend on the number of parts, never on which of them ends first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unrolled.kernels import programs
from unrolled.kernels.flags import (
    MOST_PARTS,
    PARTS_SHIFT,
    RESULT_ROLES_SHIFT,
    ROLE_BITS,
    ROLE_PART,
)

VARIABLE = "UNROLLED_THREADS"
# A product over fewer rows leaves half of the processor's registers empty.
FEWEST_ROWS = 8
# With two parts for each thread, one that is held up is waited for half as long. Parts of fewer sequences
# would cost more than that saves.
WORTH_SPARE_PARTS = 24

Shape = tuple[int, ...]


def num_threads() -> int:
    """Threads that one layer may use: what UNROLLED_THREADS says, else the cores of this process."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted.isdecimal() and int(wanted):
        return min(int(wanted), MOST_PARTS)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_PARTS)
    return os.cpu_count() or 1


def num_parts(rows: int, *, spare: bool = False) -> int:
    """Parts in which ``rows`` sequences are worth computing.

    Args:
        rows: how many.
        spare: whether there may be more parts than threads. Not where every part makes something that does
            not shrink with its sequences, such as the gradient of a table.
    """
    parts = max(1, min(num_threads(), rows // FEWEST_ROWS))
    if spare and parts > 1 and rows // (2 * parts) >= WORTH_SPARE_PARTS:
        parts = min(2 * parts, MOST_PARTS)
    return parts


def call(
    target: str,
    flags: int,
    arguments: Sequence[jax.Array],
    results: Sequence[Shape],
    *,
    parts: int,
    argument_roles: Sequence[int],
    result_roles: Sequence[int],
    aliases: dict[int, int] | None = None,
    integers: Sequence[int] = (),
) -> tuple[jax.Array, ...]:
    """A custom call, in parts if there is more than one.

    Args:
        target: "KERNEL_DIRECTION".
        flags: the kernel's.
        arguments: its arguments; those of ROLE_PART have an axis of ``parts`` first.
        results: the shapes of its results; those of ROLE_PART get such an axis.
        parts: how many.
        argument_roles: ROLE_WHOLE, ROLE_ROWS or ROLE_PART for each argument.
        result_roles: the same for each result.
        aliases: results by the arguments whose memory they may take.
        integers: places of the results that are int32; all others are float32.
    """
    kernel, _, direction = target.rpartition("_")
    programs.load(kernel)
    shapes = [
        (parts, *shape) if parts > 1 and role == ROLE_PART else shape
        for shape, role in zip(results, result_roles, strict=True)
    ]
    made: Any = jax.ffi.ffi_call(
        f"unrolled_{kernel}_{direction}",
        [
            jax.ShapeDtypeStruct(shape, jnp.int32 if place in integers else jnp.float32)
            for place, shape in enumerate(shapes)
        ],
        vmap_method="sequential",
        input_output_aliases=aliases,
    )
    if parts == 1:
        return tuple(made(*arguments, flags=np.int64(flags)))
    roles = _pack(argument_roles) | _pack(result_roles) << RESULT_ROLES_SHIFT
    return tuple(made(*arguments, flags=np.int64(flags | parts << PARTS_SHIFT), roles=np.int64(roles)))


def _pack(roles: Sequence[int]) -> int:
    return sum(role << place * ROLE_BITS for place, role in enumerate(roles))


def total(found: jax.Array, parts: int) -> jax.Array:
    """What came once for each part, summed; XLA turns a reduction over so few rows into slow code."""
    return reduce(add, found) if parts > 1 else found
