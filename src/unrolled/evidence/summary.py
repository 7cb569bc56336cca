"""A study's runs → its results: every figure of ``results.json``, and the sentences on who wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from unrolled.errors import DataError
from unrolled.evidence.choice import pareto_front
from unrolled.evidence.cost import count_flops
from unrolled.evidence.machine import describe_machine
from unrolled.evidence.results import (
    SCHEMA,
    Accuracy,
    Comparison,
    DatasetFacts,
    MachineFacts,
    ModelResults,
    PairFacts,
    Seconds,
    StudyResults,
)
from unrolled.evidence.scores import score_classes
from unrolled.evidence.statistics import LEVEL, Tournament, compare_models, estimate_mean
from unrolled.evidence.verdicts import write_verdicts
from unrolled.models import parse_spec
from unrolled.models.build import outline_model
from unrolled.training.record import PREDICTIONS, WEIGHTS, Latency
from unrolled.training.study import Run, Study
from unrolled.types import BoolArray, FloatArray


def summarise_study(study: Study) -> StudyResults:
    """Everything that a study's finished runs show.

    Raises:
        DataError: a run's predictions do not fit the test part.
    """
    data = study.data
    by_name: dict[str, list[Run]] = {}
    for run in study.runs():
        by_name.setdefault(run.plan.model["architecture"], []).append(run)
    models = tuple(
        _with_scores(_summarise_model(name, runs, study.protocol), runs, study)
        for name, runs in by_name.items()
    )
    tournament = _compare(models, by_name, study)
    if tournament is not None:
        models = tuple(
            model.model_copy(update={"letters": tournament.letters.get(model.name, "")}) for model in models
        )
    machine = describe_machine()
    results = StudyResults(
        schema_name=SCHEMA,
        protocol=study.protocol,
        dataset=DatasetFacts(
            name=data.name,
            classes=data.classes,
            train=len(data.train),
            validation=len(data.validation),
            test=len(data.test),
            sha256=data.sha256,
            best_accuracy=data.best_accuracy,
            notices=data.notices,
        ),
        machine=MachineFacts(
            processor=machine.processor,
            cores=machine.cores,
            memory_bytes=machine.memory_bytes,
            system=machine.system,
            python=machine.python,
            packages=dict(machine.packages),
        ),
        models=models,
        front=pareto_front(models),
        comparison=None if tournament is None else _comparison_facts(tournament),
        verdicts=(),
    )
    return results.model_copy(update={"verdicts": write_verdicts(results)})


def _summarise_model(name: str, runs: Sequence[Run], protocol: str) -> ModelResults:
    done = [run.record for run in runs if run.record is not None and run.record.status == "done"]
    failures = tuple(
        f"seed {run.record.seed}: {run.record.status}, {run.record.reason}"
        for run in runs
        if run.record is not None and run.record.status != "done"
    )
    if not done:
        statuses = {run.record.status for run in runs if run.record is not None}
        status: Literal["diverged", "failed", "pending"] = "pending"
        if statuses:
            status = "diverged" if statuses == {"diverged"} else "failed"
        return ModelResults(name=name, status=status, failures=failures)
    histories = [run.history for run in runs if run.record is not None and run.record.status == "done"]
    seconds = [second for record in done for second in record.seconds_per_epoch]
    latencies = [record.latency_ms for record in done if record.latency_ms is not None]
    best = None
    if protocol == "notebook":
        best = _accuracy([max(epoch.validation_accuracy for epoch in history) for history in histories])
    return ModelResults(
        name=name,
        status="done",
        parameters=done[0].parameters,
        flops_per_sequence=_flops(runs[0]),
        test_accuracy=_accuracy([record.test_accuracy or 0.0 for record in done]),
        best_epoch_test_accuracy=best,
        epochs=tuple(len(history) for history in histories),
        seconds_per_epoch=Seconds(median=float(np.median(seconds)), values=tuple(seconds)),
        compile_seconds=float(np.median([record.compile_seconds or 0.0 for record in done])),
        peak_memory_bytes=max(record.peak_memory_bytes or 0 for record in done),
        latency_ms=Latency(
            p50=float(np.median([latency.p50 for latency in latencies])),
            p95=float(np.median([latency.p95 for latency in latencies])),
        ),
        weights_bytes=_weights_bytes(runs),
        training_seconds=float(np.median([sum(record.seconds_per_epoch) for record in done])),
        failures=failures,
    )


def _weights_bytes(runs: Sequence[Run]) -> int | None:
    """Size of a run's weights on disk, the largest over seeds; None where the files were deleted."""
    paths = [run.folder / WEIGHTS for run in runs]
    return max((path.stat().st_size for path in paths if path.exists()), default=None)


def _with_scores(model: ModelResults, runs: Sequence[Run], study: Study) -> ModelResults:
    """The row with the figures that take the test part's predictions."""
    labels = study.data.test.labels
    scores = [score_classes(found, labels) for found in _predictions(runs, study)]
    if not scores:
        return model
    return model.model_copy(
        update={
            "balanced_accuracy": _accuracy([found.balanced_accuracy for found in scores]),
            "macro_f1": _accuracy([found.macro_f1 for found in scores]),
        }
    )


def _accuracy(values: Sequence[float]) -> Accuracy:
    found = estimate_mean(values)
    return Accuracy(mean=found.mean, ci95=found.interval, values=found.values)


def _flops(run: Run) -> int | None:
    spec = parse_spec(run.plan.model)
    if not spec.neural:
        return None
    return sum(layer.flops for layer in count_flops(outline_model(spec)))


def _right(runs: Sequence[Run], study: Study) -> BoolArray:
    """Which test items the finished runs of a model got right, bool, shape (runs, items)."""
    labels = study.data.test.labels
    return np.array([found.argmax(axis=1) == labels for found in _predictions(runs, study)], bool)


def _predictions(runs: Sequence[Run], study: Study) -> list[FloatArray]:
    """Test probabilities of a model's finished runs, each float32, shape (items, classes)."""
    labels = study.data.test.labels
    found = []
    for run in runs:
        if run.record is None or run.record.status != "done":
            continue
        probabilities = np.load(run.folder / PREDICTIONS, allow_pickle=False)
        if probabilities.shape != (len(labels), len(study.data.classes)):
            raise DataError(
                str(run.folder / PREDICTIONS),
                f"does not fit the test part (got shape={probabilities.shape})",
                expected=f"({len(labels)}, {len(study.data.classes)})",
                action="delete the run's folder and run again",
            )
        found.append(probabilities)
    return found


def _compare(
    models: Sequence[ModelResults], by_name: Mapping[str, Sequence[Run]], study: Study
) -> Tournament | None:
    """Every finished model against every other; None where there are fewer than two."""
    done = [model.name for model in models if model.test_accuracy is not None]
    if len(done) < 2:
        return None
    return compare_models(
        {name: _right(by_name[name], study) for name in done},
        deterministic=[name for name in done if not parse_spec(by_name[name][0].plan.model).neural],
    )


def _comparison_facts(tournament: Tournament) -> Comparison:
    level = LEVEL / len(tournament.pairs)
    return Comparison(
        scope=tournament.scope,
        smallest_difference=tournament.smallest_difference,
        pairs=tuple(
            PairFacts(
                first=pair.first,
                second=pair.second,
                difference=pair.difference.mean,
                interval=pair.difference.interval,
                p_value=pair.difference.p_value,
                adjusted_p_value=pair.adjusted_p_value,
                scope=pair.difference.scope,
                method=pair.difference.method,
                smallest_difference=pair.difference.smallest_detectable(level=level),
            )
            for pair in tournament.pairs
        ),
    )
