"""The LSTM over an input that no longer changes; formulas and order of gates as in :mod:`.lstm`.

Kept for the backward pass per step: the four gates, c and h before the step.
"""

from __future__ import annotations

from typing import Any

from unrolled.kernels.bridge import address_of
from unrolled.kernels.compiled import compiled
from unrolled.kernels.lanes import Lanes, elementwise
from unrolled.kernels.lstm import cell, cell_alone, cell_gradient
from unrolled.kernels.products import add_product, start_of, zero_rows
from unrolled.kernels.repeat import make_forward
from unrolled.kernels.repeat_back import make_backward
from unrolled.kernels.tasks import entry
from unrolled.types import FloatArray, LongArray

KEPT = 6


def _keep(z_i: Lanes, z_f: Lanes, z_g: Lanes, z_o: Lanes, c: Lanes, h: Lanes) -> tuple[Lanes, ...]:
    *gates, _, c_after, h_after = cell(z_i, z_f, z_g, z_o, c)
    return *gates, c, h, c_after, h_after


def _gradient(i: Lanes, f: Lanes, g: Lanes, o: Lanes, c: Lanes, d_h: Lanes, d_c: Lanes) -> tuple[Lanes, ...]:
    return cell_gradient(i, f, g, o, f.times_plus(c, i * g), c, d_h, d_c)


_step = elementwise("lstm_repeat", _keep, 6)
_step_alone = elementwise("lstm_alone", cell_alone, 5)
_step_gradient = elementwise("lstm_repeat_gradient", _gradient, 7)


@compiled
def _advance(
    count: int,
    units: int,
    z: FloatArray,
    q: FloatArray,
    packed: FloatArray,
    h_rows: LongArray,
    h: FloatArray,
    c: FloatArray,
    kept_rows: LongArray,
) -> None:
    add_product(count, h_rows, packed, z)
    gate = units * 4
    for place in range(count):
        zi, hp, cp = start_of(z) + place * z.shape[1] * 4, h_rows[place], start_of(c) + place * gate
        if kept_rows.size:
            i = kept_rows[place]
            sources = (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp, hp)
            targets = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, i + 5 * gate, cp, hp)
            _step(units, sources + targets)
        else:
            _step_alone(units, (zi, zi + gate, zi + 2 * gate, zi + 3 * gate, cp, cp, hp))


@compiled
def _retreat(
    count: int,
    units: int,
    packed: FloatArray,
    kept_rows: LongArray,
    d_z_rows: LongArray,
    d_q_rows: LongArray,
    d_h: FloatArray,
    d_c: FloatArray,
) -> None:
    gate = units * 4
    for place in range(count):
        i, dz = kept_rows[place], d_z_rows[place]
        dh, dc = start_of(d_h) + place * d_h.shape[1] * 4, start_of(d_c) + place * gate
        sources = (i, i + gate, i + 2 * gate, i + 3 * gate, i + 4 * gate, dh, dc)
        _step_gradient(units, sources + (dz, dz + gate, dz + 2 * gate, dz + 3 * gate, dc))  # noqa: RUF005
    zero_rows(count, d_h)
    add_product(count, d_q_rows, packed, d_h)


forward = make_forward(kept=KEPT, has_cell=True, apart=False, advance=_advance)
backward = make_backward(kept=KEPT, has_cell=True, apart=False, retreat=_retreat)
_enter_forward = entry("lstm_repeat_forward", forward)
_enter_backward = entry("lstm_repeat_backward", backward)


def handle_forward(frame: Any) -> int:
    """XLA's entry to the forward pass; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_forward(address_of(frame))


def handle_backward(frame: Any) -> int:
    """XLA's entry to the gradient; compiled and cached by :mod:`unrolled.kernels.programs`."""
    return _enter_backward(address_of(frame))
