"""Training steps that stay on a GPU, as a study's seeds take them there, and what that device can do.

Nothing here asks which device it is: tests run it on a processor.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled.benchmark.floor import Rates, fastest
from unrolled.training.batching import Batcher
from unrolled.training.cohort import STEPS, make_program, rows_of_steps, send_corpus
from unrolled.training.network import Network, State
from unrolled.types import EncodedSplit, LongArray

# Enough for a GPU to run at its full rate.
PRODUCT_SIZE = 8192
STREAM_NUMBERS = 256_000_000


class Passes:
    """Passes over the same batches by one or several networks of one kind, in programs of many steps.

    Args:
        network: whose steps are taken.
        split: the rows; they are sent to the device once, padded to the longest length.
        batcher: pads them.
        batches: row numbers of each step, int64, (batch,).
        seeds: networks that are trained side by side.
    """

    def __init__(
        self,
        network: Network,
        split: EncodedSplit,
        batcher: Batcher,
        batches: Sequence[LongArray],
        seeds: int,
    ) -> None:
        self.seeds = seeds
        self._corpus = send_corpus(split, batcher)
        rows = rows_of_steps(batches, batcher.batch_size)
        self._rows = np.repeat(rows[:, None], seeds, axis=1)
        self._program = make_program(network)
        self._states: Any = None

    def reset(self, states: Sequence[State]) -> None:
        """Goes on from these states, one for each network."""
        import jax
        import jax.numpy as jnp

        parts = [(state.trainable, state.fixed, state.optimizer) for state in states]
        self._states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
        for leaf in jax.tree.leaves(self._states):
            leaf.block_until_ready()

    def run(self) -> tuple[float, list[float]]:
        """One pass: its seconds, shared among the networks, and the first one's losses (nats) by step."""
        begun = time.perf_counter()
        losses = []
        for start in range(0, len(self._rows), STEPS):
            self._states, found, _ = self._program(
                self._states, self._corpus, self._rows[start : start + STEPS]
            )
            losses.append(found)
        # Reading them waits for the last step.
        first = np.concatenate([np.asarray(found) for found in losses])[:, 0]
        return (time.perf_counter() - begun) / self.seeds, first.tolist()


def device_name() -> str:
    """JAX's own name of the device that it computes on."""
    import jax

    return str(jax.devices()[0].device_kind)


def device_bytes() -> int:
    """The most memory of the device that this process has used; 0 where JAX does not count it."""
    import jax

    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))


def measure_device_rates(size: int = PRODUCT_SIZE, numbers: int = STREAM_NUMBERS) -> Rates:
    """The device's rates: of a product of two float32 matrices (size, size), as precise as JAX makes them
    there by itself, and of an addition of two float32 arrays of so many numbers.
    """
    import jax
    import jax.numpy as jnp

    product, add = jax.jit(jnp.matmul), jax.jit(jnp.add)
    matrix, row = jnp.ones((size, size), jnp.float32), jnp.ones(numbers, jnp.float32)
    product_seconds = fastest(lambda: product(matrix, matrix).block_until_ready())
    stream_seconds = fastest(lambda: add(row, row).block_until_ready())
    # The two operands of the addition are one array, read once.
    return Rates(1, 2 * size**3 / product_seconds, 2 * 4 * numbers / stream_seconds)
