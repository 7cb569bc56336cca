"""From quantities to positions, and where ticks go."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from unrolled.report.charts.records import Axis
from unrolled.report.words import FORMATS

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic mapping of ``low … high`` onto ``start … stop`` in pixels."""

    low: float
    high: float
    start: float
    stop: float
    axis: Axis

    def __call__(self, value: float) -> float:
        """The position of ``value``; positions outside are drawn at the edge."""
        low, high, at = self.low, self.high, value
        if self.axis.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        part = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + part * (self.stop - self.start)

    def shows(self, value: float | None) -> bool:
        """Whether the axis can hold the value at all."""
        return value is not None and math.isfinite(value) and (value > 0 or not self.axis.log)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """About ``count`` round values with their labels."""
        values = log_ticks(self.low, self.high, count) if self.axis.log else ticks(self.low, self.high, count)
        return [(value, label_of(value, values, self.axis)) for value in values]


def fit(values: Iterable[float | None], axis: Axis, *, start: float, stop: float, margin: float) -> Scale:
    """A scale that holds all values with round ends; the axis' own ends win over the data's.

    Args:
        values: what is drawn.
        axis: the axis.
        start: pixels.
        stop: pixels.
        margin: room beyond the data, as a share of its extent.
    """
    kept = [v for v in values if v is not None and math.isfinite(v) and (v > 0 or not axis.log)]
    low, high = (min(kept), max(kept)) if kept else ((1.0, 10.0) if axis.log else (0.0, 1.0))
    if axis.log:
        low, high = math.log10(low), math.log10(high)
    if high - low < 1e-12:
        spread = 0.3 if axis.log else (abs(low) * 0.1 or 0.5)
        low, high = low - spread, high + spread
    room = margin * (high - low)
    low, high = low - room, high + room
    if axis.log:
        low, high = 10**low, 10**high
    elif kept and min(kept) >= 0:
        low = max(low, 0.0)
    low = axis.low if axis.low is not None else low
    high = axis.high if axis.high is not None else high
    return Scale(low, high if high > low else low + 1.0, start, stop, axis)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round values from ``low`` to ``high``, steps of 1, 2, 2.5 or 5 times a power of ten.

    >>> ticks(0.0, 1.0, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / max(count, 1)
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * part for part in STEPS if size * part >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten from ``low`` to ``high``, every k-th when they are many, with 2 and 5 when few.

    >>> log_ticks(1.0, 1000.0, 5)
    [1.0, 10.0, 100.0, 1000.0]
    >>> log_ticks(1.0, 30.0, 5)
    [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        # Every k-th power, counted from 10^0 so that 1 stays among them.
        every = max(1, math.ceil((last - first) / max(count, 1)))
        return [10.0**power for power in range(first, last + 1) if power % every == 0]
    parts = [
        part * 10.0**power
        for power in range(first - 1, last + 1)
        for part in (1, 2, 5)
        if low * (1 - 1e-9) <= part * 10.0**power <= high * (1 + 1e-9)
    ]
    return parts if len(parts) >= 2 else ticks(low, high, min(count, 3))


def label_of(value: float, values: list[float], axis: Axis) -> str:
    """A tick's label: as many decimals as tell the ticks apart, no more."""
    if axis.kind in ("share", "signed"):
        step = min((b - a for a, b in itertools.pairwise(values)), default=0.1)
        places = next((p for p in (1, 2, 3) if abs(round(step, p) - step) < 1e-9), 3)
        sign = "−" if value < 0 else ("+" if axis.kind == "signed" and value > 0 else "")
        return f"{sign}{abs(value):.{places}f}"
    if axis.kind in ("compact", "count") and abs(value) >= 1e4:
        return FORMATS["compact"](value)
    if axis.log and axis.kind == "number":
        return power_label(value)
    return FORMATS[axis.kind](value)


def power_label(value: float) -> str:
    """A power of ten with a superscript beyond a thousand either way; other numbers plainly.

    >>> power_label(1e-7), power_label(0.01), power_label(50.0)
    ('10⁻⁷', '0.01', '50')
    """
    power = math.log10(value)
    if abs(power - round(power)) < 1e-9 and abs(round(power)) > 3:
        return "10" + str(round(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return FORMATS["number"](value)
