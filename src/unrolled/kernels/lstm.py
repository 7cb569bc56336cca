"""The LSTM over whole sequences, forward and backward, on the real steps only.

Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000), gates in Keras' order i, f, g,
o: ``z = x W + h U + b``, ``c' = σ(z_f) c + σ(z_i) tanh(z_g)``, ``h' = σ(z_o) tanh(c')``. The backward pass
is derived by hand. Kept for it per real step: the four gates and c'; h is recomputed from them.
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

GATES = 4
# What the backward pass needs of a real step, in units of the state: i, f, g, o, c'.
KEPT = 5


def _cell(z_i: Lanes, z_f: Lanes, z_g: Lanes, z_o: Lanes, c: Lanes) -> tuple[Lanes, ...]:
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
    c = f.times_plus(c, i * g)
    return i, f, g, o, c, c, o * tanh(c)


def _cell_alone(z_i: Lanes, z_f: Lanes, z_g: Lanes, z_o: Lanes, c: Lanes) -> tuple[Lanes, ...]:
    return _cell(z_i, z_f, z_g, z_o, c)[-2:]


def _cell_gradient(
    i: Lanes, f: Lanes, g: Lanes, o: Lanes, c: Lanes, c_before: Lanes, d_h: Lanes, d_c: Lanes
) -> tuple[Lanes, ...]:
    t = tanh(c)
    d_c = (d_h * o).times_plus(1.0 - t * t, d_c)
    return (
        d_c * g * i * (1.0 - i),
        d_c * c_before * f * (1.0 - f),
        d_c * i * (1.0 - g * g),
        d_h * t * o * (1.0 - o),
        d_c * f,
    )


step = elementwise("lstm", _cell, 5)
step_alone = elementwise("lstm_alone", _cell_alone, 5)
step_gradient = elementwise("lstm_gradient", _cell_gradient, 8)
hidden = elementwise("lstm_hidden", lambda o, c: (o * tanh(c),), 2)


@compiled
def forward(frame: int) -> None:
    """Runs the layer: the arguments and results of one custom call.

    Arguments: inputs (batch, time, features), kernel (features, 4 units), recurrent kernel (units, 4
    units), bias (4 units,), h and c (batch, units), mask (batch, time), tokens (batch, time) and factors
    (batch, features); the last two count only when FOLDED or SCALED, and inputs then are a table (1, rows,
    features). Results: the last h and c (batch, units); with EVERY_OUTPUT the outputs (batch, time, units);
    with KEEP what :func:`backward` needs, (batch * time, 5 units).
    """
    mode = flags(frame)
    backwards, every, keep = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0, mode & KEEP != 0
    inputs, kernel = floats3(argument(frame, 0)), floats2(argument(frame, 1))
    recurrent, bias = floats2(argument(frame, 2)), floats1(argument(frame, 3))
    h_start, c_start = floats2(argument(frame, 4)), floats2(argument(frame, 5))
    outputs = floats3(result(frame, 2 if every else 0))
    kept = floats2(result(frame, (3 if every else 2) if keep else 0))

    batch, units = h_start.shape
    plan = make_schedule(bytes2(argument(frame, 6)), backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 7)), floats2(argument(frame, 8)))
    packed_kernel, packed_recurrent = pack(kernel, False), pack(recurrent, False)
    h, c = np.empty((batch, units), np.float32), np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    take_rows(c_start, order, c)
    z = np.zeros((batch, padded(GATES * units)), np.float32)
    distinct = find_distinct(source, plan)
    projected = project_rows(source, plan, distinct, packed_kernel, bias, z.shape[1])
    rows, h_rows = np.empty(batch, np.int64), np.empty(batch, np.int64)
    point_at_rows(0, batch, h, h_rows)
    if every:
        spread_before_start(h_start, plan, outputs)
    gate, kept_bytes = units * 4, KEPT * units * 4
    kept_start = start_of_kept(plan, kept) if keep else 0
    for k in range(active.size - 1):
        count = active[k]
        put_projections(k, source, plan, distinct, projected, packed_kernel, bias, rows, z)
        now = kept_start + offsets[k] * kept_bytes
        add_product_fetching(count, h_rows, packed_recurrent, z, now, count * kept_bytes if keep else 0)
        for place in range(count):
            zi = start_of(z) + place * z.shape[1] * 4
            hp, cp = start_of(h) + place * gate, start_of(c) + place * gate
            if keep:
                i = now + place * kept_bytes
                sources = (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp)
                targets = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, cp, hp)
                step(units, sources + targets)
            else:
                step_alone(units, (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp, cp, hp))
        if every:
            spread_outputs(k, h, plan, outputs)
    put_rows(h, order, floats2(result(frame, 0)))
    put_rows(c, order, floats2(result(frame, 1)))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: those of :func:`forward`, what it kept, the gradients of the last h and c and, with
    EVERY_OUTPUT, of the outputs. Results: the gradients of inputs, kernel, recurrent
    kernel, bias, h and c.
    """
    mode = flags(frame)
    backwards, every = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0
    inputs, kernel, recurrent = (
        floats3(argument(frame, 0)),
        floats2(argument(frame, 1)),
        floats2(argument(frame, 2)),
    )
    h_start, c_start = floats2(argument(frame, 4)), floats2(argument(frame, 5))
    mask, kept = bytes2(argument(frame, 6)), floats2(argument(frame, 9))
    d_outputs = floats3(argument(frame, 12 if every else 0))
    d_inputs, d_bias = floats3(result(frame, 0)), floats1(result(frame, 3))

    batch, units = h_start.shape
    features = inputs.shape[2]
    plan = make_schedule(mask, backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 7)), floats2(argument(frame, 8)))
    packed_kernel, packed_recurrent = pack(kernel, True), pack(recurrent, True)
    h, c = np.empty((batch, units), np.float32), np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    take_rows(c_start, order, c)
    d_h = np.zeros((batch, padded(units)), np.float32)
    d_c = np.empty((batch, units), np.float32)
    take_rows(floats2(argument(frame, 10)), order, d_h)
    take_rows(floats2(argument(frame, 11)), order, d_c)

    width = padded(GATES * units)
    room = max(batch, CHUNK)
    d_z = np.zeros((room, width), np.float32)
    before = np.empty((room, units), np.float32)
    distinct = find_distinct(source, plan)
    gradients = make_gradients(source, distinct, room, padded(features), width, mask, d_inputs)
    d_recurrent = np.zeros((units, width), np.float32)
    before_rows, d_z_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    visible = make_visible(room)
    point_at_rows(0, room, before, before_rows)
    point_at_rows(0, room, d_z, d_z_rows)
    d_bias[:] = 0
    gate, kept_bytes, kept_start = units * 4, KEPT * units * 4, start_of_kept(plan, kept)
    filled = 0
    for k in range(active.size - 2, -1, -1):
        count = active[k]
        if every:
            gather_output_gradients(k, d_outputs, plan, d_h)
        for place in range(count):
            i = kept_start + (offsets[k] + place) * kept_bytes
            dz = start_of(d_z) + (filled + place) * width * 4
            hb, own = start_of(before) + (filled + place) * gate, start_of(h) + place * gate
            cb = start_of(c) + place * gate
            if k > 0:
                last = kept_start + (offsets[k - 1] + place) * kept_bytes
                cb = last + 4 * gate
                hidden(units, (last + 3 * gate, cb, hb))
            else:
                copy_row(units, (own, hb))
            dc = start_of(d_c) + place * gate
            sources = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, cb)
            from_after = (start_of(d_h) + place * d_h.shape[1] * 4, dc)
            targets = (dz, dz + gate, dz + 2 * gate, dz + 3 * gate, dc)
            step_gradient(units, sources + from_after + targets)
        gather_step(k, filled, source, plan, distinct, gradients, d_z, d_bias)
        zero_rows(count, d_h)
        # The step before was read above, for the cell's state: the one before that comes next.
        next_count = active[k - 2] if k > 1 else 0
        ahead = kept_start + offsets[max(k - 2, 0)] * kept_bytes
        add_product_fetching(count, d_z_rows[filled:], packed_recurrent, d_h, ahead, next_count * kept_bytes)
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
    put_rows(d_c, order, floats2(result(frame, 5)))


_enter_forward = entry("lstm_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("lstm_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
