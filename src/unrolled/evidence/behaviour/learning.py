"""Learning: the curves, the gap between training and validation, calibration, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from unrolled.evidence.behaviour.calibration import Calibration, calibrate, fit_temperature, softmax
from unrolled.evidence.behaviour.intervals import Interval, pool, to_curve
from unrolled.evidence.behaviour.sampling import generator, sample_reviews
from unrolled.evidence.evaluation import wilson_interval
from unrolled.evidence.findings import Curve, Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject, to_logits
from unrolled.training.record import Epoch
from unrolled.types import DoubleArray, EncodedSplit, IntArray

MOST_VALIDATION = 1000
NUM_MISTAKES = 10
_CURVES = {
    "train_accuracy": ("accuracy", "accuracy"),
    "validation_accuracy": ("validation_accuracy", "accuracy"),
    "train_loss": ("loss", "loss in nats"),
    "validation_loss": ("validation_loss", "loss in nats"),
}


@register_measure("learning", "Learning curves, overfitting gap, calibration, confusion, surest mistakes")
def measure_learning(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model."""
    for subject in study.subjects:
        yield _measure(subject)


def _measure(subject: Subject) -> Finding:
    test = subject.data.test
    probabilities = subject.test_probabilities().astype(np.float64)
    before, after, temperature, rows = _calibrate(subject, probabilities)
    chosen = [max(run.record.chosen_epoch or 1, 1) if run.record else 1 for run in subject.runs]
    histories = [run.history for run in subject.runs]
    gaps = [history[epoch - 1] for history, epoch in zip(histories, chosen, strict=True)]
    fitted_on = "half of the test part" if rows < len(test) else "validation reviews"
    error, chance = before.error, before.chance
    return Finding(
        measure="learning",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            **_gap(gaps).values("gap"),
            **_gap([history[-1] for history in histories]).values("gap_last"),
            "temperature": temperature,
            **_figures(before, "before"),
            **_figures(after, "after"),
            "chosen_epoch": float(np.mean(chosen)),
            "num_reviews": rows,
        },
        curves={
            **_course(histories),
            "reliability_before": _reliability(before),
            "reliability_after": _reliability(after),
        },
        tables={
            "confusion": _confusion(probabilities, test.labels, subject.data.classes),
            "mistakes": _mistakes(probabilities.mean(axis=0), test.labels, subject.data.classes),
        },
        reference=(
            f"On {rows} test reviews a perfectly calibrated model shows an error of {chance:.3f} by chance, "
            f"above {before.chance_high:.3f} in 5 of 100 cases; this one shows {error:.3f}. The temperature "
            f"is fitted on {fitted_on}. A gap of 0 means as good on reviews it has not seen."
        ),
    )


def _gap(epochs: Sequence[Epoch]) -> Interval:
    return pool(np.array([[epoch.accuracy - epoch.validation_accuracy] for epoch in epochs]))


def _calibrate(subject: Subject, probabilities: DoubleArray) -> tuple[Calibration, Calibration, float, int]:
    """Calibration before and after temperature scaling, the mean temperature, and how many items it rests on.

    Where validation is the test part itself, every second item fits the temperature and the others judge it.
    """
    data = subject.data
    if data.validation is data.test:
        fit, judge = slice(0, None, 2), slice(1, None, 2)
        logits, labels = to_logits(probabilities[:, fit]), data.test.labels[fit]
    else:
        judge = slice(None)
        sample = _validation(data.validation)
        logits, labels = subject.logits(sample.tokens), sample.labels
    temperatures = np.array([fit_temperature(each, labels) for each in logits])
    judged = probabilities[:, judge]
    scaled = softmax(to_logits(judged) / temperatures[:, None, None])
    # Every run speaks for itself: their items are put side by side, as means would be a model of their own.
    truth = data.test.labels[judge]
    random = generator("learning")
    before, after = (_over_runs(each, truth, random) for each in (judged, scaled))
    return before, after, float(temperatures.mean()), len(truth)


def _validation(split: EncodedSplit) -> EncodedSplit:
    if len(split) <= MOST_VALIDATION:
        return split
    return sample_reviews(split, "learning", most=MOST_VALIDATION)


def _over_runs(probabilities: DoubleArray, labels: IntArray, random: np.random.Generator) -> Calibration:
    """Calibration errors averaged over runs; the bins of all runs together for the curve."""
    each = [calibrate(run, labels, random) for run in probabilities]
    together = calibrate(
        probabilities.reshape(-1, probabilities.shape[2]), np.tile(labels, len(probabilities)), random
    )
    error, chance, high = (
        float(np.mean([getattr(one, name) for one in each])) for name in ("error", "chance", "chance_high")
    )
    return Calibration(error, chance, high, together.confidence, together.share_right, together.count)


def _figures(found: Calibration, when: str) -> dict[str, Value]:
    return {
        f"ece_{when}": found.error,
        f"ece_chance_{when}": found.chance,
        f"ece_chance_high_{when}": found.chance_high,
        f"is_calibrated_{when}": found.is_calibrated,
    }


def _reliability(found: Calibration) -> Curve:
    ends = [
        wilson_interval(float(share), int(count))
        for share, count in zip(found.share_right, found.count, strict=True)
    ]
    points = [
        Interval(float(share), low, high) for share, (low, high) in zip(found.share_right, ends, strict=True)
    ]
    return to_curve("mean confidence", "share right", found.confidence.tolist(), points)


def _course(histories: Sequence[Sequence[Epoch]]) -> dict[str, Curve]:
    """Curves over epochs: the mean of the runs that got so far, with their interval."""
    longest = max(len(history) for history in histories)
    found = {}
    for name, (field, label) in _CURVES.items():
        points = [
            pool(
                np.array([[getattr(history[epoch], field)] for history in histories if len(history) > epoch])
            )
            for epoch in range(longest)
        ]
        found[name] = to_curve("epoch", label, range(1, longest + 1), points)
    return found


def _confusion(probabilities: DoubleArray, labels: IntArray, classes: Sequence[str]) -> Table:
    """Counts over all runs together; shares are of the true class."""
    size = len(classes)
    answers = probabilities.argmax(axis=2)
    cells = np.bincount((labels * size + answers).ravel(), minlength=size * size).reshape(size, size)
    rows: list[tuple[Value, ...]] = [
        (
            classes[truth],
            classes[answer],
            int(cells[truth, answer]),
            float(cells[truth, answer] / max(cells[truth].sum(), 1)),
        )
        for truth in range(size)
        for answer in range(size)
    ]
    return Table(columns=("true", "predicted", "count", "share"), rows=tuple(rows))


def _mistakes(probabilities: DoubleArray, labels: IntArray, classes: Sequence[str]) -> Table:
    """The surest of the wrong answers, by the mean of all runs: rows of the test part, no text."""
    answers = probabilities.argmax(axis=1)
    confidence = np.where(answers == labels, -1.0, probabilities.max(axis=1))
    rows: list[tuple[Value, ...]] = [
        (int(row), classes[labels[row]], classes[answers[row]], float(confidence[row]))
        for row in np.argsort(-confidence, kind="stable")[:NUM_MISTAKES]
        if confidence[row] >= 0
    ]
    return Table(columns=("index", "true", "predicted", "probability"), rows=tuple(rows))
