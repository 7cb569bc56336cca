"""A recurrence whose input no longer changes, such as padding that is read as a word: forward.

Every sequence starts at zero and takes a number of steps of its own, of which all but the first few have
the same input. Such a recurrence comes to rest: steps move the state less and less, until float32 hardly
shows it. From there on a sequence's steps are not computed. One that does not come to rest is computed to its
end. :mod:`unrolled.kernels.repeat_back` is the way back.

The tests hold both against every step computed one by one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.kernels.bridge import argument, flags, floats1, floats2, floats3, integers2, result
from unrolled.kernels.compiled import compiled, compiled_as
from unrolled.kernels.flags import KEEP
from unrolled.kernels.formulas import fetch
from unrolled.kernels.lines import NEVER, add_products, compare, make_lines
from unrolled.kernels.products import add_row, copy_row, pack, padded, start_of
from unrolled.kernels.schedule import point_at_rows
from unrolled.types import FloatArray, IntArray, LongArray

# A state is at rest when it moved by so little, relative to 1 or its own size, over so many steps; over
# several, since a slow drift is small at every single one. A state that went on drifting at this speed for
# 400 steps would be off by 6e-6; one whose distance shrinks to 0.95 of itself at every step, by 2e-7. Lines
# (below) add their own: 4e-6 where several slow modes are left (eigenvalues of 0.96 to 0.99).
AT_REST = 2.0**-22
REST_STEPS = 16
# The distance from a line whose product is known at which a state has no product of its own, but for one in
# every so many steps: what lies across a line is left out with the same sign at each, and would add up.
NEAR = 2.0**-20
REFRESH_STEPS = 16
AHEAD = 2


class Repeats(NamedTuple):
    """How often each sequence repeats.

    Args:
        order: int64, (batch,); sequences, most steps first.
        counts: int64, (batch,); steps of each sequence.
        slots: different inputs, of which the last is repeated.
        shared: whether one state stands for all sequences, else each has its own.
    """

    order: LongArray
    counts: LongArray
    slots: int
    shared: bool


@compiled
def by_count(counts: LongArray) -> LongArray:
    """Sequences by falling counts, ties in the order of the batch."""
    most = 0
    for count in counts:
        most = max(most, count)
    places = np.zeros(most + 2, np.int64)
    for count in counts:
        places[most - count + 1] += 1
    for count in range(most + 1):
        places[count + 1] += places[count]
    order = np.empty(counts.size, np.int64)
    for sequence in range(counts.size):
        order[places[most - counts[sequence]]] = sequence
        places[most - counts[sequence]] += 1
    return order


@compiled
def read_repeats(num: IntArray, rows: int, slots: int) -> Repeats:
    """What a call asks for: ``num``, int32 (batch, 1), ``rows`` states and so many different inputs."""
    counts = np.empty(num.shape[0], np.int64)
    for sequence in range(counts.size):
        counts[sequence] = num[sequence, 0]
    return Repeats(by_count(counts), counts, slots, rows != counts.size)


@compiled
def input_at(sequence: int, step: int, plan: Repeats, width: int) -> int:
    """Where the products of a sequence's input at a step are, in bytes from the first."""
    row = 0 if plan.shared else sequence
    return (row * plan.slots + min(step, plan.slots - 1)) * width * 4


class States(NamedTuple):
    """The states that are still computed, one row for each sequence that goes on, in no order.

    Args:
        h: float32, (rows, units).
        c: float32, (rows, units), or no rows.
        h_before: like h, :data:`REST_STEPS` steps ago.
        c_before: like c.
        h_last: like h, one step ago.
        c_last: like c.
        who: int64, (rows,); the sequence of each row.
        at: int64, (batch,); the row of each sequence, -1 once it has none.
    """

    h: FloatArray
    c: FloatArray
    h_before: FloatArray
    c_before: FloatArray
    h_last: FloatArray
    c_last: FloatArray
    who: LongArray
    at: LongArray


@compiled
def _remove(row: int, count: int, states: States) -> None:
    """Takes a row out of the first ``count``; the last of them takes its place."""
    last = count - 1
    states.at[states.who[row]] = -1
    if row == last:
        return
    states.who[row] = states.who[last]
    states.at[states.who[row]] = row
    move_row(last, row, states.h)
    move_row(last, row, states.h_before)
    move_row(last, row, states.h_last)
    if states.c.shape[0]:
        move_row(last, row, states.c)
        move_row(last, row, states.c_before)
        move_row(last, row, states.c_last)


@compiled
def fetch_ahead(place: int, count: int, rows: LongArray, size: int) -> None:
    """Asks for ``size`` bytes of a row that will be wanted shortly, a few places on."""
    if place + AHEAD < count:
        fetch(rows[place + AHEAD], size)


@compiled
def move_row(source: int, target: int, matrix: FloatArray) -> None:
    """Copies one row of a matrix over another."""
    stride = matrix.shape[1] * 4
    copy_row(matrix.shape[1], (start_of(matrix) + source * stride, start_of(matrix) + target * stride))


@compiled
def _stayed(row: int, state: FloatArray, before: FloatArray) -> bool:
    """Whether a row has moved by no more than :data:`AT_REST`; one with a NaN has not."""
    moved = False
    for unit in range(state.shape[1]):
        value = state[row, unit]
        moved |= not abs(value - before[row, unit]) <= AT_REST * max(np.float32(1), abs(value))
    return not moved


@compiled
def _rests(row: int, states: States) -> bool:
    """Whether a row neither drifts, nor comes back again and again to where it was some steps ago."""
    if not (_stayed(row, states.h, states.h_before) and _stayed(row, states.h, states.h_last)):
        return False
    if not states.c.shape[0]:
        return True
    return _stayed(row, states.c, states.c_before) and _stayed(row, states.c, states.c_last)


