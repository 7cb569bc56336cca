"""The linear baseline's run, under the same roof as the networks."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from unrolled.models import ModelSpec
from unrolled.models.linear import LinearSpec, fit_linear
from unrolled.training.finish import measure_latency, write_predictions, write_weights
from unrolled.training.memory import peak_memory_bytes
from unrolled.training.network import score
from unrolled.training.record import Epoch, RunPlan, RunRecord, write_history
from unrolled.types import EncodedDataset


def train_baseline(
    folder: Path,
    plan: RunPlan,
    spec: ModelSpec,
    data: EncodedDataset,
    *,
    report: Callable[[dict[str, Any]], None],
) -> RunRecord:
    """Fits the baseline once and measures it like a network; its whole fit counts as one epoch."""
    # Imported here, so that the time of the fit is not that of loading its libraries.
    import_module("sklearn.linear_model")
    import_module("scipy.sparse")
    start = time.perf_counter()
    weights = plan.training.class_weights
    model = fit_linear(cast(LinearSpec, spec), data.train.tokens, data.train.labels, class_weights=weights)
    seconds = time.perf_counter() - start
    loss, accuracy = score(model.predict_probabilities(data.train.tokens), data.train.labels)
    start = time.perf_counter()
    validation = score(model.predict_probabilities(data.validation.tokens), data.validation.labels)
    epoch = Epoch(
        epoch=1,
        loss=loss,
        accuracy=accuracy,
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        seconds=seconds,
        validation_seconds=time.perf_counter() - start,
    )
    report({"event": "epoch", **epoch.model_dump()})
    write_history(folder, (epoch,))
    probabilities = model.predict_probabilities(data.test.tokens)
    peak = peak_memory_bytes()
    write_predictions(folder, probabilities)
    test_loss, test_accuracy = score(probabilities, data.test.labels)
    count = min(100, len(data.test))
    singles = [data.test.tokens.take(np.array([item])) for item in range(count)]
    return RunRecord(
        run_id=plan.run_id,
        architecture=spec.architecture,
        seed=plan.training.seed,
        status="done",
        parameters=model.num_parameters,
        chosen_epoch=1,
        test_accuracy=test_accuracy,
        test_loss=test_loss,
        weights_sha256=write_weights(folder, model.weights_by_name()),
        compile_seconds=0.0,
        seconds_per_epoch=(seconds,),
        peak_memory_bytes=peak,
        latency_ms=measure_latency(lambda item: model.predict_probabilities(singles[item]), count),
    )
