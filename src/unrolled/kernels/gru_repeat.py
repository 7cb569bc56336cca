"""The GRU over an input that no longer changes; formulas, gates and what is kept as in :mod:`.gru`."""

from __future__ import annotations

from typing import Any

from unrolled.kernels.bridge import address_of
from unrolled.kernels.compiled import compiled
from unrolled.kernels.gru import KEPT, step, step_alone, step_gradient
from unrolled.kernels.products import copy_row, start_of
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
        ap, qp = start_of(z) + place * z.shape[1] * 4, start_of(q) + place * q.shape[1] * 4
        hp = h_rows[place]
        sources = (ap, ap + gate, ap + 2 * gate, qp, qp + gate, qp + 2 * gate, hp)
        if kept_rows.size:
            at = kept_rows[place]
            fetch_ahead(place, count, kept_rows, KEPT * gate)
            step(units, sources + (at, at + gate, at + 2 * gate, at + 3 * gate, at + 4 * gate, hp))  # noqa: RUF005
        else:
            step_alone(units, sources + (hp,))  # noqa: RUF005


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
        z, da, dq = kept_rows[place], d_z_rows[place], d_q_rows[place]
        fetch_ahead(place, count, previous_rows, KEPT * gate)
        dh = start_of(d_h) + place * d_h.shape[1] * 4
        sources = (z, z + gate, z + 2 * gate, z + 3 * gate, z + 4 * gate, dh)
        copy_row(units, (z + 4 * gate, before_rows[place]))
        step_gradient(units, sources + (da, da + gate, da + 2 * gate, dq, dq + gate, dq + 2 * gate, dh))  # noqa: RUF005


forward = make_forward("gru_repeat", has_cell=False, apart=True, advance=_advance)
backward = make_backward("gru_repeat", has_cell=False, apart=True, retreat=_retreat)
_enter_forward = entry("gru_repeat_forward", forward)
_enter_backward = entry("gru_repeat_backward", backward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to the forward pass; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


def handle_backward(frame: Any) -> int:
    """XLA's entry to the gradient; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
