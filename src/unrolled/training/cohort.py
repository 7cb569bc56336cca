"""Runs of one plan with several seeds, in one program that keeps data and states on the device.

What a GPU gains over a CPU in a step is soon lost on the way to it: one batch at a time leaves it waiting.
Here the corpus is sent once, a program takes many steps, and all seeds take them side by side. The batches,
their order and every seed's randomness are those of :class:`unrolled.training.engine.Engine` alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from unrolled.training.batching import Batcher
from unrolled.training.engine import DivergedError, Engine, StoppedError, Trained
from unrolled.training.network import Network, State
from unrolled.types import EncodedSplit, IntArray, LongArray

Array: TypeAlias = Any
# Steps of one program: few enough to be asked between them whether to stop, and to tell how far it is.
STEPS = 50
NO_ROW = -1


class Corpus(NamedTuple):
    """A split on the device.

    Args:
        tokens: what a network reads, (items, time) or (items, time, features + 1).
        labels: int32, (items,).
        weights: float32, (items,).
    """

    tokens: Array
    labels: Array
    weights: Array


def send_corpus(split: EncodedSplit, batcher: Batcher) -> Corpus:
    """Every item of a split, padded to the longest length, on JAX's device."""
    import jax.numpy as jnp

    longest = Batcher(batcher.spec, max(len(split), 1), batcher.lengths[-1:], batcher.class_weights)
    batch = longest.batch(split, np.arange(len(split)))
    return Corpus(jnp.asarray(batch.tokens), jnp.asarray(batch.labels), jnp.asarray(batch.weights))


def rows_of_steps(batches: Sequence[LongArray], batch_size: int) -> IntArray:
    """The items of each step, int32, (steps, batch_size), :data:`NO_ROW` where a batch is not full."""
    rows = np.full((len(batches), batch_size), NO_ROW, np.int32)
    for step, batch in enumerate(batches):
        rows[step, : len(batch)] = batch
    return rows


def make_program(network: Network) -> Any:
    """``run(states, corpus, rows)``: training steps of several seeds at once.

    ``states`` are the lists of a :class:`State` with an axis of seeds first, ``rows`` is int32, (steps,
    seeds, batch). Returned are the states, and the mean loss and the right answers of each step, (steps,
    seeds).
    """
    import jax
    import jax.numpy as jnp

    def seed(states: Any, number: int) -> Any:
        return jax.tree.map(lambda leaf: leaf[number], states)

    def one(state: Any, corpus: Corpus, rows: Array) -> tuple[Any, Array, Array]:
        there = rows != NO_ROW
        places = jnp.where(there, rows, 0)
        tokens = corpus.tokens[places]
        tokens = jnp.where(there.reshape(-1, *[1] * (tokens.ndim - 1)), tokens, 0)
        labels = jnp.where(there, corpus.labels[places], 0)
        weights = jnp.where(there, corpus.weights[places], 0)
        trainable, fixed, optimizer = state
        *moved, loss, right = network.train_step(trainable, fixed, optimizer, tokens, labels, weights)
        return tuple(moved), loss, right

    def side_by_side(states: Any, corpus: Corpus, rows: Array) -> Any:
        together = jax.vmap(one, in_axes=(0, None, 0))
        if len(rows) > 1:
            try:
                jax.eval_shape(together, states, corpus, rows)
            except NotImplementedError:
                # cuDNN's LSTM has no batching rule: seeds follow each other, still in one program.
                pass
            else:
                return together(states, corpus, rows)
        ends = [one(seed(states, number), corpus, rows[number]) for number in range(len(rows))]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends)

    def run(states: Any, corpus: Corpus, rows: Array) -> tuple[Any, Array, Array]:
        def step(states: Any, rows: Array) -> tuple[Any, tuple[Array, Array]]:
            states, losses, right = side_by_side(states, corpus, rows)
            return states, (losses, right)

        states, (losses, right) = jax.lax.scan(step, states, rows)
        return states, losses, right

    return jax.jit(run, donate_argnums=0)


