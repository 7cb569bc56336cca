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
from unrolled.training.engine import SAVE_EVERY_SECONDS, DivergedError, Engine, StoppedError, Trained
from unrolled.training.network import Network, State
from unrolled.types import EncodedSplit, IntArray, LongArray

Array: TypeAlias = Any
# Steps of one program: few enough to be asked between them whether to stop, and to tell how far it is.
STEPS = 50
# A program that takes longer is made shorter: who asks to stop is not to wait.
LONGEST_SECONDS = 2.0
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

    def one(state: Any, corpus: Corpus, rows: Array) -> tuple[Any, Array, Array]:
        places = jnp.where(rows != NO_ROW, rows, 0)
        weights = jnp.where(rows != NO_ROW, corpus.weights[places], 0)
        trainable, fixed, optimizer = state
        *moved, loss, right = network.train_step(
            trainable, fixed, optimizer, corpus.tokens[places], corpus.labels[places], weights
        )
        return tuple(moved), loss, right

    def side_by_side(states: Any, corpus: Corpus, rows: Array) -> Any:
        each = [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(len(rows))]
        if len(rows) > 1 and can_be_batched(one, each[0], corpus, rows[0]):
            return jax.vmap(one, in_axes=(0, None, 0))(states, corpus, rows)
        ends = [one(state, corpus, own) for state, own in zip(each, rows, strict=True)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *ends)

    def run(states: Any, corpus: Corpus, rows: Array) -> tuple[Any, Array, Array]:
        def step(states: Any, rows: Array) -> tuple[Any, tuple[Array, Array]]:
            states, losses, right = side_by_side(states, corpus, rows)
            return states, (losses, right)

        states, (losses, right) = jax.lax.scan(step, states, rows)
        return states, losses, right

    return jax.jit(run, donate_argnums=0)


def can_be_batched(step: Any, *arguments: Any) -> bool:
    """Whether a step of several seeds can be one: cuDNN's LSTM has no rule for it.

    Keras would take its slow loop instead without a word, so what one step consists of is looked at.
    """
    import jax

    return "rnn_fwd" not in str(jax.make_jaxpr(step)(*arguments))


class Cohort:
    """Engines that differ in their seed, trained together.

    Args:
        engines: same model, data and settings but for the seed.
        finish: called with each engine's number and end, as soon as it has come to it.
        should_stop: asked between programs; True saves all states and raises :class:`StoppedError`.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        finish: Callable[[int, Trained | DivergedError], None],
        *,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.engines, self.should_stop = list(engines), should_stop
        first = self.engines[0]
        self._finish, self._open = finish, set(range(len(self.engines)))
        self._corpus = send_corpus(first.data.train, first.batcher)
        self._program = make_program(first.network)
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._steps = STEPS

    def run(self) -> None:
        """Trains all to their ends, each from its last checkpoint if there is one.

        Raises:
            StoppedError: ``should_stop`` said so.
            DataError: every checkpoint of a run is damaged.
            MachineError: the disk refuses.
        """
        for engine in self.engines:
            engine.resume()
            engine.compile(training=False)
        self._close_finished()
        while self._open:
            # Those that a kill left behind come first, until all stand at one place.
            place = min(self.engines[number].place for number in self._open)
            there = [number for number in sorted(self._open) if self.engines[number].place == place]
            self._finish_epoch(there)
            self._close_finished()

    def _close_finished(self) -> None:
        for number in sorted(self._open):
            if self.engines[number].finished():
                self._open.discard(number)
                self._finish(number, self.engines[number].finish())
                self._stop_if_asked([])

    def _finish_epoch(self, numbers: list[int]) -> None:
        """The rest of an epoch for engines that stand at the same step."""
        engines = [self.engines[number] for number in numbers]
        orders = [engine.remaining_batches() for engine in engines]
        size, done = engines[0].batcher.batch_size, engines[0].progress.step
        rows = np.stack([rows_of_steps(order, size) for order in orders], axis=1)
        start, saved = 0, time.perf_counter()
        while start < len(rows):
            end = start + self._steps
            losses, right, seconds = self._take_steps(engines, rows[start:end])
            for place, number in enumerate(numbers):
                if number not in self._open:
                    continue
                counts = [len(batch) for batch in orders[place][start:end]]
                try:
                    # Each seed is charged its share.
                    engines[place].take_steps(
                        losses[:, place],
                        right[:, place],
                        counts,
                        seconds=seconds / len(engines),
                        num_steps=done + len(rows),
                    )
                except DivergedError as error:
                    self._open.discard(number)
                    self._finish(number, error)
            start = end
            if start < len(rows):
                there = [self.engines[number] for number in numbers if number in self._open]
                self._stop_if_asked(there)
                if time.perf_counter() - saved > SAVE_EVERY_SECONDS:
                    saved = time.perf_counter()
                    for engine in there:
                        engine.save()
        closing = [self.engines[number] for number in numbers if number in self._open]
        while closing:
            closing.pop(0).close_epoch()
            self._stop_if_asked(closing)

    def _stop_if_asked(self, engines: list[Engine]) -> None:
        """Saves what is not saved yet and leaves, if that is wanted and anything is left to do."""
        if self._open and self.should_stop():
            for engine in engines:
                engine.save()
            raise StoppedError

    def _take_steps(self, engines: list[Engine], rows: IntArray) -> tuple[Any, Any, float]:
        """Losses and right answers, (steps, seeds), and the seconds it took; the engines' states move on."""
        import jax
        import jax.numpy as jnp

        begun = time.perf_counter()
        parts = [(engine.state.trainable, engine.state.fixed, engine.state.optimizer) for engine in engines]
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
        arguments = states, self._corpus, jnp.asarray(rows)
        compiling = 0.0
        if rows.shape not in self._compiled:
            compiling = time.perf_counter()
            self._compiled[rows.shape] = self._program.lower(*arguments).compile()
            compiling = time.perf_counter() - compiling
            for engine in engines:
                engine.compile_seconds += compiling / len(engines)
        states, losses, right = self._compiled[rows.shape](*arguments)
        for number, engine in enumerate(engines):
            engine.state = State(*jax.tree.map(lambda leaf, n=number: leaf[n], states))
        found = np.asarray(losses), np.asarray(right)
        seconds = time.perf_counter() - begun - compiling
        if seconds > LONGEST_SECONDS:
            self._steps = max(1, self._steps // 2)
        return *found, seconds
