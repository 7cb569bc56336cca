"""What is measured and written once a run is trained."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.storage import write_atomically
from unrolled.training.record import PREDICTIONS, WEIGHTS, Latency
from unrolled.types import FloatArray, digest

WARM_UP_CALLS = 20
MEASURED_CALLS = 200


def write_weights(folder: Path, weights: dict[str, NDArray[Any]]) -> str:
    """Writes weights as safetensors; returns the hex sha256 over their names, shapes, dtypes and bytes."""
    from safetensors.numpy import save

    ordered = {name: np.asarray(weights[name], order="C") for name in sorted(weights)}
    sha256 = digest(*(part for name, array in ordered.items() for part in (name, array)))
    write_atomically(folder / WEIGHTS, save(ordered, metadata={"sha256": sha256}))
    return sha256


def write_predictions(folder: Path, probabilities: FloatArray) -> None:
    """Writes the test part's probabilities, float32, shape (items, classes), as a plain .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, probabilities, allow_pickle=False)
    write_atomically(folder / PREDICTIONS, buffer.getvalue())


def measure_latency(call: Callable[[int], object], count: int) -> Latency:
    """The time of single calls, in ms.

    Args:
        call: answers for item ``i``, ``0 ≤ i < count``; must wait for its result.
        count: how many different items there are.
    """
    times = []
    for number in range(WARM_UP_CALLS + MEASURED_CALLS):
        start = time.perf_counter()
        call(number % count)
        times.append((time.perf_counter() - start) * 1e3)
    p50, p95 = np.quantile(times[WARM_UP_CALLS:], (0.5, 0.95))
    return Latency(p50=float(p50), p95=float(p95))
