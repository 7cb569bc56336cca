"""Calibration against a literal count, and temperatures that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.evidence.behaviour.calibration import NUM_BINS, calibrate, fit_temperature, softmax


def literal_error(probabilities, labels) -> float:
    """Guo et al. 2017, eq. 3, bin by bin and item by item."""
    total = 0.0
    for number in range(NUM_BINS):
        members = []
        for row, label in zip(probabilities, labels, strict=True):
            confidence = max(row)
            if number / NUM_BINS < confidence <= (number + 1) / NUM_BINS:
                members.append((confidence, float(int(np.argmax(row)) == label)))
        if members:
            confidence = sum(member[0] for member in members) / len(members)
            accuracy = sum(member[1] for member in members) / len(members)
            total += len(members) / len(labels) * abs(accuracy - confidence)
    return total


def draw(rng, count, classes, scale=1.0):
    """Logits, and labels that follow their softmax exactly."""
    logits = rng.normal(0, 1.5, (count, classes))
    chances = softmax(logits)
    labels = (rng.random(count)[:, None] > chances.cumsum(axis=1)).sum(axis=1).astype(np.int32)
    return scale * logits, labels


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_error_is_the_literal_one(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits, labels = draw(rng, 500, classes, scale=2.0)
    probabilities = softmax(logits)
    found = calibrate(probabilities, labels, rng)
    assert found.error == pytest.approx(literal_error(probabilities, labels), abs=1e-12)
    assert found.count.sum() == 500


def test_an_overconfident_model_is_told_from_a_calibrated_one() -> None:
    rng = np.random.default_rng(0)
    alarms = []
    for _ in range(60):
        logits, labels = draw(rng, 400, 2)
        alarms.append(not calibrate(softmax(logits), labels, rng).is_calibrated)
    assert np.mean(alarms) <= 0.15, "5% of 60, and room for chance"
    logits, labels = draw(rng, 2000, 2, scale=3.0)
    found = calibrate(softmax(logits), labels, rng)
    assert not found.is_calibrated
    assert found.error > 3 * found.chance


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_temperature_undoes_a_scale(scale: float) -> None:
    rng = np.random.default_rng(1)
    logits, labels = draw(rng, 20_000, 3, scale=scale)
    assert fit_temperature(logits, labels) == pytest.approx(scale, rel=0.05)


def test_temperature_never_changes_the_answer_and_lowers_the_loss() -> None:
    rng = np.random.default_rng(2)
    logits, labels = draw(rng, 800, 4, scale=5.0)
    scaled = logits / fit_temperature(logits, labels)
    assert (scaled.argmax(axis=1) == logits.argmax(axis=1)).all()

    def loss(values):
        return -np.log(softmax(values)[np.arange(800), labels]).mean()

    # A grid as a slow second opinion.
    assert loss(scaled) <= min(loss(logits / each) for each in np.geomspace(0.2, 20, 200)) + 1e-6