def make_forward(name: str, *, has_cell: bool, apart: bool, advance: Any) -> Any:
    """The forward pass of a cell: a compiled function of a custom call's frame.

    Args:
        name: of the kernel, unlike any other's: machine code is linked by it (:func:`compiled_as`).
        has_cell: whether the state has a second half, c.
        apart: whether recurrent products are kept apart from those of the inputs.
        advance: ``advance(count, units, z, q, h_rows, h, c, kept_rows)``, one step of the first ``count``
            rows: z and q, which may be overwritten, hold the products of the inputs and of the states, or,
            unless apart, z holds their sum, and biases are in them; ``kept_rows`` are addresses, none if
            nothing is kept.

    The call's arguments: products of the inputs, (rows, slots, gates × units), rows being 1 or the batch;
    recurrent kernel; recurrent bias; the sequences' steps, int32 (batch, 1). Results: h, and c, after them,
    each (batch, units); with KEEP what the gradient needs: as many rows of kept × units as steps are
    computed, from the beginning of a longer array, step by step; the row of each sequence among those of a
    step, (rows, most steps); and how many steps of a sequence were computed, (rows, 1).
    """

    @compiled_as(name)
    def forward(frame: int) -> None:
        keep = flags(frame) & KEEP != 0
        inputs, recurrent = floats3(argument(frame, 0)), floats2(argument(frame, 1))
        bias, num = floats1(argument(frame, 2)), integers2(argument(frame, 3))
        rows, batch = inputs.shape[0], num.shape[0]
        plan = read_repeats(num, rows, inputs.shape[1])
        units, gates, width = recurrent.shape[0], recurrent.shape[1], padded(recurrent.shape[1])
        packed = pack(recurrent, False)
        last_h, last_c = floats2(result(frame, 0)), floats2(result(frame, 1 if has_cell else 0))
        stash = floats2(result(frame, (2 if has_cell else 1) if keep else 0))
        places = floats2(result(frame, (3 if has_cell else 2) if keep else 0))
        taken = floats2(result(frame, (4 if has_cell else 3) if keep else 0))
        cell_rows = rows if has_cell else 0
        states = States(
            np.zeros((rows, units), np.float32),
            np.zeros((cell_rows, units), np.float32),
            np.zeros((rows, units), np.float32),
            np.zeros((cell_rows, units), np.float32),
            np.zeros((rows, units), np.float32),
            np.zeros((cell_rows, units), np.float32),
            np.arange(rows),
            np.arange(batch),
        )
        if plan.shared:
            states.at[:] = 0
        z = np.zeros((rows, width), np.float32)
        q = np.zeros((rows if apart else 0, width), np.float32)
        h_rows, kept_rows = np.empty(rows, np.int64), np.empty(rows if keep else 0, np.int64)
        point_at_rows(0, rows, states.h, h_rows)
        lines = make_lines(rows, units, width)
        stride = stash.shape[1] * 4
        count, left, step, filled = rows, batch, 0, 0
        while True:
            while left > 0 and plan.counts[plan.order[left - 1]] == step:
                left -= 1
                sequence = plan.order[left]
                row = states.at[sequence]
                if row < 0:
                    continue
                _hand_over(row, sequence, states, last_h, last_c, has_cell)
                if plan.shared:
                    if left == 0:
                        count = 0
                        taken[0, 0] = step if keep else taken[0, 0]
                else:
                    if keep:
                        taken[sequence, 0] = step
                    _remove(row, count, states)
                    count -= 1
            if count == 0:
                break
            for row in range(count):
                sequence = states.who[row]
                source = start_of(inputs) + input_at(sequence, step, plan, gates)
                target = start_of(z) + row * width * 4
                if apart:
                    copy_row(gates, (source, target))
                    copy_row(gates, (start_of(bias), start_of(q) + row * width * 4))
                else:
                    add_row(gates, (source, start_of(bias), target))
                if keep:
                    kept_rows[row] = start_of(stash) + (filled + row) * stride
                    places[sequence, step] = row
            filled += count
            compare(count, states.who, h_rows, lines, NEAR if step % REFRESH_STEPS else NEVER)
            add_products(count, states.who, h_rows, packed, q if apart else z, lines)
            advance(count, units, z, q, h_rows, states.h, states.c, kept_rows)
            step += 1
            if step % REST_STEPS == 0:
                states.h_last[:] = states.h
                states.c_last[:] = states.c
            if step % REST_STEPS != 1:
                continue
            # The steps in between must all have had the input that is repeated.
            for row in range(count - 1, -1, -1):
                if step - REST_STEPS < plan.slots - 1 or not _rests(row, states):
                    continue
                if keep:
                    taken[states.who[row], 0] = step
                if plan.shared:
                    for place in range(left):
                        _hand_over(0, plan.order[place], states, last_h, last_c, has_cell)
                    count = 0
                else:
                    _hand_over(row, states.who[row], states, last_h, last_c, has_cell)
                    _remove(row, count, states)
                    count -= 1
            if count == 0:
                break
            states.h_before[:] = states.h
            states.c_before[:] = states.c

    return forward


@compiled
def _hand_over(
    row: int, sequence: int, states: States, last_h: FloatArray, last_c: FloatArray, has_cell: bool
) -> None:
    """Writes the state of a row to the results of a sequence."""
    units = states.h.shape[1]
    source, target = row * units * 4, sequence * units * 4
    copy_row(units, (start_of(states.h) + source, start_of(last_h) + target))
    if has_cell:
        copy_row(units, (start_of(states.c) + source, start_of(last_c) + target))
