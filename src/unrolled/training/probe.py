"""A process that measures how fast one run would go: ``python -m unrolled.training.probe FOLDER``.

It reads ``run.json`` as a worker does, trains a few steps, writes nothing, and prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from unrolled.models import ModelSpec
from unrolled.training.record import RunPlan, read_plan
from unrolled.types import EncodedDataset

STEPS = 3
BASELINE_TEXTS = 4_000
# Calls that measure a finished run's latency; see unrolled.training.finish.
LATENCY_CALLS = 220


def probe_run(folder: Path) -> dict[str, float]:
    """Seconds that the run planned in ``folder`` takes: ``fixed`` once, ``epoch`` for each epoch.

    ``work`` is what the probe itself spent after its libraries were loaded; what its process took beside
    that, a run's process takes too.
    """
    from unrolled.data.storage import load_encoded
    from unrolled.models import parse_spec

    start = time.perf_counter()
    plan = read_plan(folder)
    data, spec = load_encoded(folder / plan.data), parse_spec(plan.model)
    measure = _probe_network if spec.neural else _probe_baseline
    loading = time.perf_counter() - start
    fixed, epoch = measure(spec, plan, data)
    return {"fixed": fixed + loading, "epoch": epoch, "work": time.perf_counter() - start}


def _probe_network(spec: ModelSpec, plan: RunPlan, data: EncodedDataset) -> tuple[float, float]:
    from unrolled.training.engine import Engine

    # The first engine fills the cache of compiled programs; a run then finds them, as the second one does.
    Engine(None, spec, plan.training, data).compile()
    start = time.perf_counter()
    engine = Engine(None, spec, plan.training, data)
    engine.compile()
    fixed = time.perf_counter() - start
    batcher, reader, network = engine.batcher, engine.reader, engine.network
    steps = batcher.epoch_order(data.train, plan.training.seed, 1)
    by_length: dict[int, list[Any]] = {}
    counts: Counter[int] = Counter()
    for rows in steps:
        longest = int(data.train.tokens.lengths[rows].max(initial=0))
        length = next((edge for edge in batcher.lengths if edge >= longest), batcher.lengths[-1])
        counts[length] += 1
        by_length.setdefault(length, []).append(rows)
    epoch = 0.0
    state = engine.state
    for length, batches in by_length.items():
        times = []
        for rows in batches[: STEPS + 1]:
            begin = time.perf_counter()
            state, loss, _ = network.step(state, batcher.batch(data.train, rows))
            float(loss)
            times.append(time.perf_counter() - begin)
        epoch += counts[length] * float(np.median(times))

    def reading(split: Any) -> float:
        order = reader.reading_order(split)
        few = order[:: max(1, len(order) // STEPS)]
        begin = time.perf_counter()
        for rows in few:
            network.probabilities(state, reader.batch(split, rows).tokens)
        return (time.perf_counter() - begin) * len(order) / len(few)

    single = type(batcher)(spec, 1, batcher.lengths).blank(data.train, batcher.lengths[-1]).tokens
    begin = time.perf_counter()
    network.probabilities(state, single)
    compiled = time.perf_counter()
    network.probabilities(state, single)
    latency = (compiled - begin) * len(batcher.lengths) + (time.perf_counter() - compiled) * LATENCY_CALLS
    return fixed + reading(data.test) + latency, epoch + reading(data.validation)


def _probe_baseline(spec: ModelSpec, plan: RunPlan, data: EncodedDataset) -> tuple[float, float]:
    from unrolled.models.linear import LinearSpec, fit_linear

    # A sample that holds every class in its share: every k-th text of each.
    order = np.argsort(data.train.labels, kind="stable")
    chosen = order[:: max(1, len(order) // BASELINE_TEXTS)]
    split = data.train.take(chosen)
    import_module("sklearn.linear_model")
    import_module("scipy.sparse")
    begin = time.perf_counter()
    fit_linear(cast(LinearSpec, spec), split.tokens, split.labels, class_weights=plan.training.class_weights)
    share = len(split) / len(data.train)
    # Half as much again for reading all parts. The whole fit is its one epoch.
    return (time.perf_counter() - begin) / share * 1.5, 0.0


def main(arguments: list[str]) -> int:
    """Probes the run in the folder that ``arguments`` name; returns the exit status."""
    print(json.dumps(probe_run(Path(arguments[0]))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
