"""The plain recurrent net over whole sequences, forward and backward, on the real steps only.

Elman (1990): ``h' = tanh(x W + h U + b)``. Kept for the backward pass per real step: h'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.kernels.activations import tanh
from unrolled.kernels.bridge import (
    address_of,
    argument,
    bytes2,
    flags,
    floats1,
    floats2,
    floats3,
    integers2,
    result,
)
from unrolled.kernels.compiled import compiled
from unrolled.kernels.distinct import find_distinct, make_source
from unrolled.kernels.flags import BACKWARDS, EVERY_OUTPUT, KEEP
from unrolled.kernels.formulas import elementwise
from unrolled.kernels.products import (
    CHUNK,
    add_product,
    copy_row,
    pack,
    padded,
    start_of,
    zero_rows,
)
from unrolled.kernels.schedule import (
    copy_columns,
    gather_gradients_before_start,
    gather_output_gradients,
    make_schedule,
    point_at_rows,
    put_rows,
    spread_before_start,
    spread_outputs,
    start_of_kept,
    take_rows,
)
from unrolled.kernels.sources import (
    finish_gradients,
    gather_step,
    make_gradients,
    project_rows,
    put_gradients,
    put_projections,
)
from unrolled.kernels.tasks import entry
from unrolled.kernels.visible import add_visible_products, make_visible

# What the backward pass needs of a real step, in units of the state: h'.
KEPT = 1

step = elementwise("simple_rnn", lambda z: (tanh(z),), 1)
step_gradient = elementwise("simple_rnn_gradient", lambda h, d_h: (d_h * (1.0 - h * h),), 2)


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

    batch, units = h_start.shape
    plan = make_schedule(bytes2(argument(frame, 5)), backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 6)), floats2(argument(frame, 7)))
    packed_kernel, packed_recurrent = pack(kernel, False), pack(recurrent, False)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    z = np.zeros((batch, padded(units)), np.float32)
    distinct = find_distinct(source, plan)
    projected = project_rows(source, plan, distinct, packed_kernel, bias, z.shape[1])
    rows, h_rows = np.empty(batch, np.int64), np.empty(batch, np.int64)
    point_at_rows(0, batch, h, h_rows)
    if every:
        spread_before_start(h_start, plan, outputs)
    for k in range(active.size - 1):
        count = active[k]
        put_projections(k, source, plan, distinct, projected, packed_kernel, bias, rows, z)
        add_product(count, h_rows, packed_recurrent, z)
        for place in range(count):
            step(units, (start_of(z) + place * z.shape[1] * 4, h_rows[place]))
        if keep:
            copy_row(count * units, (start_of(h), start_of_kept(plan, kept) + offsets[k] * units * 4))
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
    mask, kept = bytes2(argument(frame, 5)), floats2(argument(frame, 8))
    d_outputs = floats3(argument(frame, 10 if every else 0))
    d_inputs, d_bias = floats3(result(frame, 0)), floats1(result(frame, 3))

    batch, features, units = mask.shape[0], inputs.shape[2], recurrent.shape[0]
    plan = make_schedule(mask, backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 6)), floats2(argument(frame, 7)))
    packed_kernel, packed_recurrent = pack(kernel, True), pack(recurrent, True)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    width = padded(units)
    d_h = np.zeros((batch, width), np.float32)
    take_rows(floats2(argument(frame, 9)), order, d_h)

    room = max(batch, CHUNK)
    d_z = np.zeros((room, width), np.float32)
    distinct = find_distinct(source, plan)
    gradients = make_gradients(source, distinct, room, padded(features), width, mask, d_inputs)
    d_recurrent = np.zeros((units, width), np.float32)
    before_rows, visible = np.empty(room, np.int64), make_visible(room)
    d_z_rows = np.empty(room, np.int64)
    point_at_rows(0, room, d_z, d_z_rows)
    d_bias[:] = 0
    kept_start = start_of_kept(plan, kept)
    filled = 0
    for k in range(active.size - 2, -1, -1):
        count = active[k]
        if every:
            gather_output_gradients(k, d_outputs, plan, d_h)
        for place in range(count):
            dz = d_z_rows[filled + place]
            now = kept_start + (offsets[k] + place) * units * 4
            step_gradient(units, (now, start_of(d_h) + place * width * 4, dz))
        if k > 0:
            for place in range(count):
                before_rows[filled + place] = kept_start + (offsets[k - 1] + place) * units * 4
        else:
            point_at_rows(0, count, h, before_rows[filled:])
        gather_step(k, filled, source, plan, distinct, gradients, d_z, d_bias)
        zero_rows(count, d_h)
        add_product(count, d_z_rows[filled:], packed_recurrent, d_h)
        filled += count
        if k == 0 or filled + active[k - 1] > room:
            put_gradients(filled, source, gradients, packed_kernel, d_z, d_z_rows, d_inputs)
            add_visible_products(filled, before_rows, d_z, visible, d_recurrent)
            filled = 0
    if every:
        gather_gradients_before_start(d_outputs, plan, d_h)
    finish_gradients(source, plan, distinct, gradients, kernel, packed_kernel, d_bias, d_inputs)
    copy_columns(gradients.d_kernel, floats2(result(frame, 1)))
    copy_columns(d_recurrent, floats2(result(frame, 2)))
    put_rows(d_h, order, floats2(result(frame, 4)))


_enter_forward = entry("simple_rnn_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("simple_rnn_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
