"""Labels that a model which never saw them contradicts with confidence: worth a second look by a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from unrolled.models import make_spec
from unrolled.models.linear import LinearSpec, fit_linear
from unrolled.types import FloatArray, IntArray, LongArray, Ragged

FOLDS = 5
MOST_TEXTS = 20_000
FEWEST_TEXTS = 20
UNLIKELY = 0.1


@dataclass(frozen=True, slots=True)
class DoubtfulLabel:
    """One label.

    Args:
        item: place of the text.
        label: the class it is given as.
        suggested: the class that the model takes it for.
        probability: what the model gives to ``label``.
    """

    item: int
    label: int
    suggested: int
    probability: float


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """The labels in doubt, the least likely first, among ``num_checked`` of the texts."""

    doubtful: tuple[DoubtfulLabel, ...]
    num_checked: int


def check_labels(tokens: Ragged, labels: IntArray, num_classes: int, *, seed: int = 0) -> LabelCheck:
    """Labels that the linear baseline, fitted to other folds, contradicts with confidence.

    Confident learning (Northcutt, Jiang & Chuang, 2021): a text is taken for another class only where that
    class gets at least the probability that its own members get on average, so that a class which is
    always uncertain accuses nobody. Its given label must get under 10% besides. A hard text that is
    labelled rightly can look the same: these are hints, not corrections.

    Args:
        tokens: the texts.
        labels: int32, shape (texts,).
        num_classes: how many classes there are.
        seed: which texts share a fold, and which are checked where there are more than 20,000.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = np.sort(random.permutation(len(tokens))[:MOST_TEXTS])
    tokens, labels = tokens.take(chosen), labels[chosen]
    if len(labels) < FEWEST_TEXTS or np.bincount(labels, minlength=num_classes).min() < FOLDS:
        return LabelCheck((), 0)
    probabilities = _out_of_fold(tokens, labels, num_classes, random)
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    usual = np.array([own[labels == label].mean() for label in range(num_classes)])
    others = np.where(probabilities >= usual, probabilities, -1.0)
    others[rows, labels] = -1.0
    suggested = others.argmax(axis=1)
    doubtful: LongArray = np.flatnonzero((others.max(axis=1) > own) & (own < UNLIKELY))
    doubtful = doubtful[np.argsort(own[doubtful], kind="stable")]
    return LabelCheck(
        tuple(
            DoubtfulLabel(int(chosen[row]), int(labels[row]), int(suggested[row]), float(own[row]))
            for row in doubtful
        ),
        len(labels),
    )


def _out_of_fold(
    tokens: Ragged, labels: IntArray, num_classes: int, random: np.random.Generator
) -> FloatArray:
    """Probabilities of every text by a model that was fitted without it, float32, shape (texts, classes)."""
    spec = cast(LinearSpec, make_spec("linear", classes=num_classes))
    mixed = random.permutation(len(labels))
    folds = np.empty(len(labels), np.int64)
    # Sorted by class, every fifth: each fold holds its share of every class.
    folds[mixed[np.argsort(labels[mixed], kind="stable")]] = np.arange(len(labels)) % FOLDS
    found = np.empty((len(labels), num_classes), np.float32)
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        model = fit_linear(spec, tokens.take(outside), labels[outside])
        found[inside] = model.predict_probabilities(tokens.take(inside))
    return found
