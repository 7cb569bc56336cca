"""The plain recurrent net over whole sequences, forward and backward, on the real steps only.

Elman (1990): ``h' = tanh(x W + h U + b)``. Kept for the backward pass per real step: h'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.kernels.activations import tanh
from unrolled.kernels.bridge import (
    address_of,
    answers_metadata,
    argument,
    bytes2,
    flags,
    floats1,
    floats2,
    floats3,
    result,
)
from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import BACKWARDS, EVERY_OUTPUT, KEEP
from unrolled.kernels.lanes import elementwise
from unrolled.kernels.products import (
    CHUNK,
    add_outer_product,
    add_product,
    add_row,
    copy_row,
    fill_rows,
    pack,
    padded,
    put_input_gradients,
    start_of,
    zero_rows,
)
from unrolled.kernels.schedule import (
    clear_masked,
    copy_columns,
    gather_gradients_before_start,
    gather_output_gradients,
    make_schedule,
    point_at_inputs,
    point_at_rows,
    put_rows,
    spread_before_start,
    spread_outputs,
    take_rows,
)

# What the backward pass needs of a real step, in units of the state: h'.
KEPT = 1

_step = elementwise("simple_rnn", lambda z: (tanh(z),), 1)
_step_gradient = elementwise("simple_rnn_gradient", lambda h, d_h: (d_h * (1.0 - h * h),), 2)


@compiled
def forward(frame: int) -> None:
    """Runs the layer: the arguments and results of one custom call.

    Arguments: inputs (batch, time, features), kernel (features, units), recurrent kernel (units, units), bias
    (units,), h (batch, units), mask (batch, time). Results: the last h (batch, units); with EVERY_OUTPUT the
    outputs (batch, time, units); with KEEP what :func:`backward` needs, (batch * time, units).
    """
    mode = flags(frame)
    backwards, every, keep = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0, mode & KEEP != 0
    inputs, kernel = floats3(argument(frame, 0)), floats2(argument(frame, 1))
    recurrent, bias = floats2(argument(frame, 2)), floats1(argument(frame, 3))
    h_start = floats2(argument(frame, 4))
    outputs = floats3(result(frame, 1 if every else 0))
    kept = floats2(result(frame, (2 if every else 1) if keep else 0))

    batch, units = inputs.shape[0], recurrent.shape[0]
    plan = make_schedule(bytes2(argument(frame, 5)), backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    packed_kernel, packed_recurrent = pack(kernel, False), pack(recurrent, False)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    z = np.zeros((batch, padded(units)), np.float32)
    rows, h_rows = np.empty(batch, np.int64), np.empty(batch, np.int64)
    point_at_rows(0, batch, h, h_rows)
    if every:
        spread_before_start(h_start, plan, outputs)
    for k in range(active.size - 1):
        count = active[k]
        fill_rows(count, bias, z)
        point_at_inputs(k, inputs, backwards, plan, rows)
        add_product(count, rows, packed_kernel, z)
        add_product(count, h_rows, packed_recurrent, z)
        for place in range(count):
            _step(units, (start_of(z) + place * z.shape[1] * 4, h_rows[place]))
        if keep:
            copy_row(count * units, (start_of(h), start_of(kept) + offsets[k] * units * 4))
        if every:
            spread_outputs(k, h, plan, outputs)
    put_rows(h, order, floats2(result(frame, 0)))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: those of :func:`forward`, what it kept, the gradient of the last h and, with EVERY_OUTPUT, of
    the outputs. Results: the gradients of inputs, kernel, recurrent kernel, bias and h.
    """
    mode = flags(frame)
    backwards, every = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0
    inputs, kernel = floats3(argument(frame, 0)), floats2(argument(frame, 1))
    recurrent, h_start = floats2(argument(frame, 2)), floats2(argument(frame, 4))
    mask, kept = bytes2(argument(frame, 5)), floats2(argument(frame, 6))
    d_outputs = floats3(argument(frame, 8 if every else 0))
    d_inputs, d_bias = floats3(result(frame, 0)), floats1(result(frame, 3))

    batch, features, units = inputs.shape[0], inputs.shape[2], recurrent.shape[0]
    plan = make_schedule(mask, backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    clear_masked(mask, d_inputs)
    packed_kernel, packed_recurrent = pack(kernel, True), pack(recurrent, True)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    width = padded(units)
    d_h = np.zeros((batch, width), np.float32)
    take_rows(floats2(argument(frame, 7)), order, d_h)

    room = max(batch, CHUNK)
    d_z, d_x = np.zeros((room, width), np.float32), np.empty((room, padded(features)), np.float32)
    d_kernel, d_recurrent = np.zeros((features, width), np.float32), np.zeros((units, width), np.float32)
    input_rows, before_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    d_z_rows = np.empty(room, np.int64)
    point_at_rows(0, room, d_z, d_z_rows)
    d_bias[:] = 0
    shift = start_of(d_inputs) - start_of(inputs)
    filled = 0
    for k in range(active.size - 2, -1, -1):
        count = active[k]
        if every:
            gather_output_gradients(k, d_outputs, plan, d_h)
        for place in range(count):
            dz = d_z_rows[filled + place]
            now = start_of(kept) + (offsets[k] + place) * units * 4
            _step_gradient(units, (now, start_of(d_h) + place * width * 4, dz))
            add_row(units, (start_of(d_bias), dz, start_of(d_bias)))
        if k > 0:
            point_at_rows(offsets[k - 1], count, kept, before_rows[filled:])
        else:
            point_at_rows(0, count, h, before_rows[filled:])
        point_at_inputs(k, inputs, backwards, plan, input_rows[filled:])
        zero_rows(count, d_h)
        add_product(count, d_z_rows[filled:], packed_recurrent, d_h)
        filled += count
        if k == 0 or filled + active[k - 1] > room:
            add_outer_product(filled, before_rows, d_z, d_recurrent)
            put_input_gradients(filled, input_rows, shift, d_z, d_z_rows, packed_kernel, d_kernel, d_x)
            filled = 0
    if every:
        gather_gradients_before_start(d_outputs, plan, d_h)
    copy_columns(d_kernel, floats2(result(frame, 1)))
    copy_columns(d_recurrent, floats2(result(frame, 2)))
    put_rows(d_h, order, floats2(result(frame, 4)))


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    at = address_of(frame)
    if not answers_metadata(at):
        forward(at)
    return 0


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    at = address_of(frame)
    if not answers_metadata(at):
        backward(at)
    return 0
