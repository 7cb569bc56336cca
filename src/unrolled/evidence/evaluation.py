"""A trained model against labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unrolled.evidence.scores import score_classes
from unrolled.training.network import score
from unrolled.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class: how many of its items were found, and how many that were called so are.

    Args:
        name: the label.
        total: items of the class.
        right: of those, labelled so.
        precision: share of the items labelled so that are; NaN when nothing was.
    """

    name: str
    total: int
    right: int
    precision: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracy with its 95% interval over items (Wilson), cross-entropy in nats, and the classes.

    Balanced accuracy and macro-F1 as in :class:`unrolled.evidence.scores.Scores`.
    """

    accuracy: float
    interval: tuple[float, float]
    loss: float
    num_items: int
    per_class: tuple[ClassResult, ...]
    balanced_accuracy: float
    macro_f1: float

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return asdict(self)


def evaluate_answers(
    probabilities: FloatArray, known: Sequence[str], given: IntArray, classes: Sequence[str]
) -> Evaluation:
    """How well answers fit the labels.

    Args:
        probabilities: float32, shape (items, classes that the model knows).
        known: their names.
        given: labels, int32, as places in ``classes``.
        classes: names in the data, all of them known; some may be missing, and the order may differ.
    """
    places = np.array([known.index(name) for name in classes])
    labels = places[given].astype(np.int32)
    loss, accuracy = score(probabilities, labels)
    chosen = probabilities.argmax(axis=1)
    per_class = []
    for index, name in enumerate(known):
        right = int(((chosen == index) & (labels == index)).sum())
        called = int((chosen == index).sum())
        precision = right / called if called else float("nan")
        per_class.append(ClassResult(name, int((labels == index).sum()), right, precision))
    scores = score_classes(probabilities, labels)
    return Evaluation(
        accuracy=accuracy,
        interval=wilson_interval(accuracy, len(labels)),
        loss=loss,
        num_items=len(labels),
        per_class=tuple(per_class),
        balanced_accuracy=scores.balanced_accuracy,
        macro_f1=scores.macro_f1,
    )


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share observed on ``count`` items (Wilson, 1927).

    >>> low, high = wilson_interval(0.5, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    z = 1.959964
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))