class Cohort:
    """Engines that differ in their seed, trained together.

    Args:
        engines: same model, data and settings but for the seed.
        should_stop: asked between programs; True saves all states and raises :class:`StoppedError`.
    """

    def __init__(self, engines: Sequence[Engine], *, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.engines, self.should_stop = list(engines), should_stop
        first = self.engines[0]
        self.corpus = send_corpus(first.data.train, first.batcher)
        self.program = make_program(first.network)
        self.compiled: dict[tuple[int, ...], Any] = {}

    def run(self) -> list[Trained | DivergedError]:
        """Trains all to their ends, each from its last checkpoint if there is one.

        Returns:
            For each engine what :meth:`Engine.run` returns or raises as :class:`DivergedError`.

        Raises:
            StoppedError: ``should_stop`` said so.
            DataError: every checkpoint of a run is damaged.
            MachineError: the disk refuses.
        """
        diverged: dict[int, DivergedError] = {}
        for engine in self.engines:
            engine.resume()
            engine.compile(training=False)
        while waiting := [
            (engine.place, number)
            for number, engine in enumerate(self.engines)
            if number not in diverged and not engine.finished()
        ]:
            # Those that a kill left behind come first, until all stand at one place.
            place = min(waiting)[0]
            diverged |= self._finish_epoch([number for own, number in waiting if own == place])
        return [diverged.get(number) or engine.finish() for number, engine in enumerate(self.engines)]

    def _finish_epoch(self, numbers: list[int]) -> dict[int, DivergedError]:
        """The rest of an epoch for engines that stand at the same step; those whose loss is no number."""
        engines = [self.engines[number] for number in numbers]
        batch_size = engines[0].batcher.batch_size
        orders = [engine.remaining_batches() for engine in engines]
        rows = np.stack([rows_of_steps(order, batch_size) for order in orders], axis=1)
        diverged: dict[int, DivergedError] = {}
        for start in range(0, len(rows), STEPS):
            losses, right, seconds = self._take_steps(engines, rows[start : start + STEPS])
            for place, (number, engine) in enumerate(zip(numbers, engines, strict=True)):
                if number in diverged:
                    continue
                counts = [len(batch) for batch in orders[place][start : start + STEPS]]
                try:
                    # Each seed is charged its share.
                    engine.take_steps(losses[:, place], right[:, place], counts, seconds / len(engines))
                except DivergedError as error:
                    diverged[number] = error
            if self.should_stop() and start + STEPS < len(rows):
                for engine in engines:
                    engine.save()
                raise StoppedError
        for number, engine in zip(numbers, engines, strict=True):
            if number not in diverged:
                engine.close_epoch()
        if self.should_stop() and not all(engine.finished() for engine in self.engines):
            raise StoppedError
        return diverged

    def _take_steps(self, engines: list[Engine], rows: IntArray) -> tuple[Any, Any, float]:
        """Losses and right answers, (steps, seeds), and the seconds it took; the engines' states move on."""
        import jax
        import jax.numpy as jnp

        parts = [(engine.state.trainable, engine.state.fixed, engine.state.optimizer) for engine in engines]
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
        arguments = states, self.corpus, jnp.asarray(rows)
        if rows.shape not in self.compiled:
            begun = time.perf_counter()
            self.compiled[rows.shape] = self.program.lower(*arguments).compile()
            for engine in engines:
                engine.compile_seconds += (time.perf_counter() - begun) / len(engines)
        begun = time.perf_counter()
        states, losses, right = self.compiled[rows.shape](*arguments)
        losses.block_until_ready()
        seconds = time.perf_counter() - begun
        for number, engine in enumerate(engines):
            engine.state = State(*jax.tree.map(lambda leaf, n=number: leaf[n], states))
        return np.asarray(losses), np.asarray(right), seconds
