"""The schedule against the mask read row by row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from unrolled.kernels.schedule import make_schedule


@njit
def schedule(mask, backwards):
    return make_schedule(mask, backwards)


@given(
    batch=st.integers(0, 9),
    time=st.integers(0, 9),
    share=st.floats(0, 1),
    backwards=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_real_step_is_scheduled_once_in_order(
    batch: int, time: int, share: float, backwards: bool, seed: int
) -> None:
    mask = np.random.default_rng(seed).random((batch, time)) < share
    order, lengths, active, offsets, steps = schedule(mask.astype(np.uint8), backwards)
    seen = mask[:, ::-1] if backwards else mask
    rows = sorted(range(batch), key=lambda row: -mask[row].sum())
    assert list(order) == rows
    assert list(lengths) == [mask[row].sum() for row in rows]
    longest = max(lengths, default=0)
    assert list(active) == [(lengths > k).sum() for k in range(longest + 1)]
    assert list(offsets) == [0, *np.cumsum(active)[: len(active) - 1]]
    for place, row in enumerate(rows):
        found = [steps[offsets[k] + place] for k in range(lengths[place])]
        assert found == list(np.flatnonzero(seen[row]))
