"""How fast an epoch could be on this machine at best: the products and the bytes that no trick avoids.

What is counted, for the forward and the backward pass of every step, in float32 operations, a multiply-add
as 2 of them:

- a recurrence with G gates, H units and inputs of D numbers: ``6·G·H·H`` for each position whose state must
  be computed, and ``6·G·H·D`` for each input that must be projected. Padding that is masked needs no state.
  Padding that is read as a word is one path for all sequences of a batch, so one sequence of it is counted,
  as long as the longest padding; with input dropout every sequence has a path of its own, and how much of it
  must be computed depends on the weights, as it comes to rest: one step of each is counted. Without dropout
  an input is projected once for each distinct token of the batch; with it, once for each distinct token of a
  sequence (padding is one). Above a convolution or another recurrence inputs do not go by tokens, so every
  position that is computed is projected. Dropped features need no product.
- a convolution over an embedding of E numbers with F filters of width K: ``6·E·K·F`` for each distinct token.
- a dense layer of N units over flattened positions of E numbers: ``6·E·N`` for each distinct pair of position
  and token of the batch (padding that is masked is no token); over pooled convolutions, for each pooled step
  with a word in it, and where padding is a word for one more at each position that has padding.
- any other dense layer: ``6·I·O`` for each sequence, ``4·I·O`` where it stands on the inputs themselves.

Products are divided by the rate at which this machine multiplies large matrices with as many threads
(sgemm). ``28`` bytes per weight and step, since Adam reads weight, gradient and two moments and writes three
of them, are divided by the rate at which it adds two large arrays. Both times are added.

Steps whose gradients fade below rounding are counted in full, since how many do depends on the weights.

Not counted, so that the floor lies below what can be reached: gathering and scattering of rows, what a
recurrence keeps for the way back (it may stay in the cache), tanh and sigmoid, that products of one step are
small, and the loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.benchmark.peers.layout import GATES

ADAM_BYTES = 28
PRODUCT_SIZE = 2048
STREAM_NUMBERS = 32_000_000
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """What this machine does at its best.

    Args:
        threads: that were allowed to work.
        flops_per_second: of a product of two large float32 matrices.
        bytes_per_second: read and written while two large float32 arrays are added.
    """

    threads: int
    flops_per_second: float
    bytes_per_second: float


@dataclass(frozen=True, slots=True)
class Work:
    """What must be done.

    Args:
        flops: of products.
        adam_bytes: moved by the optimizer.
    """

    flops: float
    adam_bytes: float

    def __add__(self, more: Work) -> Work:
        return Work(self.flops + more.flops, self.adam_bytes + more.adam_bytes)

    def times(self, factor: float) -> Work:
        """So many times the work."""
        return Work(self.flops * factor, self.adam_bytes * factor)

    def seconds(self, rates: Rates) -> float:
        """How long it takes at the rates of the machine."""
        return self.flops / rates.flops_per_second + self.adam_bytes / rates.bytes_per_second


def measure_rates(threads: int) -> Rates:
    """The machine's rates with so many threads, the best of a few attempts."""
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(0)
    left, right = (random.random((PRODUCT_SIZE, PRODUCT_SIZE), np.float32) for _ in range(2))
    out = np.empty_like(left)
    with threadpool_limits(threads):
        product_seconds = fastest(lambda: np.matmul(left, right, out=out))
    parts = [
        tuple(np.full(STREAM_NUMBERS // threads, value, np.float32) for value in (1, 2, 0))
        for _ in range(threads)
    ]
    with ThreadPoolExecutor(threads) as pool:
        # NumPy lets other threads run while it adds.
        stream_seconds = fastest(lambda: list(pool.map(lambda part: np.add(*part), parts)))
    moved = threads * 3 * 4 * (STREAM_NUMBERS // threads)
    return Rates(threads, 2 * PRODUCT_SIZE**3 / product_seconds, moved / stream_seconds)


def fastest(call: Callable[[], object]) -> float:
    """Seconds of a call, the least of :data:`ATTEMPTS` after one that warms up."""
    times = []
    for _ in range(ATTEMPTS + 1):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def count_step(
    layers: Sequence[dict[str, Any]], tokens: NDArray[np.int32], *, masked: bool, parameters: int
) -> Work:
    """The work of one training step; the module says what is counted.

    Args:
        layers: as :func:`unrolled.benchmark.job.describe_layers` gives them.
        tokens: int32 (batch, time), zeros on the left, at the model's full length.
        masked: whether padding is masked, else read as a word.
        parameters: weights that Adam moves.
    """
    batch, time_steps = tokens.shape
    real = tokens != 0
    distinct = len(np.unique(tokens[real])) + (0 if masked or real.all() else 1)
    size, flops = 0, 0.0
    by_token = on_inputs = True
    flat = 0.0
    for layer in layers:
        kind = layer["kind"]
        if kind == "embedding":
            size, on_inputs = layer["size"], False
        elif kind == "convolution":
            flops += 6 * size * layer["width"] * layer["filters"] * distinct
            size, by_token, on_inputs = layer["filters"], False, False
        elif kind == "pooling":
            real = _pooled(real, layer["size"], masked=masked)
            time_steps = real.shape[1]
        elif kind == "flatten":
            flat = float(_flat_rows(tokens if by_token else None, real, masked=masked))
        elif kind == "recurrence":
            directions = 2 if layer["bidirectional"] else 1
            states, inputs = _positions(real, masked=masked, dropout=layer["dropout"])
            if layer["every"] and not masked:
                # Every step is an answer of its own for the layer above, whatever led to it.
                states = inputs = batch * time_steps
            if by_token:
                inputs = _distinct_in_each(tokens, masked=masked) if layer["dropout"] else distinct
            # What is dropped needs no product.
            projected = inputs * (1 - layer["dropout"])
            gates = GATES[layer["cell"]] * layer["units"]
            flops += 6 * directions * gates * (layer["units"] * states + size * projected)
            size, by_token, on_inputs = layer["units"] * directions, False, False
        else:
            units = layer["units"] if kind == "dense" else 1 if layer["classes"] == 2 else layer["classes"]
            if flat:
                flops += 6 * size * units * flat
                flat = 0.0
            else:
                flops += (4 if on_inputs else 6) * (size or time_steps) * units * batch
            size, on_inputs = units, False
    return Work(flops, float(ADAM_BYTES * parameters))


def _pooled(real: NDArray[np.bool_], size: int, *, masked: bool) -> NDArray[np.bool_]:
    """Which windows hold a word; aligned at the end when masked, at the beginning when not."""
    batch, steps = real.shape
    if masked:
        real = np.pad(real, ((0, 0), (-steps % size, 0)))
    whole = real[:, : real.shape[1] // size * size].reshape(batch, -1, size)
    return np.asarray(whole.any(axis=2), bool)


def _positions(real: NDArray[np.bool_], *, masked: bool, dropout: float) -> tuple[int, int]:
    """States that must be computed, and inputs that must be projected where no two are alike."""
    words = int(real.sum())
    if masked:
        return words, words
    pads = (~real).sum(axis=1)
    if dropout:
        padded = int((pads > 0).sum())
        return words + padded, words + padded
    longest = int(pads.max(initial=0))
    return words + longest, words + int(longest > 0)


def _distinct_in_each(tokens: NDArray[np.int32], *, masked: bool) -> int:
    """Distinct tokens of each sequence, summed over the sequences."""
    ordered = np.sort(tokens, axis=1)
    new = np.ones(ordered.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    return int((new & (ordered != 0)).sum()) if masked else int(new.sum())


def _flat_rows(tokens: NDArray[np.int32] | None, real: NDArray[np.bool_], *, masked: bool) -> int:
    """Different inputs of a dense layer over positions, summed over the positions."""
    if tokens is None:
        words = int(real.sum())
        return words if masked else words + int((~real.all(axis=0)).sum())
    ordered = np.sort(tokens, axis=0)
    new = np.ones(ordered.shape, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return int((new & (ordered != 0)).sum()) if masked else int(new.sum())
