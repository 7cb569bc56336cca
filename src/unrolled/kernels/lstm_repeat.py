"""The LSTM over an input that no longer changes; formulas, gates and what is kept as in :mod:`.lstm`."""

from __future__ import annotations

from typing import Any

from unrolled.kernels.bridge import address_of
from unrolled.kernels.compiled import compiled
from unrolled.kernels.lstm import KEPT, hidden, step, step_alone, step_gradient
from unrolled.kernels.products import start_of, zero_rows
from unrolled.kernels.repeat import fetch_ahead, make_forward
from unrolled.kernels.repeat_back import make_backward
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
    gate = units * 4
    for place in range(count):
        zi, hp, cp = start_of(z) + place * z.shape[1] * 4, h_rows[place], start_of(c) + place * gate
        if kept_rows.size:
            i = kept_rows[place]
            fetch_ahead(place, count, kept_rows, KEPT * gate)
            sources = (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp)
            targets = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, cp, hp)
            step(units, sources + targets)
        else:
            step_alone(units, (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp, cp, hp))


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
    gate = units * 4
    for place in range(count):
        i, dz = kept_rows[place], d_z_rows[place]
        dh, dc = start_of(d_h) + place * d_h.shape[1] * 4, start_of(d_c) + place * gate
        last = previous_rows[place]
        fetch_ahead(place, count, previous_rows, KEPT * gate)
        hidden(units, (last + 3 * gate, last + 4 * gate, before_rows[place]))
        sources = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, last + 4 * gate, dh, dc)
        step_gradient(units, sources + (dz, dz + gate, dz + 2 * gate, dz + 3 * gate, dc))  # noqa: RUF005
    zero_rows(count, d_h)


forward = make_forward("lstm_repeat", has_cell=True, apart=False, advance=_advance)
backward = make_backward("lstm_repeat", has_cell=True, apart=False, retreat=_retreat)
_enter_forward = entry("lstm_repeat_forward", forward)
_enter_backward = entry("lstm_repeat_backward", backward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to the forward pass; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


def handle_backward(frame: Any) -> int:
    """XLA's entry to the gradient; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
