"""What a run shows on its test part, for the card of its export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.source import RunSource


@dataclass(frozen=True, slots=True)
class Figures:
    """What the test part shows.

    Args:
        accuracy: share of items right.
        interval: its 95% interval over items (Wilson).
        balanced_accuracy: mean over classes of the share of their items found.
        macro_f1: mean of the classes' F1.
        loss: mean cross-entropy in nats.
        largest_class: share of the most frequent class: what guessing it would reach.
        per_class: name, items, recall, precision.
        unknown_share: share of test words that the model reads as unknown.
        cut_share: share of test items longer than what the model reads.
    """

    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    loss: float
    largest_class: float
    per_class: tuple[tuple[str, int, float, float], ...]
    unknown_share: float
    cut_share: float


def measure(source: RunSource) -> Figures | None:
    """The figures by the run's own answers on the test part; None for a run that keeps no data."""
    from scipy.stats import binomtest

    if source.data is None or source.probabilities is None:
        return None
    test, size = source.data.test, len(source.classes)
    chosen = source.probabilities.argmax(axis=1)
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (test.labels, chosen), 1)
    right, total, called = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
    recall, precision = _ratio(right, total), _ratio(right, called)
    interval = binomtest(int(right.sum()), len(test)).proportion_ci(method="wilson")
    likely = source.probabilities[np.arange(len(test)), test.labels].astype(np.float64)
    words = test.tokens.values[test.tokens.values > 1]
    unknown = (words >= source.spec.vocabulary_size) | (words == 2)
    return Figures(
        accuracy=float(right.sum() / len(test)),
        interval=(float(interval.low), float(interval.high)),
        balanced_accuracy=float(recall.mean()),
        macro_f1=float(_ratio(2 * right, total + called).mean()),
        loss=float(-np.log(np.clip(likely, 1e-7, 1.0)).mean()),
        largest_class=float(total.max() / len(test)),
        per_class=tuple(
            (name, int(total[place]), float(recall[place]), float(precision[place]))
            for place, name in enumerate(source.classes)
        ),
        unknown_share=float(unknown.mean()) if len(words) else 0.0,
        cut_share=float((test.tokens.lengths > source.spec.length).mean()),
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(part / np.maximum(whole, 1), np.float64)
