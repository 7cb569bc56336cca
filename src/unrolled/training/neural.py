"""A network's run: train, keep the weights, measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.models import ModelSpec
from unrolled.training.engine import DivergedError, Engine, Event, Trained
from unrolled.training.finish import measure_latency, write_predictions, write_weights
from unrolled.training.memory import peak_memory_bytes
from unrolled.training.network import score
from unrolled.training.record import Latency, RunPlan, RunRecord, read_history, write_history
from unrolled.types import EncodedDataset

Report = Callable[[dict[str, Any]], None]


def train_neural(
    folder: Path,
    plan: RunPlan,
    spec: ModelSpec,
    data: EncodedDataset,
    *,
    report: Report,
    should_stop: Callable[[], bool],
) -> RunRecord:
    """Trains a network as planned; see :func:`unrolled.training.worker.train_run`."""
    engine = Engine(
        folder,
        spec,
        plan.training,
        data,
        report=lambda event: report(dict(event)),
        should_stop=should_stop,
    )
    try:
        trained: Trained | DivergedError = engine.run()
    except DivergedError as error:
        trained = error
    return _record(folder, engine, plan, trained)


def train_together(
    runs: Sequence[tuple[Path, RunPlan]],
    spec: ModelSpec,
    data: EncodedDataset,
    *,
    report: Report,
    should_stop: Callable[[], bool],
    keep: Callable[[Path, RunRecord], None],
) -> None:
    """Trains networks that differ in nothing but their seed side by side, on the device that JAX computes on.

    Args:
        runs: folder and plan of each.
        spec: of all.
        data: of all.
        report: receives progress events with the ``run_id`` that each is about.
        should_stop: asked between programs.
        keep: receives the folder and the record of each run when it ends.
    """
    from unrolled.training.cohort import Cohort

    def tell(run_id: str) -> Callable[[Event], None]:
        return lambda event: report({**event, "run_id": run_id})

    engines = [Engine(folder, spec, plan.training, data, report=tell(plan.run_id)) for folder, plan in runs]

    def finish(number: int, end: Trained | DivergedError) -> None:
        folder, plan = runs[number]
        keep(folder, _record(folder, engines[number], plan, end))

    Cohort(engines, finish, should_stop=should_stop).run()


def _record(folder: Path, engine: Engine, plan: RunPlan, trained: Trained | DivergedError) -> RunRecord:
    """Writes what a run leaves behind, and says what became of it."""
    data = engine.data
    begun: dict[str, Any] = {
        "run_id": plan.run_id,
        "architecture": engine.network.spec.architecture,
        "seed": plan.training.seed,
        "parameters": engine.network.num_parameters,
    }
    if isinstance(trained, DivergedError):
        return RunRecord(
            **begun, status="diverged", reason=str(trained), peak_memory_bytes=peak_memory_bytes()
        )
    # Killed between the last checkpoint and here, the history file may be one epoch behind.
    if len(read_history(folder)) != len(trained.progress.history):
        write_history(folder, tuple(trained.progress.history))
    peak = peak_memory_bytes()
    weights_sha256 = write_weights(folder, trained.network.weights(trained.state))
    write_predictions(folder, trained.test_probabilities)
    test_loss, test_accuracy = score(trained.test_probabilities, data.test.labels)
    return RunRecord(
        **begun,
        status="done",
        chosen_epoch=trained.progress.best_epoch,
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        weights_sha256=weights_sha256,
        compile_seconds=trained.compile_seconds,
        seconds_per_epoch=tuple(epoch.seconds for epoch in trained.progress.history),
        peak_memory_bytes=peak,
        latency_ms=_latency(engine, trained, data),
    )


def _latency(engine: Engine, trained: Trained, data: EncodedDataset) -> Latency:
    """Time per sequence at batch size 1, padding included, on the first hundred test items."""
    batcher = type(engine.batcher)(engine.batcher.spec, 1, engine.batcher.lengths)
    count = min(100, len(data.test))

    def call(item: int) -> None:
        batch = batcher.batch(data.test, np.array([item]))
        trained.network.probabilities(trained.state, batch.tokens)

    for length in batcher.lengths:
        trained.network.probabilities(trained.state, np.zeros((1, length), np.int32))
    return measure_latency(call, count)
