"""Calibration: whether a model that says 80% is right in 80 of 100 cases, and what one number can mend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.types import DoubleArray, IntArray

NUM_BINS = 15
NUM_SIMULATIONS = 400


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence and accuracy lie apart.

    Args:
        error: expected calibration error.
        chance: the error that a perfectly calibrated model shows on so many items, on average.
        chance_high: what it exceeds in 5 of 100 cases.
        confidence: mean confidence of each bin that holds items.
        share_right: share right in those bins.
        count: items in those bins.
    """

    error: float
    chance: float
    chance_high: float
    confidence: DoubleArray
    share_right: DoubleArray
    count: IntArray

    @property
    def is_calibrated(self) -> bool:
        """Whether the error is one that a perfectly calibrated model could show."""
        return self.error <= self.chance_high


def softmax(logits: DoubleArray) -> DoubleArray:
    """Probabilities along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def calibrate(probabilities: DoubleArray, labels: IntArray, random: np.random.Generator) -> Calibration:
    """The expected calibration error over 15 bins of equal width, beside what chance gives.

    The error of a finite sample is never 0: noise within the bins adds up. So outcomes are drawn with exactly
    the probabilities that the model states, and their error is the null reference. (Guo et al., "On
    calibration of modern neural networks", 2017, eq. 3.)

    Args:
        probabilities: shape (items, classes).
        labels: int32, shape (items,).
        random: for the outcomes drawn.
    """
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    # Bins are open on the left and closed on the right; a confidence is never 0.
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    drawn = (random.random((NUM_SIMULATIONS, len(labels))) < confidence).astype(np.float64)
    simulated = [_error(bins, confidence, outcome) for outcome in drawn]
    count = np.bincount(bins, minlength=NUM_BINS)
    held = count > 0
    return Calibration(
        error=_error(bins, confidence, right),
        chance=float(np.mean(simulated)),
        chance_high=float(np.quantile(simulated, 0.95)),
        confidence=np.bincount(bins, confidence, NUM_BINS)[held] / count[held],
        share_right=np.bincount(bins, right, NUM_BINS)[held] / count[held],
        count=count[held].astype(np.int32),
    )


def _error(bins: IntArray, confidence: DoubleArray, right: DoubleArray) -> float:
    return float(np.abs(np.bincount(bins, confidence - right, NUM_BINS)).sum() / len(right))


def fit_temperature(logits: DoubleArray, labels: IntArray) -> float:
    """The temperature T for which the softmax of ``logits / T`` explains ``labels`` best.

    One number cannot change which class is named, only how sure the model is of it.

    Args:
        logits: shape (items, classes).
        labels: int32, shape (items,).
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        highest = scaled.max(axis=1)
        total = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
        return float((total - scaled[np.arange(len(labels)), labels]).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(50.0)), method="bounded")
    return float(np.exp(found.x))
