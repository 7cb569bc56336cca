"""This package's side of a benchmark: ``python -m unrolled.benchmark.ours [--seeds N] [SWITCH ...]``."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import Any

import numpy as np

from unrolled.benchmark.peers.wire import memory_bytes, read_job, serve
from unrolled.types import EncodedSplit, Ragged, SequenceBatch

# Steps on real batches before the first round.
WARM_STEPS = 4


class Trainer:
    """One network, trained round by round on the batches of a job, as the engine trains it.

    Args:
        without: tricks to do without.
        seeds: on a GPU, networks that are trained side by side.
    """

    def __init__(self, without: list[str], seeds: int = 1) -> None:
        self.without, self.seeds = without, seeds
        self.passes: Any = None

    def start(self, job: str, helped: bool) -> dict[str, Any]:
        """Builds the network and compiles it for every padded length; then it has the job's weights."""
        from unrolled.training.batching import Batcher
        from unrolled.training.device import computes_on_gpu
        from unrolled.training.memory import give_back_freed_memory

        self._load(job)
        facts = self.job.facts
        edges = tuple(facts["edges"]) if "lengths" not in self.without else (facts["length"],)
        self.batcher = Batcher(self.spec, facts["batch"], edges)
        if computes_on_gpu():
            return self._start_passes()
        blank = self.batcher.blank(self.split, edges[0])
        self.network.compile_kernels(self.network.initial_state(), blank)
        for length in edges:
            self.state = self._first_state()
            self._step(self.batcher.blank(self.split, length))
        give_back_freed_memory()
        # As the peers do: the first real steps touch memory that later ones find in place.
        for number in range(min(WARM_STEPS, self.job.num_batches)):
            self._step(self._batch(number))
        self.state = self._first_state()
        return {"note": ""}

    def _start_passes(self) -> dict[str, Any]:
        """The batches as programs of many steps on the device."""
        from unrolled.benchmark.on_device import Passes

        batches = [np.asarray(self.job.rows(number)) for number in range(self.job.num_batches)]
        self.passes = Passes(self.network, self.split, self.batcher, batches, self.seeds)
        # The first pass compiles.
        for _ in range(2):
            self.passes.reset([self._first_state() for _ in range(self.seeds)])
            self.passes.run()
        self.passes.reset([self._first_state() for _ in range(self.seeds)])
        return {"note": f"{self.seeds} seeds in one program, time for each" if self.seeds > 1 else ""}

    def rates(self) -> dict[str, Any]:
        """What a GPU can do, and its name."""
        from unrolled.benchmark.on_device import device_name, measure_device_rates

        return {"device": device_name(), **asdict(measure_device_rates())}

    def round(self) -> dict[str, Any]:
        """One pass over the batches: seconds, making them included, and the loss of each step."""
        if self.passes is not None:
            from unrolled.benchmark.on_device import device_bytes

            seconds, found = self.passes.run()
            return {"seconds": seconds, "losses": found, "device_bytes": device_bytes()}
        losses: list[float] = []
        pending = None
        begun = time.perf_counter()
        for number in range(self.job.num_batches):
            batch = self._batch(number)
            if pending is not None:
                losses.append(float(pending))
            self.state, loss, _ = self.network.step(self.state, batch)
            pending = loss
        losses.append(float(pending))  # type: ignore[arg-type]
        return {"seconds": time.perf_counter() - begun, "losses": losses}

    def start_inference(self, job: str) -> dict[str, Any]:
        """The network for the rows of a job, one at a time and in bulk."""
        from unrolled.training.batching import Batcher

        self._load(job)
        self.state = self._first_state()
        edges = tuple(self.job.facts["edges"])
        self.single = Batcher(self.spec, 1, edges)
        self.batcher = Batcher(self.spec, self.job.facts["batch"], edges)
        for length in edges:
            for batcher in (self.single, self.batcher):
                self.network.probabilities(self.state, batcher.blank(self.split, length).tokens)
        return {}

    def one(self, way: str, items: list[int]) -> dict[str, Any]:
        """Milliseconds of each answer for a single sequence, padding included."""
        times = []
        for item in items:
            begun = time.perf_counter()
            batch = self.single.batch(self.split, np.array([item]))
            self.network.probabilities(self.state, batch.tokens)
            times.append((time.perf_counter() - begun) * 1e3)
        return {"ms": times}

    def bulk(self) -> dict[str, Any]:
        """Seconds for all rows, and the probability of the last class."""
        begun = time.perf_counter()
        found = self.network.predict(self.state, self.split, self.batcher)
        return {"seconds": time.perf_counter() - begun, "outputs": found[:, -1].tolist()}

    def scale(self, spec: dict[str, Any], batch: int, steps: int) -> dict[str, Any]:
        """Seconds of training steps on rows without padding, and the memory before and at its most."""
        from unrolled.models import parse_spec
        from unrolled.training.network import Network

        parsed = parse_spec(spec)
        network = Network(parsed, seed=0, learning_rate=1e-3)
        state = network.initial_state()
        resting = memory_bytes("VmRSS")
        random = np.random.default_rng(0)
        tokens = random.integers(1, parsed.vocabulary_size, (batch, parsed.length)).astype(np.int32)
        labels = (np.arange(batch) % 2).astype(np.int32)
        sequences = SequenceBatch(tokens, labels, np.ones(batch, np.float32))
        times = []
        for _ in range(steps + 2):
            begun = time.perf_counter()
            state, loss, _ = network.step(state, sequences)
            float(loss)
            times.append(time.perf_counter() - begun)
        return {"compile_seconds": times[0], "seconds": times[2:], "resting_bytes": resting}

    def _batch(self, number: int) -> SequenceBatch:
        return self.batcher.batch(self.split, np.asarray(self.job.rows(number)))

    def _step(self, batch: SequenceBatch) -> None:
        self.state, loss, _ = self.network.step(self.state, batch)
        float(loss)

    def _load(self, folder: str) -> None:
        from unrolled.benchmark.switches import switch_off
        from unrolled.models import parse_spec

        fused = switch_off(self.without)
        from unrolled.training.network import Network

        self.job = read_job(folder)
        self.split = EncodedSplit(Ragged(self.job.values, self.job.offsets), self.job.labels)
        self.spec = parse_spec(self.job.facts["spec"])
        self.network = Network(self.spec, seed=0, learning_rate=self.job.facts["learning_rate"], fused=fused)

    def _first_state(self) -> Any:
        import jax.numpy as jnp

        from unrolled.training.network import State

        state = self.network.initial_state()
        # Copies: a step consumes what it is given.
        weights = [jnp.array(array, copy=True) for array in self.job.weights]
        return State(weights, state.fixed, state.optimizer)


def main() -> None:
    """Serves requests."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("without", nargs="*")
    given = parser.parse_args()
    trainer = Trainer(given.without, given.seeds)
    names = ("start", "rates", "round", "start_inference", "one", "bulk", "scale")
    serve({name: getattr(trainer, name) for name in names})


if __name__ == "__main__":
    main()
