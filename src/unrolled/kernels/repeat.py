"""A recurrence whose input no longer changes, such as padding that is read as a word, forward and backward.

Every sequence starts at zero and takes a number of steps of its own, of which all but the first few have the
same input. Such a recurrence comes to rest: each step moves the state by a factor less, until it moves by no
more than float32 rounds. From there on, further steps are not computed. Going back, steps at rest have one
common gradient; what they send further back shrinks step by step, and is dropped where it no longer shows in
the sums that it would be added to. A recurrence that does not come to rest is computed to its end.

Both limits are far below the rounding of the sums they enter; the tests hold them against every step computed
one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.kernels.bridge import argument, flags, floats1, floats2, floats3, integers2, result
from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import KEEP
from unrolled.kernels.products import (
    CHUNK,
    add_outer_product,
    add_row,
    copy_row,
    pack,
    padded,
    start_of,
    zero_row,
)
from unrolled.kernels.schedule import copy_columns, point_at_rows
from unrolled.types import FloatArray, IntArray, LongArray

# The state is at rest when it moved by so little, relative to 1 or its own size, over so many steps: two units
# in the last place of 1. Over several steps, as a single one may be small while a slow drift goes on.
AT_REST = 2.0**-22
REST_STEPS = 16
# A gradient this far below the largest one of the same weights adds nothing to their sum.
NEGLIGIBLE = 2.0**-30
FADE_STEPS = 8


class Repeats(NamedTuple):
    """How often each sequence repeats, most often first.

    Args:
        order: int64, (batch,); sequence at each place.
        counts: int64, (batch,); its steps.
        rows: states that are computed: one for each sequence, or one for all.
        slots: different inputs, of which the last is repeated.
    """

    order: LongArray
    counts: LongArray
    rows: int
    slots: int


@compiled
def _read(num: IntArray, rows: int, slots: int) -> Repeats:
    """The order of a batch; ``num`` is int32 (batch, 1)."""
    batch = num.shape[0]
    counts = np.empty(batch, np.int64)
    for b in range(batch):
        counts[b] = num[b, 0]
    order = np.argsort(-counts, kind="mergesort")
    return Repeats(order, counts[order], rows, slots)


@compiled
def _place(sequence: int, plan: Repeats) -> int:
    """Where the state of the sequence at a place of the order is."""
    return sequence if plan.rows == plan.order.size else 0


@compiled
def _rows_left(sequences: int, plan: Repeats) -> int:
    """States that are still computed while so many sequences go on."""
    return min(sequences, plan.rows)


@compiled
def _moved(count: int, state: FloatArray, before: FloatArray) -> bool:
    """Whether any of the first rows of a state differs from what it was, by more than :data:`AT_REST`."""
    for row in range(count):
        for unit in range(state.shape[1]):
            value = state[row, unit]
            # Written so that NaN counts as moving.
            if not abs(value - before[row, unit]) <= AT_REST * max(np.float32(1), abs(value)):
                return True
    return False


@compiled
def _largest(row: int, matrix: FloatArray, units: int) -> float:
    """The largest magnitude among the first numbers of a row; infinite where one is NaN."""
    found = np.float32(0)
    for unit in range(units):
        value = abs(matrix[row, unit])
        if not value <= found:
            found = value if value == value else np.float32(np.inf)  # noqa: PLR0124
    return found  # type: ignore[return-value]


def make_forward(*, kept: int, has_cell: bool, apart: bool, advance: Any) -> Any:
    """The forward pass of a cell: a compiled function of a custom call's frame.

    Args:
        kept: what is kept of a step, in units of the state; the state before the step comes last.
        has_cell: whether the state has a second half, c.
        apart: whether recurrent products are kept apart from those of the inputs.
        advance: ``advance(count, units, z, q, packed, h_rows, h, c, kept)``, one step of the first ``count``
            rows: z holds the inputs' products and may be overwritten, q (if apart) the bias; ``kept`` is an
            address, or 0.

    The call's arguments: products of the inputs, (rows, slots, gates × units), rows being 1 or the batch;
    recurrent kernel; recurrent bias; the sequences' steps, int32 (batch, 1). Results: h, and c, after them,
    each (batch, units); with KEEP what the gradient needs, (rows × most steps, kept × units), and how many
    steps were computed, (1,).
    """

    @compiled
    def forward(frame: int) -> None:
        keep = flags(frame) & KEEP != 0
        inputs, recurrent = floats3(argument(frame, 0)), floats2(argument(frame, 1))
        bias, num = floats1(argument(frame, 2)), integers2(argument(frame, 3))
        plan = _read(num, inputs.shape[0], inputs.shape[1])
        rows, units, width = plan.rows, recurrent.shape[0], padded(recurrent.shape[1])
        packed = pack(recurrent, False)
        last_h = floats2(result(frame, 0))
        last_c = floats2(result(frame, 1 if has_cell else 0))
        stash = floats2(result(frame, (2 if has_cell else 1) if keep else 0))
        h = np.zeros((rows, units), np.float32)
        c = np.zeros((rows if has_cell else 0, units), np.float32)
        h_before, c_before = np.zeros_like(h), np.zeros_like(c)
        z = np.zeros((rows, width), np.float32)
        q = np.zeros((rows if apart else 0, width), np.float32)
        h_rows = np.empty(rows, np.int64)
        point_at_rows(0, rows, h, h_rows)
        gates = recurrent.shape[1]
        left, taken, filled, resting = num.shape[0], 0, 0, False
        while True:
            while left > 0 and (plan.counts[left - 1] <= taken or resting):
                left -= 1
                place, target = _place(left, plan), plan.order[left] * units * 4
                copy_row(units, (start_of(h) + place * units * 4, start_of(last_h) + target))
                if has_cell:
                    copy_row(units, (start_of(c) + place * units * 4, start_of(last_c) + target))
            if left == 0:
                break
            count = _rows_left(left, plan)
            slot = min(taken, plan.slots - 1)
            for place in range(count):
                source = start_of(inputs) + (plan_row(place, plan) * plan.slots + slot) * gates * 4
                target = start_of(z) + place * width * 4
                if apart:
                    copy_row(gates, (source, target))
                    copy_row(gates, (start_of(bias), start_of(q) + place * width * 4))
                else:
                    add_row(gates, (source, start_of(bias), target))
            at = start_of(stash) + filled * stash.shape[1] * 4 if keep else 0
            advance(count, units, z, q, packed, h_rows, h, c, at)
            filled += count
            taken += 1
            if taken % REST_STEPS == 0:
                # The steps in between must all have had the input that is repeated.
                if taken - REST_STEPS >= plan.slots - 1:
                    resting = not _moved(count, h, h_before)
                    if has_cell and resting:
                        resting = not _moved(count, c, c_before)
                h_before[:] = h
                c_before[:] = c
        if keep:
            floats1(result(frame, 3 if has_cell else 2))[0] = taken

    return forward


@compiled
def plan_row(place: int, plan: Repeats) -> int:
    """The row of the inputs that belongs to a state."""
    return plan.order[place] if plan.rows == plan.order.size else 0  # type: ignore[return-value]


class Sums(NamedTuple):
    """What gate gradients are gathered in.

    Args:
        d_z: float32, (room, width); of the inputs' products, for one step or several.
        d_q: float32, (room, width); of the recurrent products; the same array where the two are one.
        d_z_rows: int64, (room,); addresses of its rows.
        d_q_rows: int64, (room,); addresses of its rows.
        before_rows: int64, (room,); addresses of the states before the steps.
        kept_rows: int64, (room,); addresses of what was kept of the steps.
        d_recurrent: float32, (units, width).
    """

    d_z: FloatArray
    d_q: FloatArray
    d_z_rows: LongArray
    d_q_rows: LongArray
    before_rows: LongArray
    kept_rows: LongArray
    d_recurrent: FloatArray


@compiled
def _make_sums(room: int, units: int, width: int, apart: bool) -> Sums:
    d_z = np.zeros((room, width), np.float32)
    d_q = np.zeros((room, width), np.float32) if apart else d_z
    d_z_rows, d_q_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    point_at_rows(0, room, d_z, d_z_rows)
    point_at_rows(0, room, d_q, d_q_rows)
    rows = np.empty(room, np.int64)
    return Sums(
        d_z, d_q, d_z_rows, d_q_rows, rows, np.empty(room, np.int64), np.zeros((units, width), np.float32)
    )


@compiled
def _live_sequences(plan: Repeats, d_h: FloatArray, d_c: FloatArray) -> LongArray:
    """The places whose gradient is worth following, rising: it is not far below the largest."""
    batch, units = d_h.shape
    sizes, most = np.zeros(batch, np.float32), np.float32(0)
    for place in range(batch):
        if plan.counts[place] == 0:
            continue
        row = plan.order[place]
        sizes[place] = _largest(row, d_h, units)
        if d_c.shape[0]:
            sizes[place] = max(sizes[place], np.float32(_largest(row, d_c, units)))
        most = max(most, sizes[place])
    live = np.empty(batch, np.int64)
    count = 0
    for place in range(batch):
        if plan.counts[place] > 0 and sizes[place] > NEGLIGIBLE * most:
            live[count] = place
            count += 1
    return live[:count]


def make_backward(*, kept: int, has_cell: bool, apart: bool, retreat: Any) -> Any:
    """The gradient of :func:`make_forward`: a compiled function of a custom call's frame.

    Args:
        kept: as there.
        has_cell: as there.
        apart: as there.
        retreat: ``retreat(count, units, packed, kept_rows, d_z_rows, d_q_rows, d_h, d_c)``, one step back: from
            the gradients of the state after a step, rows of d_h (and d_c), to those of the gates and, in
            place, of the state before it. ``packed`` is the transposed recurrent kernel.

    The call's arguments: recurrent kernel, the sequences' steps, what was kept, how many steps were computed,
    and the gradients of h, and c, each (batch, units). Results: the gradients of the inputs' products, of the
    recurrent kernel and of the recurrent bias.
    """

    @compiled
    def backward(frame: int) -> None:
        recurrent, num = floats2(argument(frame, 0)), integers2(argument(frame, 1))
        stash, taken = floats2(argument(frame, 2)), np.int64(floats1(argument(frame, 3))[0])
        d_last_h = floats2(argument(frame, 4))
        d_last_c = floats2(argument(frame, 5 if has_cell else 4))
        if not has_cell:
            d_last_c = d_last_c[:0]
        d_inputs, d_bias = floats3(result(frame, 0)), floats1(result(frame, 2))
        plan = _read(num, d_inputs.shape[0], d_inputs.shape[1])
        batch, units, gates = num.shape[0], recurrent.shape[0], recurrent.shape[1]
        width, packed = padded(gates), pack(recurrent, True)
        shared = plan.rows != batch
        # Where the kept steps begin.
        offsets = np.zeros(taken + 1, np.int64)
        left = batch
        for k in range(taken):
            while left > 0 and plan.counts[left - 1] <= k:
                left -= 1
            offsets[k + 1] = offsets[k] + _rows_left(left, plan)
        live = np.zeros(1, np.int64) if shared else _live_sequences(plan, d_last_h, d_last_c)
        d_h = np.zeros((live.size, padded(units)), np.float32)
        d_c = np.zeros((live.size if has_cell else 0, units), np.float32)
        if not shared:
            for i in range(live.size):
                _enter(plan.order[live[i]], i, d_last_h, d_h)
                if has_cell:
                    _enter(plan.order[live[i]], i, d_last_c, d_c)
        room = max(live.size, CHUNK)
        sums, rest = _make_sums(room, units, width, apart), _make_sums(live.size, units, width, apart)
        d_inputs[:] = 0
        d_bias[:] = 0
        stride = stash.shape[1] * 4

        # The steps at rest: their gates, and so their gradient, are those of the last step computed.
        num_resting = 0
        while num_resting < live.size and plan.counts[live[num_resting]] > taken:
            num_resting += 1
        for i in range(num_resting):
            sums.kept_rows[i] = start_of(stash) + (offsets[taken - 1] + live[i]) * stride
        faded, entered = 0, 0
        count, step = num_resting, 0
        longest = plan.counts[0]
        while count > 0:
            if shared:
                while entered < batch and plan.counts[entered] == longest - step:
                    _enter(plan.order[entered], 0, d_last_h, d_h)
                    if has_cell:
                        _enter(plan.order[entered], 0, d_last_c, d_c)
                    entered += 1
            retreat(count, units, packed, sums.kept_rows, sums.d_z_rows, sums.d_q_rows, d_h, d_c)
            for i in range(count):
                add_row(gates, (rest.d_z_rows[i], sums.d_z_rows[i], rest.d_z_rows[i]))
                if apart:
                    add_row(gates, (rest.d_q_rows[i], sums.d_q_rows[i], rest.d_q_rows[i]))
            step += 1
            while count > 0 and plan.counts[live[count - 1]] - taken <= step:
                count -= 1
            if not shared and count > 0 and step % FADE_STEPS == 0:
                largest = np.float32(0)
                for i in range(count):
                    largest = max(largest, np.float32(_largest(i, d_h, units)))
                    if has_cell:
                        largest = max(largest, np.float32(_largest(i, d_c, units)))
                if largest <= NEGLIGIBLE * _most(plan, d_last_h, d_last_c):
                    faded, count = count, 0
        for i in range(num_resting):
            rest.before_rows[i] = sums.kept_rows[i] + (kept - 1) * units * 4
            at = (plan_row(live[i], plan) * plan.slots + plan.slots - 1) * gates * 4
            add_row(gates, (start_of(d_inputs) + at, rest.d_z_rows[i], start_of(d_inputs) + at))
            add_row(gates, (start_of(d_bias), rest.d_q_rows[i], start_of(d_bias)))
        add_outer_product(num_resting, rest.before_rows, rest.d_q, sums.d_recurrent)

        # The steps that were computed, without the sequences whose gradient has faded.
        end, filled = 0, 0
        for k in range(taken - 1, -1, -1):
            while end < live.size and plan.counts[live[end]] > k:
                end += 1
            if shared:
                while entered < batch and plan.counts[entered] == k + 1:
                    _enter(plan.order[entered], 0, d_last_h, d_h)
                    if has_cell:
                        _enter(plan.order[entered], 0, d_last_c, d_c)
                    entered += 1
            count = end - faded
            if count <= 0:
                continue
            if filled + count > room:
                add_outer_product(filled, sums.before_rows, sums.d_q, sums.d_recurrent)
                filled = 0
            for i in range(count):
                at = start_of(stash) + (offsets[k] + live[faded + i]) * stride
                sums.kept_rows[filled + i] = at
                sums.before_rows[filled + i] = at + (kept - 1) * units * 4
            retreat(
                count,
                units,
                packed,
                sums.kept_rows[filled:],
                sums.d_z_rows[filled:],
                sums.d_q_rows[filled:],
                d_h[faded:],
                d_c[faded:] if has_cell else d_c,
            )
            slot = min(k, plan.slots - 1)
            for i in range(count):
                at = (plan_row(live[faded + i], plan) * plan.slots + slot) * gates * 4
                add_row(gates, (start_of(d_inputs) + at, sums.d_z_rows[filled + i], start_of(d_inputs) + at))
                add_row(gates, (start_of(d_bias), sums.d_q_rows[filled + i], start_of(d_bias)))
            filled += count
        add_outer_product(filled, sums.before_rows, sums.d_q, sums.d_recurrent)
        copy_columns(sums.d_recurrent, floats2(result(frame, 1)))

    return backward


@compiled
def _most(plan: Repeats, d_h: FloatArray, d_c: FloatArray) -> float:
    """The largest gradient of any sequence that takes a step."""
    most = np.float32(0)
    for place in range(plan.order.size):
        if plan.counts[place] > 0:
            most = max(most, np.float32(_largest(plan.order[place], d_h, d_h.shape[1])))
            if d_c.shape[0]:
                most = max(most, np.float32(_largest(plan.order[place], d_c, d_c.shape[1])))
    return most  # type: ignore[return-value]


@compiled
def _enter(sequence: int, row: int, gradients: FloatArray, state: FloatArray) -> None:
    """Adds the gradient of a sequence's last state to a row."""
    units = gradients.shape[1]
    own = start_of(state) + row * state.shape[1] * 4
    add_row(units, (own, start_of(gradients) + sequence * units * 4, own))
