"""Where the inputs of a recurrent step come from, and where their gradients go.

Dense: an array of features. Tokens: rows of an embedding table, which is never gathered into such an array.
A batch of reviews holds far fewer distinct tokens than positions, so FOLDED projects each distinct row
through the input kernel once; going back, gate gradients are summed by token before two small products
turn them into those of kernel and table. Under input dropout (SCALED) each sequence has factors of its
own, and rows are scaled on the way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import ByteArray, compiled
from unrolled.kernels.flags import FOLDED, SCALED
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.products import (
    add_outer_product,
    add_product,
    add_row,
    copy_row,
    fill_rows,
    start_of,
    zero_rows,
)
from unrolled.kernels.schedule import Schedule, clear_masked, point_at_inputs, point_at_rows
from unrolled.types import FloatArray, IntArray, LongArray

multiply_row = elementwise("multiply_row", lambda a, b: (a * b,), 2)
add_scaled_row = elementwise("add_scaled_row", lambda a, factor, b: (a.times_plus(factor, b),), 3)


class Source(NamedTuple):
    """The inputs of all steps.

    Args:
        folded: whether rows of a table are projected once each.
        scaled: whether rows of a table are scaled for each sequence.
        backwards: whether time runs from the last step to the first.
        inputs: float32, (batch, time, features); a table as (1, rows, features).
        tokens: int32, (batch, time), rows of the table; unused for dense inputs.
        factors: float32, (batch, features); unused unless scaled.
    """

    folded: bool
    scaled: bool
    backwards: bool
    inputs: FloatArray
    tokens: IntArray
    factors: FloatArray


class Distinct(NamedTuple):
    """The distinct rows of a table that real steps read; empty unless folded.

    Args:
        slots: int32, (real steps,); place among the distinct rows of each real step's token.
        rows: int64, (distinct,); addresses of the distinct rows in the table.
    """

    slots: IntArray
    rows: LongArray


@compiled
def make_source(
    mode: int, backwards: bool, inputs: FloatArray, tokens: IntArray, factors: FloatArray
) -> Source:
    """The source that a call's flags ask for."""
    return Source(mode & FOLDED != 0, mode & SCALED != 0, backwards, inputs, tokens, factors)


@compiled
def _row_of(source: Source, plan: Schedule, k: int, place: int) -> int:
    """The table's row that a sorted row reads at step k; kept inside the table whatever the token."""
    time = source.tokens.shape[1]
    step = np.int64(plan.steps[plan.offsets[k] + place])
    at = time - 1 - step if source.backwards else step
    token = np.int64(source.tokens[plan.order[place], at])
    return min(max(token, 0), source.inputs.shape[1] - 1)


@compiled
def find_distinct(source: Source, plan: Schedule) -> Distinct:
    """The distinct rows in the order in which real steps first read them; nothing unless folded."""
    if not source.folded:
        return Distinct(np.empty(0, np.int32), np.empty(0, np.int64))
    slot_of = np.full(source.inputs.shape[1], np.int32(-1))
    slots = np.empty(plan.steps.size, np.int32)
    rows = np.empty(min(source.inputs.shape[1], plan.steps.size), np.int64)
    stride = source.inputs.shape[2] * 4
    base = start_of(source.inputs)
    count = 0
    for k in range(plan.active.size - 1):
        for place in range(plan.active[k]):
            row = _row_of(source, plan, k, place)
            if slot_of[row] < 0:
                slot_of[row] = count
                rows[count] = base + row * stride
                count += 1
            slots[plan.offsets[k] + place] = slot_of[row]
    return Distinct(slots, rows[:count])


@compiled
def project_rows(distinct: Distinct, packed_kernel: FloatArray, bias: FloatArray, width: int) -> FloatArray:
    """The distinct rows times the input kernel plus the bias, (distinct, width)."""
    count = distinct.rows.size
    values = np.zeros((count, width), np.float32)
    fill_rows(count, bias, values)
    if count:
        add_product(count, distinct.rows, packed_kernel, values)
    return values


@compiled
def scale_inputs(k: int, source: Source, plan: Schedule, scratch: FloatArray) -> None:
    """Writes step k's rows, scaled by the factors of their sequences, to the first rows of ``scratch``."""
    features = source.inputs.shape[2]
    table, factors, target = start_of(source.inputs), start_of(source.factors), start_of(scratch)
    for place in range(plan.active[k]):
        row = _row_of(source, plan, k, place)
        factor = factors + plan.order[place] * features * 4
        multiply_row(features, (table + row * features * 4, factor, target + place * features * 4))


