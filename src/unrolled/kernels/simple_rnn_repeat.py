"""The SimpleRNN over an input that no longer changes; formula and what is kept as in :mod:`.simple_rnn`."""

from __future__ import annotations

from typing import Any

from unrolled.kernels.bridge import address_of
from unrolled.kernels.compiled import compiled
from unrolled.kernels.products import copy_row, start_of, zero_rows
from unrolled.kernels.repeat import fetch_ahead, make_forward
from unrolled.kernels.repeat_back import make_backward
from unrolled.kernels.simple_rnn import KEPT, step, step_gradient
from unrolled.kernels.tasks import entry
from unrolled.types import FloatArray, LongArray


@compiled
def _advance(
    count: int,
    units: int,
    z: FloatArray,
    q: FloatArray,
    h_rows: LongArray,
    h: FloatArray,
    c: FloatArray,
    kept_rows: LongArray,
) -> None:
    for place in range(count):
        zp, hp = start_of(z) + place * z.shape[1] * 4, h_rows[place]
        step(units, (zp, hp))
        if kept_rows.size:
            copy_row(units, (hp, kept_rows[place]))


@compiled
def _retreat(
    count: int,
    units: int,
    kept_rows: LongArray,
    previous_rows: LongArray,
    before_rows: LongArray,
    d_z_rows: LongArray,
    d_q_rows: LongArray,
    d_h: FloatArray,
    d_c: FloatArray,
) -> None:
    for place in range(count):
        fetch_ahead(place, count, previous_rows, KEPT * units * 4)
        dh = start_of(d_h) + place * d_h.shape[1] * 4
        copy_row(units, (previous_rows[place], before_rows[place]))
        step_gradient(units, (kept_rows[place], dh, d_z_rows[place]))
    zero_rows(count, d_h)


forward = make_forward("simple_rnn_repeat", has_cell=False, apart=False, advance=_advance)
backward = make_backward("simple_rnn_repeat", has_cell=False, apart=False, retreat=_retreat)
_enter_forward = entry("simple_rnn_repeat_forward", forward)
_enter_backward = entry("simple_rnn_repeat_backward", backward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to the forward pass; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


def handle_backward(frame: Any) -> int:
    """XLA's entry to the gradient; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
