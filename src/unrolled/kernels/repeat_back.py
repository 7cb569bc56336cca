"""A recurrence whose input no longer changes: the gradient of :mod:`unrolled.kernels.repeat`.

Steps at rest have the same gates, so their gate gradients are summed before one product turns them into
weight gradients. What is sent further back shrinks from step to step; a sequence whose gradient has fallen
to nothing beside the largest one that entered the same sums is left where it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.kernels.bridge import argument, floats1, floats2, floats3, integers2, result
from unrolled.kernels.compiled import compiled, compiled_as
from unrolled.kernels.lines import (
    NEVER,
    add_outer_products,
    add_products,
    compare,
    finish_outer_products,
    make_lines,
    make_outer_sums,
)
from unrolled.kernels.products import CHUNK, add_outer_product, add_row, copy_row, pack, padded, start_of
from unrolled.kernels.repeat import REFRESH_STEPS, Repeats, by_count, input_at, move_row, read_repeats
from unrolled.kernels.schedule import copy_columns, point_at_rows
from unrolled.types import FloatArray, LongArray

# Relative to the largest gradient of any sequence. Were 127 of 128 sequences left there, all of one sign,
# they would together lack 3e-5 of what the one adds.
NEGLIGIBLE = 2.0**-22
FADE_STEPS = 8
# Relative to the largest gradient: how far from a line whose product is known gate gradients may be to have
# no product of their own, but for one in every REFRESH_STEPS.
NEAR = 2.0**-24


class Back(NamedTuple):
    """The sequences that are being followed back, a row for each, in no order.

    Args:
        d_h: float32, (rows, padded units); gradient of the state before the last step taken back.
        d_c: float32, (rows, units), or no rows.
        who: int64, (rows,); the sequence of each row.
        kept_rows: int64, (rows,); address of what was kept of the step that is taken back.
        previous_rows: int64, (rows,); the same of the step before it, zeros before the first.
        limit: below it a gradient is negligible.
    """

    d_h: FloatArray
    d_c: FloatArray
    who: LongArray
    kept_rows: LongArray
    previous_rows: LongArray
    limit: float


class Sums(NamedTuple):
    """Rows of gate gradients, and where they go.

    Args:
        d_z: float32, (room, width); of the inputs' products.
        d_q: float32, (room, width); of the recurrent products; the same array where the two are one.
        d_z_rows: int64, (room,); addresses of its rows.
        d_q_rows: int64, (room,); addresses of its rows.
        before: float32, (room, units); h before the steps.
        before_rows: int64, (room,); addresses of its rows.
    """

    d_z: FloatArray
    d_q: FloatArray
    d_z_rows: LongArray
    d_q_rows: LongArray
    before: FloatArray
    before_rows: LongArray


@compiled
def _make_sums(room: int, units: int, width: int, apart: bool) -> Sums:
    d_z = np.zeros((room, width), np.float32)
    d_q = np.zeros((room, width), np.float32) if apart else d_z
    d_z_rows, d_q_rows = np.empty(room, np.int64), np.empty(room, np.int64)
    point_at_rows(0, room, d_z, d_z_rows)
    point_at_rows(0, room, d_q, d_q_rows)
    before, before_rows = np.zeros((room, units), np.float32), np.empty(room, np.int64)
    point_at_rows(0, room, before, before_rows)
    return Sums(d_z, d_q, d_z_rows, d_q_rows, before, before_rows)


@compiled
def _largest(row: int, matrix: FloatArray, units: int) -> float:
    """The largest magnitude among the first numbers of a row; infinite where one is NaN."""
    found, broken = np.float32(0), False
    for unit in range(units):
        value = abs(matrix[row, unit])
        found = max(found, value)
        broken |= np.isnan(value)
    return np.float32(np.inf) if broken else found  # type: ignore[return-value]


@compiled
def _size(row: int, d_h: FloatArray, d_c: FloatArray, units: int) -> float:
    size = _largest(row, d_h, units)
    return max(size, _largest(row, d_c, units)) if d_c.shape[0] else size


@compiled
def _enter(row: int, sequence: int, back: Back, d_h: FloatArray, d_c: FloatArray) -> None:
    """Adds gradients of a sequence, rows of ``d_h`` and ``d_c``, to a row."""
    units = back.d_c.shape[1]
    own = start_of(back.d_h) + row * back.d_h.shape[1] * 4
    add_row(units, (own, start_of(d_h) + sequence * d_h.shape[1] * 4, own))
    if back.d_c.shape[0]:
        own = start_of(back.d_c) + row * units * 4
        add_row(units, (own, start_of(d_c) + sequence * units * 4, own))


@compiled
def _add(sequence: int, count: int, back: Back, d_h: FloatArray, d_c: FloatArray) -> None:
    """Follows a sequence from row ``count`` on, which it takes."""
    back.who[count] = sequence
    back.d_h[count] = 0
    if back.d_c.shape[0]:
        back.d_c[count] = 0
    _enter(count, sequence, back, d_h, d_c)


@compiled
def _remove(row: int, count: int, back: Back) -> None:
    """Takes a row out of the first ``count``; the last of them takes its place."""
    last = count - 1
    back.who[row], back.kept_rows[row] = back.who[last], back.kept_rows[last]
    back.previous_rows[row] = back.previous_rows[last]
    move_row(last, row, back.d_h)
    if back.d_c.shape[0]:
        move_row(last, row, back.d_c)


@compiled
def _drop_faded(count: int, back: Back) -> int:
    """Takes out what has become negligible; how many rows are left."""
    for row in range(count - 1, -1, -1):
        if _size(row, back.d_h, back.d_c, back.d_c.shape[1]) <= back.limit:
            _remove(row, count, back)
            count -= 1
    return count


def make_backward(name: str, *, has_cell: bool, apart: bool, retreat: Any) -> Any:
    """The gradient of a cell: a compiled function of a custom call's frame.

    Args:
        name: of the kernel, unlike any other's: machine code is linked by it (:func:`compiled_as`).
        has_cell: as in :func:`unrolled.kernels.repeat.make_forward`.
        apart: as there.
        retreat: ``retreat(count, units, kept_rows, previous_rows, before_rows, d_z_rows, d_q_rows, d_h,
            d_c)``, one step back: from the gradients of the state after a step, rows of d_h (and d_c), to
            those of the gates and, in place, of the state before it, as far as they do not come through the
            recurrent product; h before the step is written to before_rows.

    The call's arguments: recurrent kernel, the sequences' steps, what was kept, where, how many steps were
    computed, and the gradients of h, and c, each (batch, units). Results: the gradients of the inputs'
    products, of the recurrent kernel and of the recurrent bias.
    """

    @compiled_as(name)
    def backward(frame: int) -> None:
        recurrent, num = floats2(argument(frame, 0)), integers2(argument(frame, 1))
        stash, places = floats2(argument(frame, 2)), floats2(argument(frame, 3))
        taken, d_last_h = floats2(argument(frame, 4)), floats2(argument(frame, 5))
        d_last_c = floats2(argument(frame, 6 if has_cell else 5))
        d_inputs, d_bias = floats3(result(frame, 0)), floats1(result(frame, 2))
        rows, batch, units, gates = taken.shape[0], num.shape[0], recurrent.shape[0], recurrent.shape[1]
        plan = read_repeats(num, rows, d_inputs.shape[1])
        width, packed = padded(gates), pack(recurrent, True)
        d_inputs[:] = 0
        d_bias[:] = 0
        computed = np.empty(rows, np.int64)
        for row in range(rows):
            computed[row] = np.int64(taken[row, 0])
        own_h = np.zeros((rows, padded(units)), np.float32)
        own_c = np.zeros((rows if has_cell else 0, units), np.float32)
        largest = np.float32(0)
        for sequence in range(batch):
            if plan.counts[sequence] > 0:
                largest = max(largest, np.float32(_size(sequence, d_last_h, d_last_c, units)))
        back = Back(
            np.zeros((rows, padded(units)), np.float32),
            np.zeros((rows if has_cell else 0, units), np.float32),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            np.empty(rows, np.int64),
            # Where something is broken, all of it is followed, so that it is seen.
            NEGLIGIBLE * float(largest) if np.isfinite(largest) else -1.0,
        )
        offsets = _count_kept(computed)
        sums = _make_sums(rows, units, width, apart)
        lines = make_lines(rows, gates, padded(units))
        outer = make_outer_sums(rows, max(rows, CHUNK), units, width)
        near = NEAR * float(largest) if np.isfinite(largest) else NEVER
        rest = _make_sums(rows, units, width, apart)
        stride, nothing = stash.shape[1] * 4, np.zeros(stash.shape[1], np.float32)

        # Steps at rest. Sequences with states of their own all begin at once, as those steps are alike.
        count, entered, step = 0, 0, plan.counts[plan.order[0]]
        if plan.shared:
            if step > computed[0]:
                count, back.who[0] = 1, 0
                back.kept_rows[0] = start_of(stash) + offsets[computed[0] - 1] * stride
                back.previous_rows[0] = back.kept_rows[0]
        else:
            for sequence in range(batch):
                if plan.counts[sequence] > computed[sequence]:
                    _add(sequence, count, back, d_last_h, d_last_c)
                    at = offsets[computed[sequence] - 1] + np.int64(places[sequence, computed[sequence] - 1])
                    back.kept_rows[count] = start_of(stash) + at * stride
                    # At rest the step before is like the step itself.
                    back.previous_rows[count] = back.kept_rows[count]
                    count += 1
                elif plan.counts[sequence] > 0:
                    copy_row(units, (row_of(sequence, d_last_h), row_of(sequence, own_h)))
                    if has_cell:
                        copy_row(units, (row_of(sequence, d_last_c), row_of(sequence, own_c)))
            count = _drop_faded(count, back)
        done = 0
        while count > 0:
            if plan.shared:
                entered = _enter_all(step - done, entered, plan, back, d_last_h, d_last_c)
            retreat(
                count,
                units,
                back.kept_rows,
                back.previous_rows,
                sums.before_rows,
                sums.d_z_rows,
                sums.d_q_rows,
                back.d_h,
                back.d_c,
            )
            tolerance = near if done % REFRESH_STEPS else NEVER
            compare(count, back.who, sums.d_q_rows, lines, tolerance)
            add_products(count, back.who, sums.d_q_rows, packed, back.d_h, lines)
            done += 1
            for row in range(count - 1, -1, -1):
                sequence = back.who[row]
                add_row(gates, (rest.d_z_rows[sequence], sums.d_z_rows[row], rest.d_z_rows[sequence]))
                if apart:
                    add_row(gates, (rest.d_q_rows[sequence], sums.d_q_rows[row], rest.d_q_rows[sequence]))
                copy_row(units, (sums.before_rows[row], rest.before_rows[sequence]))
            for row in range(count - 1, -1, -1):
                sequence = back.who[row]
                total = step if plan.shared else plan.counts[sequence]
                if total - computed[sequence] == done:
                    copy_row(units, (row_of(row, back.d_h), row_of(sequence, own_h)))
                    if has_cell:
                        copy_row(units, (row_of(row, back.d_c), row_of(sequence, own_c)))
                    _remove(row, count, back)
                    count -= 1
            if not plan.shared and done % FADE_STEPS == 0:
                count = _drop_faded(count, back)
        add_outer_product(rows, rest.before_rows, rest.d_q, outer.total)
        for row in range(rows):
            onto = start_of(d_inputs) + input_at(row, plan.slots - 1, plan, gates)
            add_row(gates, (onto, rest.d_z_rows[row], onto))
            if apart:
                add_row(gates, (start_of(d_bias), rest.d_q_rows[row], start_of(d_bias)))

        # Steps that were computed one by one, from the last on.
        order = by_count(computed)
        begun = 0
        for k in range(computed[order[0]] - 1, -1, -1):
            while begun < rows and computed[order[begun]] == k + 1:
                _add(order[begun], count, back, own_h, own_c)
                count += 1
                begun += 1
            if plan.shared:
                entered = _enter_all(k + 1, entered, plan, back, d_last_h, d_last_c)
            elif k % FADE_STEPS == 0:
                count = _drop_faded(count, back)
            for row in range(count):
                sequence = back.who[row]
                at = offsets[k] + np.int64(places[sequence, k])
                back.kept_rows[row] = start_of(stash) + at * stride
                back.previous_rows[row] = start_of(nothing)
                if k > 0:
                    at = offsets[k - 1] + np.int64(places[sequence, k - 1])
                    back.previous_rows[row] = start_of(stash) + at * stride
            retreat(
                count,
                units,
                back.kept_rows,
                back.previous_rows,
                sums.before_rows,
                sums.d_z_rows,
                sums.d_q_rows,
                back.d_h,
                back.d_c,
            )
            tolerance = near if k % REFRESH_STEPS else NEVER
            compare(count, back.who, sums.d_q_rows, lines, tolerance)
            add_outer_products(count, back.who, sums.before_rows, lines, outer)
            add_products(count, back.who, sums.d_q_rows, packed, back.d_h, lines)
            for row in range(count):
                onto = start_of(d_inputs) + input_at(back.who[row], k, plan, gates)
                add_row(gates, (onto, sums.d_z_rows[row], onto))
                if apart:
                    add_row(gates, (start_of(d_bias), sums.d_q_rows[row], start_of(d_bias)))
        if not apart:
            # The bias stands beside the inputs' products.
            for row in range(rows * plan.slots):
                add_row(gates, (start_of(d_bias), start_of(d_inputs) + row * gates * 4, start_of(d_bias)))
        finish_outer_products(lines, outer)
        copy_columns(outer.total, floats2(result(frame, 1)))

    return backward


@compiled
def _count_kept(computed: LongArray) -> LongArray:
    """Rows kept before each step: a sequence has one for every step of it that was computed."""
    most = 0
    for count in computed:
        most = max(most, count)
    offsets = np.zeros(most + 1, np.int64)
    for count in computed:
        for step in range(count):
            offsets[step + 1] += 1
    for step in range(most):
        offsets[step + 1] += offsets[step]
    return offsets


@compiled
def row_of(row: int, matrix: FloatArray) -> int:
    """The address of a row."""
    return start_of(matrix) + row * matrix.shape[1] * 4


@compiled
def _enter_all(step: int, entered: int, plan: Repeats, back: Back, d_h: FloatArray, d_c: FloatArray) -> int:
    """Adds the gradients of the sequences that end with a step to the state they share; how many have."""
    while entered < plan.order.size and plan.counts[plan.order[entered]] == step:
        _enter(0, plan.order[entered], back, d_h, d_c)
        entered += 1
    return entered