@compiled
def put_projections(
    k: int,
    source: Source,
    plan: Schedule,
    distinct: Distinct,
    projected: FloatArray,
    packed_kernel: FloatArray,
    bias: FloatArray,
    scratch: FloatArray,
    rows: LongArray,
    z: FloatArray,
) -> None:
    """Writes step k's inputs times the kernel plus the bias to the first rows of ``z``.

    ``projected`` is what :func:`project_rows` gave; ``scratch`` (batch, features) and ``rows`` (batch,) are
    overwritten.
    """
    count, width = plan.active[k], z.shape[1]
    if source.folded:
        values, target = start_of(projected), start_of(z)
        for place in range(count):
            slot = np.int64(distinct.slots[plan.offsets[k] + place])
            copy_row(width, (values + slot * width * 4, target + place * width * 4))
        return
    fill_rows(count, bias, z)
    if source.scaled:
        scale_inputs(k, source, plan, scratch)
        point_at_rows(0, count, scratch, rows)
    else:
        point_at_inputs(k, source.inputs, source.backwards, plan, rows)
    add_product(count, rows, packed_kernel, z)


class Gradients(NamedTuple):
    """What the gradients of inputs and input kernel are gathered in.

    Args:
        projected: float32, (distinct, width); gate gradients summed by distinct row.
        rows: int64, (room,); addresses of the gathered steps' inputs.
        targets: int64, (room,); addresses of the rows that their gradients are added to (scaled alone).
        factors: int64, (room,); addresses of their factors (scaled alone).
        scaled: float32, (room, features); their scaled inputs (scaled alone).
        d_x: float32, (room, padded features); scratch.
        d_kernel: float32, (features, width).
    """

    projected: FloatArray
    rows: LongArray
    targets: LongArray
    factors: LongArray
    scaled: FloatArray
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
    if source.folded or source.scaled:
        d_inputs[:] = 0
    else:
        clear_masked(mask, d_inputs)
    features = source.inputs.shape[2]
    scaled_room = room if source.scaled else 0
    return Gradients(
        np.zeros((distinct.rows.size, width), np.float32),
        np.empty(room, np.int64),
        np.empty(scaled_room, np.int64),
        np.empty(scaled_room, np.int64),
        np.empty((scaled_room, features), np.float32),
        np.empty((room, columns), np.float32),
        np.zeros((features, width), np.float32),
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
    d_inputs: FloatArray,
) -> None:
    """Takes in step k's gate gradients, which are the rows of ``d_z`` from ``filled`` on."""
    count, width = plan.active[k], d_z.shape[1]
    source_row = start_of(d_z) + filled * width * 4
    if source.folded:
        target = start_of(gradients.projected)
        for place in range(count):
            slot = np.int64(distinct.slots[plan.offsets[k] + place])
            own = target + slot * width * 4
            add_row(width, (own, source_row + place * width * 4, own))
        return
    for place in range(count):
        add_row(d_bias.size, (start_of(d_bias), source_row + place * width * 4, start_of(d_bias)))
    if source.scaled:
        features = source.inputs.shape[2]
        scale_inputs(k, source, plan, gradients.scaled[filled:])
        for place in range(count):
            row = _row_of(source, plan, k, place)
            gradients.rows[filled + place] = start_of(gradients.scaled) + (filled + place) * features * 4
            gradients.targets[filled + place] = start_of(d_inputs) + row * features * 4
            gradients.factors[filled + place] = start_of(source.factors) + plan.order[place] * features * 4
    else:
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
    """Turns ``count`` gathered rows of gate gradients into those of the input kernel and of the inputs."""
    if source.folded:
        return
    _multiply_out(count, gradients.rows, gradients, packed_kernel, d_z, d_z_rows)
    features, columns = source.inputs.shape[2], gradients.d_x.shape[1]
    shift = start_of(d_inputs) - start_of(source.inputs)
    for place in range(count):
        at = start_of(gradients.d_x) + place * columns * 4
        if source.scaled:
            target = gradients.targets[place]
            add_scaled_row(features, (at, gradients.factors[place], target, target))
        else:
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
    distinct: Distinct,
    gradients: Gradients,
    packed_kernel: FloatArray,
    d_bias: FloatArray,
    d_inputs: FloatArray,
) -> None:
    """Turns what was summed by distinct row into gradients of bias, input kernel and table."""
    if not source.folded:
        return
    features, room = source.inputs.shape[2], gradients.rows.size
    num_rows = gradients.projected.shape[0]
    shift = start_of(d_inputs) - start_of(source.inputs)
    d_z_rows = np.empty(room, np.int64)
    for first in range(0, num_rows, room):
        count = min(room, num_rows - first)
        d_z = gradients.projected[first : first + count]
        point_at_rows(0, count, d_z, d_z_rows)
        for place in range(count):
            add_row(d_bias.size, (start_of(d_bias), d_z_rows[place], start_of(d_bias)))
        _multiply_out(count, distinct.rows[first:], gradients, packed_kernel, d_z, d_z_rows)
        for place in range(count):
            at = start_of(gradients.d_x) + place * gradients.d_x.shape[1] * 4
            copy_row(features, (at, distinct.rows[first + place] + shift))
