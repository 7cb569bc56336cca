"""Which row computes what when, so that only real steps are computed, whatever the mask.

A masked step carries the state on, so a row with holes equals the row of its real steps alone. Every row is
reduced to the list of its real steps; rows are sorted, longest first; at step k the rows that still have a
k-th real step are the first ``active[k]``: a dense block without a condition in it. This is PyTorch's packed
sequence, for left and right padding and holes alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import ByteArray, compiled
from unrolled.kernels.products import add_row, copy_row, start_of, zero_row
from unrolled.types import FloatArray, IntArray, LongArray


class Schedule(NamedTuple):
    """Sorted rows and their real steps.

    Args:
        order: int64, shape (batch,); batch row of each sorted row, longest first, ties in batch order.
        lengths: int64, shape (batch,); real steps of each sorted row.
        active: int64, shape (longest + 1,); sorted rows that have a k-th real step; 0 at the end.
        offsets: int64, shape (longest + 1,); place of the first row of step k among all real steps.
        steps: int32, shape (real steps,); when each happens: its distance from where time begins.
    """

    order: LongArray
    lengths: LongArray
    active: LongArray
    offsets: LongArray
    steps: IntArray


@compiled
def make_schedule(mask: ByteArray, backwards: bool) -> Schedule:
    """The schedule of a mask, uint8 (batch, time), not 0 where a step is real; time may run backwards."""
    batch, time = mask.shape
    counts = np.zeros(batch, np.int64)
    for row in range(batch):
        total = 0
        for step in range(time):
            total += mask[row, step] != 0
        counts[row] = total
    longest = 0
    for row in range(batch):
        longest = max(longest, counts[row])
    active = np.zeros(longest + 1, np.int64)
    for row in range(batch):
        if counts[row]:
            active[counts[row] - 1] += 1
    for k in range(longest - 1, -1, -1):
        active[k] += active[k + 1]
    # Rows longer than a row stand before it: active[counts[row]] of them.
    following = np.zeros(longest + 1, np.int64)
    order = np.empty(batch, np.int64)
    lengths = np.empty(batch, np.int64)
    for row in range(batch):
        place = active[counts[row]] + following[counts[row]]
        following[counts[row]] += 1
        order[place] = row
        lengths[place] = counts[row]
    offsets = np.zeros(longest + 1, np.int64)
    for k in range(longest):
        offsets[k + 1] = offsets[k] + active[k]
    steps = np.empty(offsets[longest], np.int32)
    for place in range(batch):
        row = order[place]
        k = 0
        for step in range(time):
            if mask[row, time - 1 - step if backwards else step]:
                steps[offsets[k] + place] = step
                k += 1
    return Schedule(order, lengths, active, offsets, steps)


@compiled
def start_of_kept(plan: Schedule, kept: FloatArray) -> int:
    """The address from which on real steps are kept: the end of the array, as many rows as there are steps.

    What padding needs stands at its beginning (:mod:`unrolled.kernels.repeat`): there are never more steps
    of both than rows.
    """
    unused = kept.shape[0] - plan.offsets[plan.offsets.size - 1]
    return start_of(kept) + unused * kept.shape[1] * 4


@compiled
def point_at_inputs(k: int, inputs: FloatArray, backwards: bool, plan: Schedule, rows: LongArray) -> None:
    """Fills ``rows`` with the addresses of step k's inputs, (batch, time, features) float32."""
    time, stride = inputs.shape[1], inputs.shape[2] * 4
    base = start_of(inputs)
    for place in range(plan.active[k]):
        step = np.int64(plan.steps[plan.offsets[k] + place])
        at = time - 1 - step if backwards else step
        rows[place] = base + (plan.order[place] * time + at) * stride


@compiled
def point_at_rows(first: int, count: int, matrix: FloatArray, rows: LongArray) -> None:
    """Fills ``rows[:count]`` with the addresses of ``count`` rows of a matrix from row ``first`` on."""
    stride = matrix.shape[1] * 4
    base = start_of(matrix) + first * stride
    for place in range(count):
        rows[place] = base + place * stride


@compiled
def _first_step(place: int, plan: Schedule, time: int) -> int:
    """When a sorted row's first real step happens; ``time`` if it has none."""
    return np.int64(plan.steps[place]) if plan.lengths[place] else time  # type: ignore[return-value]


