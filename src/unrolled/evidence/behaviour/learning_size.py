"""Learning from less: accuracy against the number of training reviews."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np

from unrolled.evidence.behaviour.intervals import Interval, pool, pool_share, to_curve
from unrolled.evidence.behaviour.sampling import chance_accuracy
from unrolled.evidence.findings import Finding
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.models.linear import LinearSpec, fit_linear
from unrolled.training.engine import DivergedError, Engine
from unrolled.types import BoolArray, DoubleArray, EncodedDataset

FRACTIONS = (8, 4, 2)
FEWEST = 16


@register_measure(
    "learning_size", "Accuracy against the number of training reviews; trains anew", on_request=True
)
def measure_learning_size(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model: its first run's plan on an eighth, a quarter and half of the data."""
    for subject in study.subjects:
        yield _measure(subject)


def part_of(data: EncodedDataset, size: int, seed: int) -> EncodedDataset:
    """The corpus with ``size`` of its training reviews; a smaller part lies within every larger one."""
    order = np.random.Generator(np.random.PCG64([seed, len(data.train)])).permutation(len(data.train))
    return EncodedDataset(
        name=data.name,
        classes=data.classes,
        train=data.train.take(np.sort(order[:size])),
        validation=data.validation,
        test=data.test,
        vocabulary_size=data.vocabulary_size,
        sha256=data.sha256,
        notices=data.notices,
        best_accuracy=data.best_accuracy,
    )


def _measure(subject: Subject) -> Finding:
    data = subject.data
    whole = subject.test_probabilities()[:1].argmax(axis=2) == data.test.labels
    sizes = [len(data.train) // fraction for fraction in FRACTIONS if len(data.train) // fraction >= FEWEST]
    rights: list[DoubleArray | BoolArray | None] = [_train(subject, size) for size in sizes]
    points: list[Interval | None] = [
        None if right is None else pool_share(np.asarray(right, np.float64)) for right in rights
    ]
    known = [(size, point) for size, point in zip(sizes, points, strict=True) if point is not None]
    known.append((len(data.train), pool_share(whole)))
    half = rights[-1] if rights else None
    gain = Interval(0.0, None, None) if half is None else pool(whole.astype(np.float64) - half)
    chance = chance_accuracy(data.test)
    return Finding(
        measure="learning_size",
        model=subject.name,
        num_seeds=1,
        values={
            "accuracy_full": float(whole.mean()),
            "accuracy_half": None if half is None else float(half.mean()),
            **(gain.values("gain_of_doubling") if half is not None else {"gain_of_doubling": None}),
            "more_data_helps": gain.excludes_zero and gain.mean > 0,
            "num_diverged": sum(right is None for right in rights),
            "num_reviews": len(data.test),
        },
        curves={
            "accuracy": to_curve(
                "training reviews",
                "test accuracy",
                [size for size, _ in known],
                [point for _, point in known],
            )
        },
        reference=(
            f"Always naming the commonest class scores {chance:.3f}. One run for each size with the first "
            f"run's settings and seed, on parts that lie within each other; 95% intervals over the "
            f"{len(data.test)} test reviews, the gain on the same ones. Seed noise is not in them."
        ),
    )


def _train(subject: Subject, size: int) -> BoolArray | None:
    """Which test items the first run's plan gets right from ``size`` reviews, (1, items); None: diverged."""
    plan = subject.runs[0].plan
    data = part_of(subject.data, size, plan.training.seed)
    if not subject.spec.neural:
        model = fit_linear(cast(LinearSpec, subject.spec), data.train.tokens, data.train.labels)
        probabilities = model.predict_probabilities(data.test.tokens)
    else:
        with tempfile.TemporaryDirectory(prefix="unrolled-") as folder:
            try:
                trained = Engine(Path(folder), subject.spec, plan.training, data).run()
            except DivergedError:
                return None
        probabilities = trained.test_probabilities
    return np.asarray(probabilities.argmax(axis=1) == data.test.labels)[None]
