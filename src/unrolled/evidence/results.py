"""A study's results: the document that becomes ``results.json``, and the sentence on who wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from unrolled.errors import DataError
from unrolled.evidence.choice import pareto_front
from unrolled.evidence.cost import count_flops
from unrolled.evidence.machine import describe_machine
from unrolled.evidence.scores import score_classes
from unrolled.evidence.statistics import LEVEL, Tournament, compare_models, estimate_mean
from unrolled.models import parse_spec
from unrolled.models.build import outline_model
from unrolled.training.record import PREDICTIONS, WEIGHTS, Latency
from unrolled.training.study import Run, Study
from unrolled.types import BoolArray, FloatArray

SCHEMA = "unrolled.results/1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetFacts(_Part):
    """The corpus: sizes of its parts, digest, what is known of it."""

    name: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    sha256: str
    best_accuracy: float | None
    notices: tuple[str, ...]


class MachineFacts(_Part):
    """The machine, as :class:`unrolled.types.Machine`."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    packages: dict[str, str]


class Accuracy(_Part):
    """Accuracy over seeds; ``ci95`` is None for a single run."""

    mean: float
    ci95: tuple[float, float] | None
    values: tuple[float, ...]


class Seconds(_Part):
    """Training seconds per epoch, over all epochs of all seeds, without compilation and validation."""

    median: float
    values: tuple[float, ...]


class ModelResults(_Part):
    """One row of the table.

    Args:
        name: registry name.
        status: "done", or why there are no figures.
        parameters: weights, counted as numbers.
        flops_per_sequence: forward pass at full length; None for a model that is no network.
        test_accuracy: with the weights that the protocol keeps.
        balanced_accuracy: mean over classes of the share found, as :class:`unrolled.evidence.scores.Scores`.
        macro_f1: mean of the classes' F1, likewise.
        best_epoch_test_accuracy: at each run's best epoch on test; only under ``notebook``, which
            validates on test and so has chosen with it: an optimistic figure.
        epochs: epochs trained, per seed.
        seconds_per_epoch: training time.
        compile_seconds: median over seeds.
        peak_memory_bytes: largest over seeds.
        latency_ms: medians over seeds.
        weights_bytes: size of the weights on disk.
        training_seconds: training time over all epochs, median over seeds.
        letters: models that share a letter cannot be told apart; "" where nothing was compared.
        failures: what went wrong, per run that has no figures.
    """

    name: str
    status: Literal["done", "diverged", "failed", "pending"]
    parameters: int | None = None
    flops_per_sequence: int | None = None
    test_accuracy: Accuracy | None = None
    balanced_accuracy: Accuracy | None = None
    macro_f1: Accuracy | None = None
    best_epoch_test_accuracy: Accuracy | None = None
    epochs: tuple[int, ...] = ()
    seconds_per_epoch: Seconds | None = None
    compile_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latency_ms: Latency | None = None
    weights_bytes: int | None = None
    training_seconds: float | None = None
    letters: str = ""
    failures: tuple[str, ...] = ()


class PairFacts(_Part):
    """Two models on the same test items, the more accurate first; see :mod:`unrolled.evidence.statistics`."""

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float
    scope: Literal["trained_models", "architectures"]
    method: Literal["mcnemar", "seeds_and_items"]
    smallest_difference: float


class Comparison(_Part):
    """Every pair of a study's models.

    Args:
        scope: "architectures" when the noise of seeds is in every comparison, else "trained_models".
        smallest_difference: the true difference between two models that such a study finds in 80% of cases,
            all pairs considered; the median over neighbours in the ranking.
        pairs: most accurate models first.
    """

    scope: Literal["trained_models", "architectures"]
    smallest_difference: float
    pairs: tuple[PairFacts, ...]

    def pair(self, first: str, second: str) -> PairFacts:
        """The figures on two models, whichever is ahead."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {first, second})


class StudyResults(_Part):
    """What ``results.json`` holds."""

    schema_name: str
    protocol: Literal["standard", "notebook"]
    dataset: DatasetFacts
    machine: MachineFacts
    models: tuple[ModelResults, ...]
    front: tuple[str, ...] = ()
    comparison: Comparison | None = None
    verdicts: tuple[str, ...]

    def to_json(self) -> str:
        """The document as JSON, with the key ``schema`` first."""
        text = self.model_dump_json(indent=1)
        return text.replace('"schema_name"', '"schema"', 1) + "\n"


def summarise_study(study: Study) -> StudyResults:
    """Everything that a study's finished runs show.

    Raises:
        DataError: a run's predictions do not fit the test part.
    """
    from unrolled.evidence.verdicts import write_verdicts

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
