"""Which rows of a table real steps read, each once.

Texts repeat their words. Without input dropout a row is the same for a whole batch, and a batch of 128
reviews holds 4,000 distinct words among 28,000; under input dropout (SCALED) each sequence has factors of its
own, and a review of 219 words still holds only 126 distinct ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unrolled.kernels.compiled import compiled
from unrolled.kernels.flags import FOLDED, SCALED
from unrolled.kernels.products import start_of
from unrolled.kernels.schedule import Schedule
from unrolled.types import FloatArray, IntArray, LongArray


class Source(NamedTuple):
    """The inputs of all steps.

    Args:
        looked_up: whether they are rows of a table instead of an array of features.
        scaled: whether rows of a table are scaled for each sequence.
        backwards: whether time runs from the last step to the first.
        inputs: float32, (batch, time, features); a table as (1, rows, features).
        tokens: int32, (batch, time), rows of the table; unused for dense inputs.
        factors: float32, (batch, features); unused unless scaled.
    """

    looked_up: bool
    scaled: bool
    backwards: bool
    inputs: FloatArray
    tokens: IntArray
    factors: FloatArray


class Distinct(NamedTuple):
    """The distinct rows of a table that real steps read, of the batch or of each sequence.

    There are none where inputs are not looked up.

    Args:
        slots: int32, (real steps,); place among the distinct rows of each real step's token.
        rows: int64, (distinct,); addresses of the distinct rows in the table.
        starts: int64, (batch + 1,); where those of each sorted row of the batch begin (scaled alone).
    """

    slots: IntArray
    rows: LongArray
    starts: LongArray


@compiled
def make_source(
    mode: int, backwards: bool, inputs: FloatArray, tokens: IntArray, factors: FloatArray
) -> Source:
    """The source that a call's flags ask for."""
    return Source(mode & (FOLDED | SCALED) != 0, mode & SCALED != 0, backwards, inputs, tokens, factors)


@compiled
def _row_of(source: Source, plan: Schedule, k: int, place: int) -> int:
    """The table's row that a sorted row reads at step k; kept inside the table whatever the token."""
    time = source.tokens.shape[1]
    step = np.int64(plan.steps[plan.offsets[k] + place])
    at = time - 1 - step if source.backwards else step
    token = np.int64(source.tokens[plan.order[place], at])
    return min(max(token, 0), source.inputs.shape[1] - 1)


@compiled
def find_distinct(source: Source, plan: Schedule) -> Distinct:
    """The distinct rows in the order in which real steps first read them, sequence by sequence if scaled."""
    batch = plan.order.size
    starts = np.zeros(batch + 1 if source.scaled else 0, np.int64)
    if not source.looked_up:
        return Distinct(np.empty(0, np.int32), np.empty(0, np.int64), starts)
    slot_of = np.full(source.inputs.shape[1], np.int32(-1))
    slots = np.empty(plan.steps.size, np.int32)
    rows = np.empty(plan.steps.size, np.int64)
    stride, base = source.inputs.shape[2] * 4, start_of(source.inputs)
    count = 0
    if source.scaled:
        for place in range(batch):
            # A slot from before belongs to another sequence.
            first = starts[place] = count
            for k in range(plan.lengths[place]):
                row = _row_of(source, plan, k, place)
                if slot_of[row] < first:
                    slot_of[row] = count
                    rows[count] = base + row * stride
                    count += 1
                slots[plan.offsets[k] + place] = slot_of[row]
        starts[batch] = count
        return Distinct(slots, rows[:count], starts)
    for k in range(plan.active.size - 1):
        for place in range(plan.active[k]):
            row = _row_of(source, plan, k, place)
            if slot_of[row] < 0:
                slot_of[row] = count
                rows[count] = base + row * stride
                count += 1
            slots[plan.offsets[k] + place] = slot_of[row]
    return Distinct(slots, rows[:count], starts)
