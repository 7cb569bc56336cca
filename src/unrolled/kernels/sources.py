"""Where the inputs of a recurrent step come from, and where their gradients go.

Dense: an array of features. Tokens: rows of an embedding table, which is never gathered into such an array.
Texts repeat their words, so each distinct row (:mod:`unrolled.kernels.distinct`) is projected through the
input kernel once; going back, gate gradients are summed by distinct row before two small products turn them
into those of kernel and table. Under input dropout :mod:`unrolled.kernels.scaled` does both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import ByteArray, compiled
from unrolled.kernels.distinct import Distinct, Source
from unrolled.kernels.formulas import fetch
from unrolled.kernels.products import (
    add_outer_product,
    add_product,
    add_row,
    copy_row,
    fill_rows,
    start_of,
    zero_rows,
)
from unrolled.kernels.scaled import finish_scaled, project_scaled
from unrolled.kernels.schedule import Schedule, clear_masked, point_at_inputs, point_at_rows
from unrolled.types import FloatArray, LongArray

# How many places ahead a distinct row's memory is asked for.
AHEAD = 3


@compiled
def project_rows(
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    packed_kernel: FloatArray,
    bias: FloatArray,
    width: int,
) -> FloatArray:
    """The distinct rows times the input kernel plus the bias, (distinct, width)."""
    if source.scaled:
        return project_scaled(source, plan, distinct, packed_kernel, bias, width)
    count = distinct.rows.size
    values = np.zeros((count, width), np.float32)
    fill_rows(count, bias, values)
    if count:
        add_product(count, distinct.rows, packed_kernel, values)
    return values


@compiled
def put_projections(
    k: int,
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    projected: FloatArray,
    packed_kernel: FloatArray,
    bias: FloatArray,
    rows: LongArray,
    z: FloatArray,
) -> None:
    """Writes step k's inputs times the kernel plus the bias to the first rows of ``z``.

    ``projected`` is what :func:`project_rows` gave; ``rows`` (batch,) is overwritten.
    """
    count, width = plan.active[k], z.shape[1]
    if source.looked_up:
        slots, first = distinct.slots, plan.offsets[k]
        base, target, stride = start_of(projected), start_of(z), width * 4
        for place in range(count):
            ahead = min(place + AHEAD, count - 1)
            fetch(base + np.int64(slots[first + ahead]) * stride, stride)
            copy_row(width, (base + np.int64(slots[first + place]) * stride, target + place * stride))
        return
    fill_rows(count, bias, z)
    point_at_inputs(k, source.inputs, source.backwards, plan, rows)
    add_product(count, rows, packed_kernel, z)


class Gradients(NamedTuple):
    """What the gradients of inputs and input kernel are gathered in.

    Args:
        sums: float32, (distinct, width); gate gradients summed by distinct row.
        begun: uint8, (distinct,); whether a sum has been begun.
        rows: int64, (room,); addresses of the gathered steps' inputs.
        d_x: float32, (room, padded features); scratch, no rows if scaled.
        d_kernel: float32, (features, width).
    """

    sums: FloatArray
    begun: ByteArray
    rows: LongArray
    d_x: FloatArray
    d_kernel: FloatArray


@compiled
def make_gradients(
    source: Source,
    distinct: Distinct,
    room: int,
    columns: int,
    width: int,
    mask: ByteArray,
    d_inputs: FloatArray,
) -> Gradients:
    """Empty sums, and ``d_inputs`` zeroed wherever nothing else will be written.

    ``room`` steps are gathered before a product turns them into gradients; ``columns`` are the features and
    ``width`` the gates times units, each padded to whole vectors.
    """
    if source.looked_up:
        d_inputs[:] = 0
    else:
        clear_masked(mask, d_inputs)
    return Gradients(
        np.empty((distinct.rows.size, width), np.float32),
        np.zeros(distinct.rows.size, np.uint8),
        np.empty(room, np.int64),
        np.empty((0 if source.scaled else room, columns), np.float32),
        np.zeros((source.inputs.shape[2], width), np.float32),
    )


@compiled
def gather_step(
    k: int,
    filled: int,
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    gradients: Gradients,
    d_z: FloatArray,
    d_bias: FloatArray,
) -> None:
    """Takes in step k's gate gradients, which are the rows of ``d_z`` from ``filled`` on."""
    count, width = plan.active[k], d_z.shape[1]
    stride = width * 4
    new = start_of(d_z) + filled * stride
    if source.looked_up:
        slots, begun, first = distinct.slots, gradients.begun, plan.offsets[k]
        base = start_of(gradients.sums)
        for place in range(count):
            ahead = min(place + AHEAD, count - 1)
            fetch(base + np.int64(slots[first + ahead]) * stride, stride)
            slot = np.int64(slots[first + place])
            own = base + slot * stride
            if begun[slot]:
                add_row(width, (own, new + place * stride, own))
            else:
                copy_row(width, (new + place * stride, own))
                begun[slot] = 1
        return
    for place in range(count):
        add_row(d_bias.size, (start_of(d_bias), new + place * stride, start_of(d_bias)))
    point_at_inputs(k, source.inputs, source.backwards, plan, gradients.rows[filled:])


