"""A trained model against labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unrolled.errors import DataError
from unrolled.evidence.scores import score_classes
from unrolled.training.fitted import FittedRun
from unrolled.training.network import score
from unrolled.types import Split


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


def evaluate_run(run: FittedRun, split: Split, classes: Sequence[str]) -> Evaluation:
    """How well ``run`` labels ``split``, whose labels index into ``classes``.

    Raises:
        DataError: nothing to measure on, or texts for a run that knows none.
    """
    if not len(split):
        raise DataError("evaluate", "there are no items", expected="at least one labelled item")
    tokens = run.encode(split.texts) if split.texts is not None else split.tokens
    if tokens is None:
        raise DataError("evaluate", "the data holds neither texts nor tokens")
    probabilities = run.predict_tokens(tokens)
    # The data may lack classes of the run, or list them in another order.
    places = np.array([run.plan.classes.index(name) for name in classes])
    labels = places[split.labels].astype(np.int32)
    loss, accuracy = score(probabilities, labels)
    chosen = probabilities.argmax(axis=1)
    per_class = []
    for index, name in enumerate(run.plan.classes):
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
