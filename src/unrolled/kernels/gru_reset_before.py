"""The GRU with its reset gate before the product, forward and backward, on the real steps only.

Cho et al. (2014), version 1: Keras' ``reset_after=False``, gates in the order z, r, h, ``a = x W + b``: ``z
= σ(a_z + h U_z)``, ``r = σ(a_r + h U_r)``, ``g = tanh(a_h + (r h) U_h)``, ``h' = z h + (1 - z) g``. The
candidate waits for the reset gate, so that every step needs two products in a row. Kept for the backward
pass per real step: z, r, g, r h and h.
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

GATES = 3
# What the backward pass needs of a real step, in units of the state: z, r, g, r h, h.
KEPT = 5


def _candidate(z: Lanes, a_h: Lanes, q_h: Lanes, h: Lanes) -> tuple[Lanes, ...]:
    g = tanh(a_h + q_h)
    return g, z.times_plus(h - g, g)


def _gates(a_z: Lanes, a_r: Lanes, q_z: Lanes, q_r: Lanes, h: Lanes) -> tuple[Lanes, ...]:
    r = sigmoid(a_r + q_r)
    return sigmoid(a_z + q_z), r, r * h, h


def _gates_gradient(r: Lanes, h: Lanes, d_reset: Lanes, d_h: Lanes) -> tuple[Lanes, ...]:
    d_r = d_reset * h * r * (1.0 - r)
    return d_r, d_r, d_reset.times_plus(r, d_h)


def _candidate_gradient(z: Lanes, g: Lanes, h: Lanes, d_h: Lanes) -> tuple[Lanes, ...]:
    d_z = d_h * (h - g) * z * (1.0 - z)
    d_g = d_h * (1.0 - z) * (1.0 - g * g)
    return d_z, d_z, d_g, d_g, d_h * z


_step_gates = elementwise("gru_reset_before_gates", _gates, 5)
_step_candidate = elementwise("gru_reset_before_candidate", _candidate, 4)
_gates_back = elementwise("gru_reset_before_gates_gradient", _gates_gradient, 4)
_candidate_back = elementwise("gru_reset_before_candidate_gradient", _candidate_gradient, 4)


@compiled
def forward(frame: int) -> None:
    """Runs the layer: the arguments and results of one custom call.

    Arguments and results are those of :func:`unrolled.kernels.gru.forward`; the recurrent bias is not used.
    """
    mode = flags(frame)
    backwards, every, keep = mode & BACKWARDS != 0, mode & EVERY_OUTPUT != 0, mode & KEEP != 0
    inputs, kernel, recurrent = (
        floats3(argument(frame, 0)),
        floats2(argument(frame, 1)),
        floats2(argument(frame, 2)),
    )
    bias, h_start = floats1(argument(frame, 3)), floats2(argument(frame, 5))
    outputs = floats3(result(frame, 1 if every else 0))
    kept = floats2(result(frame, (2 if every else 1) if keep else 0))

    batch, units = h_start.shape
    plan = make_schedule(bytes2(argument(frame, 6)), backwards)
    order, active, offsets = plan.order, plan.active, plan.offsets
    source = make_source(mode, backwards, inputs, integers2(argument(frame, 7)), floats2(argument(frame, 8)))
    packed_kernel = pack(kernel, False)
    packed_gates = pack(np.ascontiguousarray(recurrent[:, : 2 * units]), False)
    packed_candidate = pack(np.ascontiguousarray(recurrent[:, 2 * units :]), False)
    h = np.empty((batch, units), np.float32)
    take_rows(h_start, order, h)
    a = np.zeros((batch, padded(GATES * units)), np.float32)
    q, q_h = (
        np.zeros((batch, padded(2 * units)), np.float32),
        np.zeros((batch, padded(units)), np.float32),
    )
    rows, h_rows, reset_rows = np.empty(batch, np.int64), np.empty(batch, np.int64), np.empty(batch, np.int64)
    point_at_rows(0, batch, h, h_rows)
    # Without KEEP one scratch row for each row of the batch stands in for what is kept.
    unkept = np.empty((1 if keep else batch, KEPT * units), np.float32)
    distinct = find_distinct(source, plan)
    projected = project_rows(source, plan, distinct, packed_kernel, bias, a.shape[1])
    if every:
        spread_before_start(h_start, plan, outputs)
    gate = units * 4
    for k in range(active.size - 1):
        count = active[k]
        put_projections(k, source, plan, distinct, projected, packed_kernel, bias, rows, a)
        zero_rows(count, q)
        zero_rows(count, q_h)
        add_product(count, h_rows, packed_gates, q)
        store = start_of_kept(plan, kept) + offsets[k] * KEPT * gate if keep else start_of(unkept)
        for place in range(count):
            ap, qp = start_of(a) + place * a.shape[1] * 4, start_of(q) + place * q.shape[1] * 4
            z = store + place * KEPT * gate
            reset_rows[place] = z + 3 * gate
            sources = (ap, ap + gate, qp, qp + gate, h_rows[place])
            _step_gates(units, sources + (z, z + gate, z + 3 * gate, z + 4 * gate))  # noqa: RUF005
        add_product(count, reset_rows, packed_candidate, q_h)
        for place in range(count):
            z, hp = store + place * KEPT * gate, h_rows[place]
            ah = start_of(a) + place * a.shape[1] * 4 + 2 * gate
            _step_candidate(units, (z, ah, start_of(q_h) + place * q_h.shape[1] * 4, hp, z + 2 * gate, hp))
        if every:
            spread_outputs(k, h, plan, outputs)
    put_rows(h, order, floats2(result(frame, 0)))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments and results are those of :func:`unrolled.kernels.gru.backward`; the recurrent bias has
    gradient 0.
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
    packed_kernel = pack(kernel, True)
    packed_gates = pack(np.ascontiguousarray(recurrent[:, : 2 * units]), True)
    packed_candidate = pack(np.ascontiguousarray(recurrent[:, 2 * units :]), True)
    d_h, d_reset = (
        np.zeros((batch, padded(units)), np.float32),
        np.zeros((batch, padded(units)), np.float32),
    )
    take_rows(floats2(argument(frame, 10)), order, d_h)

    room = max(batch, CHUNK)
    d_a = np.zeros((room, padded(GATES * units)), np.float32)
    # The two parts of d_a once more, each with its own stride: they meet different parts of U.
    d_q, d_g = np.zeros((room, padded(2 * units)), np.float32), np.zeros((room, padded(units)), np.float32)
    distinct = find_distinct(source, plan)
    gradients = make_gradients(source, distinct, room, padded(features), d_a.shape[1], mask, d_inputs)
    d_gates, d_candidate = (
        np.zeros((units, d_q.shape[1]), np.float32),
        np.zeros((units, d_g.shape[1]), np.float32),
    )
    before_rows, visible, visible_candidate = np.empty(room, np.int64), make_visible(room), make_visible(room)
    reset_rows, d_a_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    d_q_rows, d_g_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    point_at_rows(0, room, d_a, d_a_rows)
    point_at_rows(0, room, d_q, d_q_rows)
    point_at_rows(0, room, d_g, d_g_rows)
    d_bias[:] = 0
    d_recurrent_bias[:] = 0
    gate, kept_start = units * 4, start_of_kept(plan, kept)
    filled = 0
    for k in range(active.size - 2, -1, -1):
        count = active[k]
        if every:
            gather_output_gradients(k, d_outputs, plan, d_h)
        for place in range(count):
            z = kept_start + (offsets[k] + place) * KEPT * gate
            da, dh = d_a_rows[filled + place], start_of(d_h) + place * d_h.shape[1] * 4
            targets = (da, d_q_rows[filled + place], da + 2 * gate, d_g_rows[filled + place], dh)
            _candidate_back(units, (z, z + 2 * gate, z + 4 * gate, dh) + targets)  # noqa: RUF005
            reset_rows[filled + place], before_rows[filled + place] = z + 3 * gate, z + 4 * gate
        zero_rows(count, d_reset)
        add_product(count, d_g_rows[filled:], packed_candidate, d_reset)
        for place in range(count):
            z = kept_start + (offsets[k] + place) * KEPT * gate
            da, dh = d_a_rows[filled + place], start_of(d_h) + place * d_h.shape[1] * 4
            sources = (z + gate, z + 4 * gate, start_of(d_reset) + place * d_reset.shape[1] * 4, dh)
            _gates_back(units, sources + (da + gate, d_q_rows[filled + place] + gate, dh))  # noqa: RUF005
        gather_step(k, filled, source, plan, distinct, gradients, d_a, d_bias)
        add_product(count, d_q_rows[filled:], packed_gates, d_h)
        filled += count
        if k == 0 or filled + active[k - 1] > room:
            put_gradients(filled, source, gradients, packed_kernel, d_a, d_a_rows, d_inputs)
            add_visible_products(filled, before_rows, d_q, visible, d_gates)
            add_visible_products(filled, reset_rows, d_g, visible_candidate, d_candidate)
            filled = 0
    if every:
        gather_gradients_before_start(d_outputs, plan, d_h)
    finish_gradients(source, plan, distinct, gradients, kernel, packed_kernel, d_bias, d_inputs)
    copy_columns(gradients.d_kernel, floats2(result(frame, 1)))
    d_recurrent = floats2(result(frame, 2))
    for row in range(units):
        target = start_of(d_recurrent[row])
        copy_row(2 * units, (start_of(d_gates[row]), target))
        copy_row(units, (start_of(d_candidate[row]), target + 2 * gate))
    put_rows(d_h, order, floats2(result(frame, 5)))


_enter_forward = entry("gru_reset_before_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("gru_reset_before_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