@compiled
def put_gradients(
    count: int,
    source: Source,
    gradients: Gradients,
    packed_kernel: FloatArray,
    d_z: FloatArray,
    d_z_rows: LongArray,
    d_inputs: FloatArray,
) -> None:
    """Turns ``count`` gathered rows of gate gradients into those of the input kernel and of the inputs.

    Where rows are looked up both come of the sums, at the end.
    """
    if source.looked_up:
        return
    _multiply_out(count, gradients.rows, gradients, packed_kernel, d_z, d_z_rows)
    features, columns = source.inputs.shape[2], gradients.d_x.shape[1]
    shift = start_of(d_inputs) - start_of(source.inputs)
    for place in range(count):
        at = start_of(gradients.d_x) + place * columns * 4
        copy_row(features, (at, gradients.rows[place] + shift))


@compiled
def _multiply_out(
    count: int,
    rows: LongArray,
    gradients: Gradients,
    packed_kernel: FloatArray,
    d_z: FloatArray,
    d_z_rows: LongArray,
) -> None:
    """Adds to the kernel's gradient, and leaves the inputs' own in the first rows of ``d_x``."""
    add_outer_product(count, rows, d_z, gradients.d_kernel)
    zero_rows(count, gradients.d_x)
    add_product(count, d_z_rows, packed_kernel, gradients.d_x)


@compiled
def finish_gradients(
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    gradients: Gradients,
    kernel: FloatArray,
    packed_kernel: FloatArray,
    d_bias: FloatArray,
    d_inputs: FloatArray,
) -> None:
    """Turns what was summed by distinct row into gradients of bias, input kernel and table."""
    if not source.looked_up:
        return
    if source.scaled:
        finish_scaled(
            source,
            plan,
            distinct,
            gradients.sums,
            kernel,
            packed_kernel,
            gradients.d_kernel,
            d_bias,
            d_inputs,
        )
        return
    features, room = source.inputs.shape[2], gradients.rows.size
    num_rows = gradients.sums.shape[0]
    shift = start_of(d_inputs) - start_of(source.inputs)
    d_z_rows = np.empty(room, np.int64)
    for first in range(0, num_rows, room):
        count = min(room, num_rows - first)
        d_z = gradients.sums[first : first + count]
        point_at_rows(0, count, d_z, d_z_rows)
        for place in range(count):
            add_row(d_bias.size, (start_of(d_bias), d_z_rows[place], start_of(d_bias)))
        _multiply_out(count, distinct.rows[first:], gradients, packed_kernel, d_z, d_z_rows)
        for place in range(count):
            at = start_of(gradients.d_x) + place * gradients.d_x.shape[1] * 4
            copy_row(features, (at, distinct.rows[first + place] + shift))