@compiled
def _next_step(k: int, place: int, plan: Schedule, time: int) -> int:
    """When the real step after step k happens; ``time`` if there is none."""
    if place < plan.active[k + 1]:
        return np.int64(plan.steps[plan.offsets[k + 1] + place])  # type: ignore[return-value]
    return time


@compiled
def spread_before_start(initial: FloatArray, plan: Schedule, outputs: FloatArray) -> None:
    """Writes the initial state, (batch, units), to the outputs before every row's first real step."""
    time, units = outputs.shape[1], outputs.shape[2]
    source, target = start_of(initial), start_of(outputs)
    for place in range(plan.order.size):
        row = plan.order[place]
        for step in range(_first_step(place, plan, time)):
            copy_row(units, (source + row * units * 4, target + (row * time + step) * units * 4))


@compiled
def spread_outputs(k: int, state: FloatArray, plan: Schedule, outputs: FloatArray) -> None:
    """Writes the states after step k to the outputs, up to each row's next real step."""
    time, units = outputs.shape[1], outputs.shape[2]
    source, target = start_of(state), start_of(outputs)
    stride = state.shape[1] * 4
    for place in range(plan.active[k]):
        start = np.int64(plan.steps[plan.offsets[k] + place])
        for step in range(start, _next_step(k, place, plan, time)):
            at = target + (plan.order[place] * time + step) * units * 4
            copy_row(units, (source + place * stride, at))


@compiled
def gather_output_gradients(k: int, gradients: FloatArray, plan: Schedule, state: FloatArray) -> None:
    """Adds the gradients of the outputs that repeat step k's states to the states' own."""
    time, units = gradients.shape[1], gradients.shape[2]
    source, target = start_of(gradients), start_of(state)
    stride = state.shape[1] * 4
    for place in range(plan.active[k]):
        own = target + place * stride
        start = np.int64(plan.steps[plan.offsets[k] + place])
        for step in range(start, _next_step(k, place, plan, time)):
            add_row(units, (own, source + (plan.order[place] * time + step) * units * 4, own))


@compiled
def gather_gradients_before_start(gradients: FloatArray, plan: Schedule, state: FloatArray) -> None:
    """Adds the gradients of the outputs that repeat the initial state to its own."""
    time, units = gradients.shape[1], gradients.shape[2]
    source, target = start_of(gradients), start_of(state)
    stride = state.shape[1] * 4
    for place in range(plan.order.size):
        own = target + place * stride
        for step in range(_first_step(place, plan, time)):
            add_row(units, (own, source + (plan.order[place] * time + step) * units * 4, own))


@compiled
def take_rows(source: FloatArray, order: LongArray, target: FloatArray) -> None:
    """Copies rows of the batch, (batch, units), into sorted order; ``target`` may be wider."""
    units = source.shape[1]
    for place in range(order.size):
        at = start_of(target) + place * target.shape[1] * 4
        copy_row(units, (start_of(source) + order[place] * units * 4, at))


@compiled
def put_rows(source: FloatArray, order: LongArray, target: FloatArray) -> None:
    """Copies sorted rows back to their rows of the batch, (batch, units); ``source`` may be wider."""
    units = target.shape[1]
    for place in range(order.size):
        at = start_of(target) + order[place] * units * 4
        copy_row(units, (start_of(source) + place * source.shape[1] * 4, at))


@compiled
def copy_columns(source: FloatArray, target: FloatArray) -> None:
    """Copies as many columns as ``target`` has; ``source`` may be wider."""
    for row in range(target.shape[0]):
        at = start_of(target) + row * target.shape[1] * 4
        copy_row(target.shape[1], (start_of(source) + row * source.shape[1] * 4, at))


@compiled
def clear_masked(mask: ByteArray, gradients: FloatArray) -> None:
    """Zeroes the gradients of masked steps, (batch, time, features): nothing was computed from them."""
    batch, time, features = gradients.shape
    for row in range(batch):
        for step in range(time):
            if not mask[row, step]:
                at = start_of(gradients) + (row * time + step) * features * 4
                zero_row(features, (at, at))
