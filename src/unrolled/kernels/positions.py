"""An embedding under a dense layer over all positions side by side, forward and backward.

``out[b] = Σ_p E[token[b, p]] W[p]``. A position is one small product over the sequences that have begun
there. Padding that is a word is, at a position, the same for all sequences that still read nothing else: one
further row, the leading one, stands for them all, and a sequence takes over its sum where its first word
stands. Going back, gradients of sequences that are back in their padding move into that row. Sequences that
read the same word at a position share one row of its products. No embedding of a position is ever stored.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from unrolled.kernels.bridge import (
    address_of,
    argument,
    flags,
    floats2,
    integers2,
    result,
)
from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import MASKED
from unrolled.kernels.panels import add_panel_outer_product, add_panel_product, turn
from unrolled.kernels.products import (
    add_product,
    add_row,
    copy_row,
    padded,
    start_of,
    zero_rows,
)
from unrolled.kernels.schedule import point_at_rows
from unrolled.kernels.tasks import entry, own_stretch
from unrolled.kernels.tiles import WIDTH
from unrolled.types import FloatArray, IntArray, LongArray

# What a position costs beside its rows, copying and turning its weights, in rows.
STEP_ROWS = 24


class Begin(NamedTuple):
    """Sequences in the order in which they begin.

    Args:
        order: int64, (batch,); batch row of each, ties in batch order.
        starts: int64, (batch,); position of the first word of each; the number of positions if there is none.
        lead: 1 if padding is a word, and a row stands for it, otherwise 0.
    """

    order: LongArray
    starts: LongArray
    lead: int


@compiled
def find_begin(tokens: IntArray, masked: bool) -> Begin:
    """The order of a batch, int32 (batch, time)."""
    batch, time = tokens.shape
    found = np.empty(batch, np.int64)
    places = np.zeros(time + 2, np.int64)
    for b in range(batch):
        step = 0
        while step < time and tokens[b, step] == 0:
            step += 1
        found[b] = step
        places[step + 1] += 1
    for step in range(time + 1):
        places[step + 1] += places[step]
    order, starts = np.empty(batch, np.int64), np.empty(batch, np.int64)
    for b in range(batch):
        place = places[found[b]]
        places[found[b]] += 1
        order[place], starts[place] = b, found[b]
    return Begin(order, starts, 0 if masked else 1)


@compiled
def pitch_of(units: int) -> int:
    """Floats from row to row, in whole vectors and an odd number of them: rows at an even distance would
    crowd into few sets of the first-level cache."""
    vectors = padded(units) // WIDTH
    return (vectors + 1 - vectors % 2) * WIDTH


class Words(NamedTuple):
    """What is read at one position; filled anew for each.

    Args:
        slots: int32, (lead + batch,); place among the distinct rows of the leading row and each sequence; -1
            where masked.
        rows: int64, (lead + batch,); addresses of the distinct rows in the table.
        seen: int32, (rows of the table,); the position that last read each row.
        slot_of: int32, (rows of the table,); the row's place at that position.
    """

    slots: IntArray
    rows: LongArray
    seen: IntArray
    slot_of: IntArray


@compiled
def make_words(room: int, num_rows: int) -> Words:
    """Room for a position of a batch with ``room`` rows, nothing seen yet."""
    return Words(
        np.empty(room, np.int32),
        np.empty(room, np.int64),
        np.full(num_rows, np.int32(-1)),
        np.empty(num_rows, np.int32),
    )


@compiled
def find_words(
    step: int, active: int, begin: Begin, tokens: IntArray, table: FloatArray, words: Words
) -> int:
    """The number of distinct rows that the leading row and the first ``active`` sequences read."""
    base, stride = start_of(table), table.shape[1] * 4
    count = 0
    for place in range(begin.lead + active):
        token = np.int64(0)
        if place >= begin.lead:
            token = np.int64(tokens[begin.order[place - begin.lead], step])
        if token == 0 and not begin.lead:
            words.slots[place] = -1
            continue
        row = min(max(token, 0), table.shape[0] - 1)
        if words.seen[row] != step:
            words.seen[row], words.slot_of[row] = step, count
            words.rows[count] = base + row * stride
            count += 1
        words.slots[place] = words.slot_of[row]
    return count


@compiled
def copy_panel(first: int, count: int, matrix: FloatArray, panel: FloatArray) -> None:
    """Copies ``count`` rows of a matrix to the beginnings of the rows of ``panel``."""
    columns = matrix.shape[1]
    source, target = start_of(matrix) + first * columns * 4, start_of(panel)
    for row in range(count):
        copy_row(columns, (source + row * columns * 4, target + row * panel.shape[1] * 4))


@compiled
def cost_of_steps(begin: Begin, time: int) -> LongArray:
    """What there is to do at each position: texts that begin late leave little to do early on.

    A call in parts is dealt out by positions, so that no weight is met twice.
    """
    costs, active = np.empty(time, np.int64), 0
    for step in range(time):
        while active < begin.starts.size and begin.starts[active] <= step:
            active += 1
        costs[step] = active + begin.lead + STEP_ROWS
    return costs


@compiled
def forward(frame: int) -> None:
    """Runs the product: the arguments and results of one custom call.

    Arguments: table (rows, features), kernel (time × features, units), tokens (batch, time). Result:
    (batch, units); of a part, what its own positions add to it.
    """
    table, kernel, tokens = (
        floats2(argument(frame, 0)),
        floats2(argument(frame, 1)),
        integers2(argument(frame, 2)),
    )
    out = floats2(result(frame, 0))
    batch, time = tokens.shape
    features, units = table.shape[1], kernel.shape[1]
    begin = find_begin(tokens, flags(frame) & MASKED != 0)
    lead, starts = begin.lead, begin.starts
    columns, pitch = padded(units), pitch_of(units)
    total = np.zeros((lead + batch, pitch), np.float32)
    products = np.empty((lead + batch, pitch), np.float32)
    panel = np.zeros((features, pitch), np.float32)
    words = make_words(lead + batch, table.shape[0])
    active = 0
    low, high = own_stretch(frame, cost_of_steps(begin, time))
    for step in range(low, high + 1):
        # Behind the last position all others have read nothing but padding here.
        while active < batch and (starts[active] <= step or step == high):
            if lead:
                copy_row(columns, (start_of(total), start_of(total) + (1 + active) * pitch * 4))
            active += 1
        if step == high or lead + active == 0:
            continue
        count = find_words(step, active, begin, tokens, table, words)
        copy_panel(step * features, features, kernel, panel)
        zero_rows(count, products)
        add_panel_product(count, words.rows, start_of(panel), pitch, start_of(products), (features, columns))
        for place in range(lead + active):
            slot = np.int64(words.slots[place])
            if slot >= 0:
                at = start_of(total) + place * pitch * 4
                add_row(columns, (at, start_of(products) + slot * pitch * 4, at))
    for place in range(batch):
        at = start_of(total) + (lead + place) * pitch * 4
        copy_row(units, (at, start_of(out) + begin.order[place] * units * 4))


@compiled
def backward(frame: int) -> None:
    """Runs the gradient: the arguments and results of one custom call.

    Arguments: those of :func:`forward`, the gradient of its result. Results: the gradients of table and
    kernel; parts share the latter, of which each writes its own positions.
    """
    table, kernel, tokens = (
        floats2(argument(frame, 0)),
        floats2(argument(frame, 1)),
        integers2(argument(frame, 2)),
    )
    d_out = floats2(argument(frame, 3))
    d_table, d_kernel = floats2(result(frame, 0)), floats2(result(frame, 1))
    batch, time = tokens.shape
    features, units = table.shape[1], kernel.shape[1]
    begin = find_begin(tokens, flags(frame) & MASKED != 0)
    lead, starts = begin.lead, begin.starts
    columns, pitch, width = padded(units), pitch_of(units), padded(features)
    d_z = np.zeros((lead + batch, pitch), np.float32)
    for place in range(batch):
        at = start_of(d_z) + (lead + place) * pitch * 4
        copy_row(units, (start_of(d_out) + begin.order[place] * units * 4, at))
    panel, turned = (
        np.zeros((width, pitch), np.float32),
        np.empty((width // WIDTH, columns, WIDTH), np.float32),
    )
    d_x, d_panel = np.empty((lead + batch, width), np.float32), np.empty((features, pitch), np.float32)
    sums = np.empty((lead + batch, pitch), np.float32)
    words = make_words(lead + batch, table.shape[0])
    sum_rows = np.empty(lead + batch, np.int64)
    point_at_rows(0, lead + batch, sums, sum_rows)
    d_table[:] = 0
    shift = start_of(d_table) - start_of(table)
    active = batch
    low, high = own_stretch(frame, cost_of_steps(begin, time))
    for step in range(time - 1, low - 1, -1):
        while active > 0 and starts[active - 1] > step:
            active -= 1
            if lead:
                first = start_of(d_z)
                add_row(columns, (first, first + (1 + active) * pitch * 4, first))
        if step >= high:
            continue
        zero_rows(features, d_panel)
        count = find_words(step, active, begin, tokens, table, words)
        if count:
            zero_rows(count, sums)
            for place in range(lead + active):
                slot = np.int64(words.slots[place])
                if slot >= 0:
                    own = start_of(d_z) + place * pitch * 4
                    add_row(columns, (sum_rows[slot], own, sum_rows[slot]))
            copy_panel(step * features, features, kernel, panel)
            turn(width, columns, start_of(panel), pitch, start_of(turned))
            zero_rows(count, d_x)
            add_product(count, sum_rows, turned, d_x)
            for word in range(count):
                onto = words.rows[word] + shift
                add_row(features, (onto, start_of(d_x) + word * width * 4, onto))
            add_panel_outer_product(
                count, words.rows, start_of(sums), pitch, start_of(d_panel), (features, columns)
            )
        for feature in range(features):
            at = start_of(d_kernel) + (step * features + feature) * units * 4
            copy_row(units, (start_of(d_panel) + feature * pitch * 4, at))


_enter_forward = entry("positions_forward", forward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to :func:`forward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


_enter_backward = entry("positions_backward", backward)


def handle_backward(frame: Any) -> int:
    """XLA's entry to :func:`backward`; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
