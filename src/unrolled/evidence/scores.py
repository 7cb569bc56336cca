"""Figures that a rare class can move: balanced accuracy and macro-F1, beside plain accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Scores:
    """How well classes are told apart, whatever their sizes.

    Args:
        accuracy: share of items labelled rightly.
        balanced_accuracy: mean over the classes that occur of the share of their items found; 1 / classes
            for whoever always says the same.
        macro_f1: mean of F1 over the classes that occur or were named, each the harmonic mean of precision
            and recall; 0 for a class that was never found.
        majority: share of the largest class: the accuracy of always naming it.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    majority: float


def score_classes(probabilities: FloatArray, labels: IntArray) -> Scores:
    """The scores of ``probabilities`` (items, classes) against ``labels`` (int32, shape (items,)).

    Opitz & Burst, "Macro F1 and Macro F1" (2019), call this mean of F1s the one to be preferred.
    """
    chosen = probabilities.argmax(axis=1)
    size = probabilities.shape[1]
    total = np.bincount(labels, minlength=size)
    named = np.bincount(chosen, minlength=size)
    right = np.bincount(labels[chosen == labels], minlength=size)
    occurs, met = total > 0, (total + named) > 0
    return Scores(
        accuracy=float(right.sum() / len(labels)),
        balanced_accuracy=float((right[occurs] / total[occurs]).mean()),
        macro_f1=float((2 * right[met] / (total + named)[met]).mean()),
        majority=float(total.max() / len(labels)),
    )
