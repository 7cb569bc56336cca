"""Which row computes what when, so that only real steps are computed, whatever the mask.

A masked step carries the state on, so a row with holes equals the row of its real steps alone. Every row is
reduced to the list of its real steps; rows are sorted, longest first; at step k the rows that still have a
k-th real step are the first ``active[k]``: a dense block without a condition in it. This is PyTorch's packed
sequence, for left and right padding and holes alike.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from unrolled.kernels.products import add_row, copy_row, start_of, zero_row


@njit(error_model="numpy")
def make_schedule(mask, backwards):
    """Sorted rows and their real steps.

    Args:
        mask: uint8, shape (batch, time); not 0 where a step is real.
        backwards: whether time runs from the last step to the first.

    Returns:
        order: int64, shape (batch,); batch row of each sorted row, longest first, ties in batch order.
        lengths: int64, shape (batch,); real steps of each sorted row.
        active: int64, shape (longest + 1,); sorted rows that have a k-th real step; 0 at the end.
        offsets: int64, shape (longest + 1,); place of the first row of step k among all real steps.
        steps: int32, shape (real steps,); when each happens: its distance from where time begins.
    """
    batch, time = mask.shape
    counts = np.zeros(batch, np.int64)
    for row in range(batch):
        total = 0
        for step in range(time):
            total += mask[row, step] != 0
        counts[row] = total
    longest = counts.max() if batch else 0
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
    return order, lengths, active, offsets, steps


@njit(error_model="numpy")
def point_at_inputs(k, inputs, backwards, order, active, offsets, steps, rows):
    """Fills ``rows`` with the addresses of step k's inputs, (batch, time, features) float32."""
    time, stride = inputs.shape[1], inputs.shape[2] * 4
    base = start_of(inputs)
    for place in range(active[k]):
        step = np.int64(steps[offsets[k] + place])
        at = time - 1 - step if backwards else step
        rows[place] = base + (order[place] * time + at) * stride


@njit(error_model="numpy")
def point_at_rows(first, count, matrix, rows):
    """Fills ``rows[:count]`` with the addresses of ``count`` rows of a matrix from row ``first`` on."""
    stride = matrix.shape[1] * 4
    base = start_of(matrix) + first * stride
    for place in range(count):
        rows[place] = base + place * stride


@njit
def _first_step(place, lengths, steps, time):
    """When a sorted row's first real step happens; ``time`` if it has none."""
    return np.int64(steps[place]) if lengths[place] else time


@njit
def _next_step(k, place, active, offsets, steps, time):
    """When the real step after step k happens; ``time`` if there is none."""
    return np.int64(steps[offsets[k + 1] + place]) if place < active[k + 1] else time


@njit(error_model="numpy")
def spread_before_start(initial, order, lengths, steps, outputs):
    """Writes the initial state, (batch, units), to the outputs before every row's first real step."""
    time, units = outputs.shape[1], outputs.shape[2]
    source, target = start_of(initial), start_of(outputs)
    for place in range(order.size):
        row = order[place]
        for step in range(_first_step(place, lengths, steps, time)):
            copy_row(units, (source + row * units * 4, target + (row * time + step) * units * 4))


@njit(error_model="numpy")
def spread_outputs(k, state, order, active, offsets, steps, outputs):
    """Writes the states after step k to the outputs, up to each row's next real step."""
    time, units = outputs.shape[1], outputs.shape[2]
    source, target = start_of(state), start_of(outputs)
    stride = state.shape[1] * 4
    for place in range(active[k]):
        start = np.int64(steps[offsets[k] + place])
        for step in range(start, _next_step(k, place, active, offsets, steps, time)):
            at = target + (order[place] * time + step) * units * 4
            copy_row(units, (source + place * stride, at))


@njit(error_model="numpy")
def gather_output_gradients(k, gradients, order, active, offsets, steps, state):
    """Adds the gradients of the outputs that repeat step k's states to the states' own."""
    time, units = gradients.shape[1], gradients.shape[2]
    source, target = start_of(gradients), start_of(state)
    stride = state.shape[1] * 4
    for place in range(active[k]):
        own = target + place * stride
        start = np.int64(steps[offsets[k] + place])
        for step in range(start, _next_step(k, place, active, offsets, steps, time)):
            add_row(units, (own, source + (order[place] * time + step) * units * 4, own))


@njit(error_model="numpy")
def gather_gradients_before_start(gradients, order, lengths, steps, state):
    """Adds the gradients of the outputs that repeat the initial state to its own."""
    time, units = gradients.shape[1], gradients.shape[2]
    source, target = start_of(gradients), start_of(state)
    stride = state.shape[1] * 4
    for place in range(order.size):
        own = target + place * stride
        for step in range(_first_step(place, lengths, steps, time)):
            add_row(units, (own, source + (order[place] * time + step) * units * 4, own))


@njit(error_model="numpy")
def take_rows(source, order, target):
    """Copies rows of the batch, (batch, units), into sorted order; ``target`` may be wider."""
    units = source.shape[1]
    for place in range(order.size):
        at = start_of(target) + place * target.shape[1] * 4
        copy_row(units, (start_of(source) + order[place] * units * 4, at))


@njit(error_model="numpy")
def put_rows(source, order, target):
    """Copies sorted rows back to their rows of the batch, (batch, units); ``source`` may be wider."""
    units = target.shape[1]
    for place in range(order.size):
        at = start_of(target) + order[place] * units * 4
        copy_row(units, (start_of(source) + place * source.shape[1] * 4, at))


@njit(error_model="numpy")
def copy_columns(source, target):
    """Copies as many columns as ``target`` has; ``source`` may be wider."""
    for row in range(target.shape[0]):
        at = start_of(target) + row * target.shape[1] * 4
        copy_row(target.shape[1], (start_of(source) + row * source.shape[1] * 4, at))


@njit(error_model="numpy")
def clear_masked(mask, gradients):
    """Zeroes the gradients of masked steps, (batch, time, features): nothing was computed from them."""
    batch, time, features = gradients.shape
    for row in range(batch):
        for step in range(time):
            if not mask[row, step]:
                at = start_of(gradients) + (row * time + step) * features * 4
                zero_row(features, (at, at))
