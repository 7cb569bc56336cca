"""How cost grows with length and with units: counted, and measured on networks of that size.

The networks are built for the measurement and hold random weights, since time does not hang on their values.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from unrolled.evidence.cost import count_flops
from unrolled.evidence.findings import Curve
from unrolled.evidence.subjects import BATCH, Logits
from unrolled.models import ModelSpec, architectures
from unrolled.models.build import outline_model
from unrolled.types import IntArray

REPEATS = 5
LENGTHS = (0.25, 0.5, 1.0)
FIRST_WORD = 4
WIDTHS = ("units", "hidden_units")
"""Fields that make a network wider, the first that a spec has."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A cost at several sizes.

    Args:
        axis: what the sizes are, with its unit.
        sizes: rising.
        flops: operations of a forward pass for one sequence.
        milliseconds: measured per sequence, in batches.
    """

    axis: str
    sizes: tuple[int, ...]
    flops: tuple[int, ...]
    milliseconds: tuple[float, ...]

    def counted(self) -> Curve:
        """Operations against size."""
        return Curve(x_label=self.axis, y_label="operations per sequence", x=self.sizes, y=self.flops)

    def measured(self) -> Curve:
        """Milliseconds against size."""
        return Curve(x_label=self.axis, y_label="ms per sequence", x=self.sizes, y=self.milliseconds)


def measure_growth(spec: ModelSpec, field: str, sizes: Sequence[int], axis: str) -> Growth:
    """The cost of ``spec`` with ``field`` set to each of ``sizes``, in turn.

    Args:
        spec: a neural architecture.
        field: "length" or a field of :data:`WIDTHS`.
        sizes: rising.
        axis: what the sizes are, with its unit.
    """
    specs = [spec.model_copy(update={field: size}) for size in sizes]
    flops = [sum(layer.flops for layer in count_flops(outline_model(one))) for one in specs]
    return Growth(axis, tuple(sizes), tuple(flops), tuple(time_sequence(one) for one in specs))


def time_sequence(spec: ModelSpec) -> float:
    """Milliseconds per sequence of a forward pass over a full batch of full-length sequences.

    The fastest of several passes: what slows single ones down is the machine, not the network. Architectures
    that differ in their name and dropout alone are one network, and timed once.
    """
    zoo = architectures()
    first = next(name for name in zoo if zoo.get(name).spec is type(spec))
    dropout = {"dropout": 0.0} if "dropout" in type(spec).model_fields else {}
    return _time_sequence(spec.model_copy(update={"architecture": first, **dropout}))


@cache
def _time_sequence(spec: ModelSpec) -> float:
    network = Logits(spec)
    random = np.random.Generator(np.random.PCG64(0))
    weights = network.load(
        {
            name: random.normal(0.0, 0.05, tuple(variable.shape)).astype(np.float32)
            for name, variable in network.variables().items()
        }
    )
    tokens: IntArray = random.integers(
        min(FIRST_WORD, spec.vocabulary_size - 1), spec.vocabulary_size, (BATCH, spec.length), np.int32
    )
    network(weights, tokens)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        network(weights, tokens)
        times.append(time.perf_counter() - start)
    return min(times) / BATCH * 1e3


def fit_exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """The power of size with which a cost grows: 1 for in proportion, 2 for its square.

    Least squares on logarithms; None for fewer than two sizes.

    >>> fit_exponent([10, 20, 40], [3.0, 12.0, 48.0])
    2.0
    """
    if len(set(sizes)) < 2:
        return None
    slope = np.polyfit(np.log(np.asarray(sizes, np.float64)), np.log(np.asarray(costs, np.float64)), 1)[0]
    return round(float(slope), 6)


def length_steps(spec: ModelSpec) -> list[int]:
    """A quarter, a half and all of the spec's length."""
    return sorted({max(1, round(share * spec.length)) for share in LENGTHS})


def width_of(spec: ModelSpec) -> tuple[str, list[int]] | None:
    """The field that makes a network wider, with a half and all of it; None without such a field."""
    for field in WIDTHS:
        if field in type(spec).model_fields:
            full = int(getattr(spec, field))
            return field, sorted({max(1, full // 2), full})
    return None
