"""The GRU with its reset gate after the product, forward and backward, on the real steps only.

Cho et al. (2014) in the form of cuDNN and of Keras' ``reset_after=True``, gates in Keras' order z, r, h:
``a = x W + b``, ``q = h U + b'``, ``z = σ(a_z + q_z)``, ``r = σ(a_r + q_r)``, ``g = tanh(a_h + r q_h)``,
``h' = z h + (1 - z) g``. Kept for the backward pass per real step: z, r, g, q_h and h.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.kernels.activations import sigmoid, tanh
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
from unrolled.kernels.lanes import Lanes
from unrolled.kernels.products import (
    CHUNK,
    add_product_fetching,
    add_row,
    fill_rows,
    pack,
    padded,
    start_of,
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

GATES = 3
# What the backward pass needs of a real step, in units of the state: z, r, g, q_h, h.
KEPT = 5


def _cell(
    a_z: Lanes, a_r: Lanes, a_h: Lanes, q_z: Lanes, q_r: Lanes, q_h: Lanes, h: Lanes
) -> tuple[Lanes, ...]:
    z, r = sigmoid(a_z + q_z), sigmoid(a_r + q_r)
    g = tanh(r.times_plus(q_h, a_h))
    return z, r, g, q_h, h, z.times_plus(h - g, g)


def _cell_gradient(z: Lanes, r: Lanes, g: Lanes, q: Lanes, h: Lanes, d_h: Lanes) -> tuple[Lanes, ...]:
    d_g = d_h * (1.0 - z) * (1.0 - g * g)
    d_z = d_h * (h - g) * z * (1.0 - z)
    d_r = d_g * q * r * (1.0 - r)
    return d_z, d_r, d_g, d_z, d_r, d_g * r, d_h * z


step = elementwise("gru", _cell, 7)
step_alone = elementwise("gru_alone", lambda *inputs: _cell(*inputs)[-1:], 7)
step_gradient = elementwise("gru_gradient", _cell_gradient, 6)


@compiled
def forward(frame: int) -> None:
    """Runs the layer: the arguments and results of one custom call.

    Arguments: inputs (batch, time, features), kernel (features, 3 units), recurrent kernel (units, 3
    units), bias and recurrent bias (3 units,), h (batch, units), mask (batch, time). Results: the last h
    (batch, units); with EVERY_OUTPUT the outputs (batch, time, units); with KEEP what :func:`backward`
    needs, (batch * time, 5 units).
    """
    mode = flags(frame)
    backwards, every, keep = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0, mode & KEEP != 0
    inputs, kernel, recurrent = (
        floats3(argument(frame, 0)),
        floats2(argument(frame, 1)),
        floats2(argument(frame, 2)),
    )
    bias, recurrent_bias = floats1(argument(frame, 3)), floats1(argument(frame, 4))
    h_start = floats2(argument(frame, 5))
    outputs = floats3(result(frame, 1 if every else 0))
    kept = floats2(result(frame, (2 if every else 1) if keep else 0))

    batch, units = h_start.shape
    plan = make_schedule(bytes2(argument(frame, 6)), backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 7)), floats2(argument(frame, 8)))
    packed_kernel, packed_recurrent = pack(kernel, False), pack(recurrent, False)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    width = padded(GATES * units)
    a, q = np.zeros((batch, width), np.float32), np.zeros((batch, width), np.float32)
    distinct = find_distinct(source, plan)
    projected = project_rows(source, plan, distinct, packed_kernel, bias, a.shape[1])
    rows, h_rows = np.empty(batch, np.int64), np.empty(batch, np.int64)
    point_at_rows(0, batch, h, h_rows)
    if every:
        spread_before_start(h_start, plan, outputs)
    gate, row_bytes = units * 4, KEPT * units * 4
    kept_start = start_of_kept(plan, kept) if keep else 0
    for k in range(active.size - 1):
        count = active[k]
        put_projections(k, source, plan, distinct, projected, packed_kernel, bias, rows, a)
        fill_rows(count, recurrent_bias, q)
        now = kept_start + offsets[k] * row_bytes
        add_product_fetching(count, h_rows, packed_recurrent, q, now, count * row_bytes if keep else 0)
        for place in range(count):
            ap, qp = start_of(a) + place * width * 4, start_of(q) + place * width * 4
            hp = h_rows[place]
            sources = (ap, ap + gate, ap + 2 * gate, qp, qp + gate, qp + 2 * gate, hp)
            if keep:
                z = now + place * row_bytes
                targets = (z, z + gate, z + 2 * gate, z + 3 * gate, z + 4 * gate, hp)
                step(units, sources + targets)
            else:
                step_alone(units, sources + (hp,))  # noqa: RUF005
        if every:
            spread_outputs(k, h, plan, outputs)
    put_rows(h, order, floats2(result(frame, 0)))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: those of :func:`forward`, what it kept, the gradient of the last h and, with EVERY_OUTPUT, of
    the outputs. Results: the gradients of inputs, kernel, recurrent kernel, bias, recurrent bias and h.
    """
    mode = flags(frame)
    backwards, every = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0
    inputs, kernel, recurrent = (
        floats3(argument(frame, 0)),
        floats2(argument(frame, 1)),
        floats2(argument(frame, 2)),
    )
    mask, kept = bytes2(argument(frame, 6)), floats2(argument(frame, 9))
    d_outputs = floats3(argument(frame, 11 if every else 0))
    d_inputs = floats3(result(frame, 0))
    d_bias, d_recurrent_bias = floats1(result(frame, 3)), floats1(result(frame, 4))

    batch, features, units = mask.shape[0], inputs.shape[2], recurrent.shape[0]
    plan = make_schedule(mask, backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 7)), floats2(argument(frame, 8)))
    packed_kernel, packed_recurrent = pack(kernel, True), pack(recurrent, True)
    d_h = np.zeros((batch, padded(units)), np.float32)
    take_rows(floats2(argument(frame, 10)), order, d_h)

    width = padded(GATES * units)
    room = max(batch, CHUNK)
    d_a, d_q = np.zeros((room, width), np.float32), np.zeros((room, width), np.float32)
    distinct = find_distinct(source, plan)
    gradients = make_gradients(source, distinct, room, padded(features), width, mask, d_inputs)
    d_recurrent = np.zeros((units, width), np.float32)
    before_rows, visible = np.empty(room, np.int64), make_visible(room)
    d_a_rows, d_q_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    point_at_rows(0, room, d_a, d_a_rows)
    point_at_rows(0, room, d_q, d_q_rows)
    d_bias[:] = 0
    d_recurrent_bias[:] = 0
    gate, row_bytes, kept_start = units * 4, KEPT * units * 4, start_of_kept(plan, kept)
    filled = 0
    for k in range(active.size - 2, -1, -1):
        count = active[k]
        if every:
            gather_output_gradients(k, d_outputs, plan, d_h)
        for place in range(count):
            z = kept_start + (offsets[k] + place) * row_bytes
            da, dq = d_a_rows[filled + place], d_q_rows[filled + place]
            dh = start_of(d_h) + place * d_h.shape[1] * 4
            sources = (z, z + gate, z + 2 * gate, z + 3 * gate, z + 4 * gate, dh)
            targets = (da, da + gate, da + 2 * gate, dq, dq + gate, dq + 2 * gate, dh)
            step_gradient(units, sources + targets)
            add_row(GATES * units, (start_of(d_recurrent_bias), dq, start_of(d_recurrent_bias)))
            before_rows[filled + place] = z + 4 * gate
        gather_step(k, filled, source, plan, distinct, gradients, d_a, d_bias)
        next_count = active[k - 1] if k > 0 else 0
        ahead = kept_start + (offsets[k] - next_count) * row_bytes
        add_product_fetching(count, d_q_rows[filled:], packed_recurrent, d_h, ahead, next_count * row_bytes)
        filled += count
        if k == 0 or filled + active[k - 1] > room:
            put_gradients(filled, source, gradients, packed_kernel, d_a, d_a_rows, d_inputs)
            add_visible_products(filled, before_rows, d_q, visible, d_recurrent)
            filled = 0
    if every:
        gather_gradients_before_start(d_outputs, plan, d_h)
    finish_gradients(source, plan, distinct, gradients, kernel, packed_kernel, d_bias, d_inputs)
    copy_columns(gradients.d_kernel, floats2(result(frame, 1)))
    copy_columns(d_recurrent, floats2(result(frame, 2)))
    put_rows(d_h, order, floats2(result(frame, 5)))


_enter_forward = entry("gru_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("gru_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
