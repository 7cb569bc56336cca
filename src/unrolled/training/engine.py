"""One run from its first step to its record, able to stop and go on at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.models import ModelSpec
from unrolled.training.batching import Batcher, padded_lengths
from unrolled.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from unrolled.training.memory import give_back_freed_memory
from unrolled.training.network import Network, State, score
from unrolled.training.record import Epoch, write_history
from unrolled.training.settings import TrainingSettings, balanced_weights
from unrolled.types import EncodedDataset, FloatArray, LongArray

Event = Mapping[str, Any]
# Long epochs are saved on the way, so that a kill costs minutes and not an hour.
SAVE_EVERY_SECONDS = 120.0
EVALUATION_BATCH = 256


class StoppedError(Exception):
    """Training was asked to stop; its state is on disk."""


class DivergedError(Exception):
    """The loss stopped being a number. The message names epoch and step."""


@dataclass(slots=True)
class Progress:
    """Where a run stands, beside the network's own state."""

    epoch: int = 1
    step: int = 0
    loss_sum: float = 0.0
    right: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0

    def facts(self) -> dict[str, Any]:
        """As values that JSON can hold; floats survive exactly."""
        return {
            **{name: getattr(self, name) for name in self.__slots__ if name != "history"},
            "history": [epoch.model_dump() for epoch in self.history],
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Progress:
        """The inverse of :meth:`facts`."""
        history = [Epoch.model_validate(line) for line in facts["history"]]
        return cls(**{**facts, "history": history})


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished network: its weights, what it cost, and its probabilities on the test part."""

    network: Network
    state: State
    progress: Progress
    compile_seconds: float
    test_probabilities: FloatArray


class Engine:
    """Trains one network on one data set inside one folder.

    Args:
        folder: the run's folder; checkpoints and history go there. None keeps a run in memory alone.
        spec: the architecture.
        settings: how to train it.
        data: the encoded corpus.
        report: receives events: "compiled", "step", "epoch", "resumed".
        should_stop: asked after every step; True saves the state and raises :class:`StoppedError`.
    """

    def __init__(
        self,
        folder: Path | None,
        spec: ModelSpec,
        settings: TrainingSettings,
        data: EncodedDataset,
        *,
        report: Callable[[Event], None] = lambda event: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.settings, self.data = folder, settings, data
        self.report, self.should_stop = report, should_stop
        lengths = padded_lengths(spec, data.train, group=settings.group_lengths)
        self.batcher = Batcher(spec, settings.batch_size, lengths, settings.class_weights)
        self.reader = Batcher(spec, EVALUATION_BATCH, lengths)
        self.network = Network(spec, seed=settings.seed, learning_rate=settings.learning_rate)
        self.state = self.network.initial_state()
        self.progress = Progress()
        self.best: dict[str, NDArray[Any]] = {}
        self.compile_seconds = 0.0

    def run(self) -> Trained:
        """Trains to the end, from the last checkpoint if there is one.

        Returns:
            The network with the weights that the protocol keeps, and its test probabilities, read once.

        Raises:
            StoppedError: ``should_stop`` said so.
            DivergedError: the loss became NaN or infinite.
            DataError: every checkpoint is damaged.
            MachineError: the disk refuses.
        """
        self.resume()
        self.compile()
        while not self.finished():
            self._train_epoch()
        return self.finish()

    @property
    def place(self) -> tuple[int, int]:
        """The epoch that is under way, and how many of its steps have been taken."""
        return self.progress.epoch, self.progress.step

    def finish(self) -> Trained:
        """The weights that the protocol keeps, and their probabilities on the test part, read once."""
        if self.settings.protocol == "standard":
            self.state = self.network.load_weights(self.state, self.best)
        else:
            self.progress.best_epoch = len(self.progress.history)
        probabilities = self.network.predict(self.state, self.data.test, self.reader)
        return Trained(self.network, self.state, self.progress, self.compile_seconds, probabilities)

    def finished(self) -> bool:
        """Whether all epochs are over, or none has been better for as many as patience allows."""
        done = len(self.progress.history)
        patience = self.settings.patience
        waited = patience is not None and done - self.progress.best_epoch >= patience
        return done >= self.settings.epochs or waited

    def compile(self, *, training: bool = True) -> None:
        """Compiles prediction, and training if wanted, for every padded length, on states thrown away."""
        start = time.perf_counter()
        train = self.data.train
        if training:
            shortest = self.batcher.blank(train, self.batcher.lengths[0])
            self.network.compile_kernels(self.state, shortest)
        for length in self.batcher.lengths:
            if training:
                blank = self.batcher.blank(train, length)
                _, loss, _ = self.network.step(self.network.initial_state(), blank)
                float(loss)
            self.network.probabilities(self.state, self.reader.blank(train, length).tokens)
        give_back_freed_memory()
        self.compile_seconds = time.perf_counter() - start
        self.report({"event": "compiled", "seconds": self.compile_seconds})

    def _train_epoch(self) -> None:
        """The rest of the current epoch, then validation, then a checkpoint."""
        progress = self.progress
        batches = self.remaining_batches()
        num_steps = progress.step + len(batches)
        clock = saved = time.perf_counter()
        pending: tuple[Any, Any, int] | None = None
        for rows in batches:
            # Made while the step before is computed. That one then ends before the next begins: two at once
            # would take their memory twice, and gain nothing where one step keeps all cores busy.
            batch = self.batcher.batch(self.data.train, rows)
            self._account(pending)
            self.state, loss, right = self.network.step(self.state, batch)
            pending = (loss, right, len(rows))
            progress.step += 1
            now = time.perf_counter()
            if self.should_stop() or now - saved > SAVE_EVERY_SECONDS:
                self._account(pending)
                pending, saved = None, time.perf_counter()
                progress.seconds, clock = progress.seconds + saved - clock, saved
                self.save()
                if self.should_stop():
                    raise StoppedError
            self._tell_step(num_steps)
        self._account(pending)
        progress.seconds += time.perf_counter() - clock
        self.close_epoch()

    def remaining_batches(self) -> list[LongArray]:
        """The rows of the steps that the current epoch still has, in their order."""
        order = self.batcher.epoch_order(self.data.train, self.settings.seed, self.progress.epoch)
        return order[self.progress.step :]

    def take_steps(
        self,
        losses: FloatArray,
        right: FloatArray,
        counts: Sequence[int],
        *,
        seconds: float,
        num_steps: int,
    ) -> None:
        """Enters steps that were taken elsewhere: their losses, right answers and numbers of rows.

        Args:
            losses: mean loss of each step, nats.
            right: right answers of each step.
            counts: rows of each step.
            seconds: that they took.
            num_steps: of the whole epoch.

        Raises:
            DivergedError: a loss is NaN or infinite.
        """
        for loss, found, count in zip(losses, right, counts, strict=True):
            self.progress.step += 1
            self._account((loss, found, count))
        self.progress.seconds += seconds
        self._tell_step(num_steps)

    def _account(self, pending: tuple[Any, Any, int] | None) -> None:
        if pending is None:
            return
        loss, count = float(pending[0]), pending[2]
        progress = self.progress
        if not math.isfinite(loss):
            raise DivergedError(f"the loss became {loss} in epoch {progress.epoch}, step {progress.step}")
        progress.loss_sum += loss * count
        progress.right += float(pending[1])
        progress.seen += count

    def close_epoch(self) -> None:
        """Validation, the epoch's line in the history, and a checkpoint, once all its steps are taken."""
        progress = self.progress
        start = time.perf_counter()
        probabilities = self.network.predict(self.state, self.data.validation, self.reader)
        labels, weights = self.data.validation.labels, self.settings.class_weights
        loss, accuracy = score(probabilities, labels, weights)
        balanced = None
        if weights is not None:
            accuracy = score(probabilities, labels)[1]
            balanced = score(probabilities, labels, balanced_weights(labels, len(weights)))[1]
        epoch = Epoch(
            epoch=progress.epoch,
            loss=progress.loss_sum / progress.seen,
            accuracy=progress.right / progress.seen,
            validation_loss=loss,
            validation_accuracy=accuracy,
            seconds=progress.seconds,
            validation_seconds=time.perf_counter() - start,
            validation_balanced_accuracy=balanced,
        )
        progress.history.append(epoch)
        if self._improves(epoch):
            progress.best_epoch = epoch.epoch
            if self.settings.protocol == "standard":
                self.best = self.network.weights(self.state)
        progress.epoch += 1
        progress.step = progress.seen = 0
        progress.loss_sum = progress.right = progress.seconds = 0.0
        self.save()
        if self.folder is not None:
            write_history(self.folder, tuple(progress.history))
        self.report({"event": "epoch", **epoch.model_dump()})
        if self.should_stop() and not self.finished():
            raise StoppedError

    def _improves(self, epoch: Epoch) -> bool:
        """Whether an epoch beats the best so far: by validation accuracy, then by validation loss.

        With class weights it is balanced accuracy: plain accuracy would prefer the largest class again.
        """
        if not self.progress.best_epoch:
            return True
        best = self.progress.history[self.progress.best_epoch - 1]
        return _merit(epoch) > _merit(best)

    def _tell_step(self, num_steps: int) -> None:
        progress = self.progress
        if progress.seen:
            self.report(
                {
                    "event": "step",
                    "epoch": progress.epoch,
                    "step": progress.step,
                    "steps": num_steps,
                    "loss": progress.loss_sum / progress.seen,
                    "accuracy": progress.right / progress.seen,
                }
            )

    def save(self) -> None:
        """Writes a checkpoint, where there is a folder."""
        if self.folder is None:
            return
        tensors: dict[str, NDArray[Any]] = {}
        for group in ("trainable", "fixed", "optimizer"):
            for index, value in enumerate(getattr(self.state, group)):
                tensors[f"{group}/{index}"] = np.asarray(value)
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        save_checkpoint(self.folder, Checkpoint(tensors, self.progress.facts()))

    def resume(self) -> None:
        """Goes on from the last checkpoint, if there is one."""
        import jax.numpy as jnp

        found = None if self.folder is None else load_checkpoint(self.folder)
        if found is None:
            return
        groups = {}
        for group in ("trainable", "fixed", "optimizer"):
            count = len(getattr(self.state, group))
            groups[group] = [jnp.array(found.tensors[f"{group}/{index}"]) for index in range(count)]
        self.state = State(**groups)
        self.best = {name[5:]: value for name, value in found.tensors.items() if name.startswith("best/")}
        self.progress = Progress.from_facts(found.facts)
        self.report({"event": "resumed", "epoch": self.progress.epoch, "damaged": list(found.damaged)})


def _merit(epoch: Epoch) -> tuple[float, float]:
    accuracy = epoch.validation_balanced_accuracy
    return (epoch.validation_accuracy if accuracy is None else accuracy, -epoch.validation_loss)
