"""Gradient through time: how fast the loss's gradient shrinks or grows on its way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unrolled.errors import UsageError
from unrolled.evidence.behaviour.intervals import Interval, pool, to_curve
from unrolled.evidence.behaviour.recurrence import Sensitivity, measure_sensitivity, read_recurrence
from unrolled.evidence.behaviour.sampling import generator, longest_reviews
from unrolled.evidence.findings import Curve, Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Logits, Subject
from unrolled.types import DoubleArray, EncodedSplit, IntArray

NUM_REVIEWS = 32
# Reviews are drawn from the longest quarter: a decay is read off a long way back.
LONGEST_SHARE = 0.25
# A contribution this much smaller than the last step's is rounded away when float32 adds the two up.
NOISE = float(np.finfo(np.float32).eps)
FEWEST_STEPS = 5
# Over the length of a review, a change by less than this factor either way is called stable.
STABLE_FACTOR = 100.0
# Float32 kernels and the float64 loop may differ by rounding; more means that they compute two things.
LARGEST_STATE_ERROR = 1e-2

Behaviour = Literal["vanishing", "stable", "exploding"]


@dataclass(frozen=True, slots=True)
class Decay:
    """How a gradient changes on its way back through time.

    Args:
        factor: by which its norm is multiplied per step back, with its 95% interval.
        standard_error: of the factor.
        num_steps: steps that the fit rests on.
        noise_steps: steps back at which it is lost in float32's rounding; None if never.
        behaviour: its name.
    """

    factor: Interval
    standard_error: float
    num_steps: int
    noise_steps: int | None
    behaviour: Behaviour


def fit_decay(norms: DoubleArray) -> Decay:
    """The decay per step: a straight line through the logarithms of each review's norms.

    Steps of one review are not independent, so the error comes from the spread of slopes between reviews and
    runs. Steps whose gradient is lost in rounding are left out of the fit.

    Args:
        norms: float64, shape (runs, reviews, steps), step 0 is the last one.

    >>> fit_decay(0.5 ** np.arange(10.0) * np.ones((1, 4, 1))).factor.mean
    0.5
    """
    logs = np.log(np.maximum(norms, np.finfo(np.float64).tiny))
    course = logs.mean(axis=(0, 1))
    below = np.flatnonzero(course < course.max() + np.log(NOISE))
    behind_peak = below[below > course.argmax()]
    noise_steps = int(behind_peak[0]) if len(behind_peak) else None
    count = max(noise_steps if noise_steps is not None else len(course), min(FEWEST_STEPS, len(course)))
    steps = np.arange(count) - (count - 1) / 2
    slopes = (logs[:, :, :count] * steps).sum(axis=2) / max(float((steps * steps).sum()), 1.0)
    slope = pool(slopes)
    ends = [None if end is None else float(np.exp(end)) for end in (slope.low, slope.high)]
    factor = Interval(round(float(np.exp(slope.mean)), 12), *ends)
    reviews = slopes.mean(axis=0)
    error = reviews.var(ddof=1) / len(reviews) if len(reviews) > 1 else 0.0
    if len(slopes) > 1:
        error += slopes.mean(axis=1).var(ddof=1) / len(slopes)
    return Decay(
        factor,
        float(factor.mean * np.sqrt(error)),
        count,
        noise_steps,
        name_behaviour(factor, norms.shape[2]),
    )


def name_behaviour(factor: Interval, num_steps: int) -> Behaviour:
    """What a decay does to a gradient over ``num_steps``.

    >>> name_behaviour(Interval(0.9, 0.89, 0.91), 200)
    'vanishing'
    """
    change = num_steps * np.log(max(factor.mean, np.finfo(np.float64).tiny))
    if change < -np.log(STABLE_FACTOR) and (factor.high is None or factor.high < 1):
        return "vanishing"
    if change > np.log(STABLE_FACTOR) and (factor.low is None or factor.low > 1):
        return "exploding"
    return "stable"


@register_measure("gradients", "How the loss's gradient decays on its way back, before and after training")
def measure_gradients(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every recurrent model."""
    rows = longest_reviews(study.data.test, max(NUM_REVIEWS, int(len(study.data.test) * LONGEST_SHARE)))
    chosen = np.sort(generator("gradients").permutation(rows)[:NUM_REVIEWS])
    reviews = study.data.test.take(chosen)
    for subject in study.subjects:
        if "cell" in type(subject.spec).model_fields:
            yield _measure(subject, reviews)


def _measure(subject: Subject, reviews: EncodedSplit) -> Finding:
    tokens = subject.pad(reviews.tokens)
    found: dict[tuple[str, str, str], list[DoubleArray]] = {}
    error = 0.0
    for run, fitted in enumerate(subject.fitted):
        fresh = subject.logits_function.initial(fitted.plan.training.seed)
        for when, weights in (("before", fresh), ("after", subject.weights(run))):
            parts, wrong = trace_gradients(subject.logits_function, weights, tokens, reviews.labels)
            error = max(error, wrong)
            for part in parts:
                found.setdefault((part.layer, part.state, when), []).append(part.norms)
    return _report(subject, {key: _common_steps(np.stack(norms)) for key, norms in found.items()}, error)


def trace_gradients(
    network: Logits, weights: list[Any], tokens: IntArray, labels: IntArray
) -> tuple[list[Sensitivity], float]:
    """The gradient norms of a network on padded ``tokens``, and how far the loop's logits are off its own.

    Raises:
        UsageError: the network has a layer that the loop does not reproduce.
    """
    layers = network.model.layers
    recurrent = [place for place, layer in enumerate(layers) if _is_recurrent(layer)]
    expected = network(weights, tokens)
    if network.spec.padding == "masked":
        # Nothing happens on columns that are padding in every review.
        tokens = tokens[:, tokens.any(axis=0)]
    with network.scope(weights):
        front, mask = network.before(tokens, layers[: recurrent[0]])
        inputs = np.asarray(front)
        kept = np.ones(inputs.shape[:2], bool) if mask is None else np.asarray(mask)
        recurrence = read_recurrence([layers[place] for place in recurrent], layers[-1])
    found, logits = measure_sensitivity(recurrence, inputs, kept, labels)
    error = float(np.abs(logits - expected[:, -logits.shape[1] :]).max())
    if not error <= LARGEST_STATE_ERROR * max(1.0, float(np.abs(expected).max())):
        raise UsageError(
            "gradients",
            f"the step-by-step reference and the network disagree (got error={error:.3g})",
            expected=f"an error below {LARGEST_STATE_ERROR}",
            action="a model of the zoo, or --only without gradients",
        )
    return found, error


def _is_recurrent(layer: Any) -> bool:
    return hasattr(layer, "forward_layer") or hasattr(layer, "cell")


def _common_steps(norms: DoubleArray) -> DoubleArray:
    """The steps that all reviews have, so that every point of a curve rests on the same reviews."""
    return norms[:, :, ~np.isnan(norms).any(axis=(0, 1))]


def _report(subject: Subject, found: dict[tuple[str, str, str], DoubleArray], error: float) -> Finding:
    # The layer nearest the loss, reading forwards, is the one that speaks for the model.
    headline = [layer for layer, _, _ in found if not layer.endswith("/backward")][-1]
    values: dict[str, Value] = {}
    curves: dict[str, Curve] = {}
    rows: list[tuple[Value, ...]] = []
    for (layer, state, when), norms in found.items():
        decay = fit_decay(norms)
        factor = decay.factor
        row = (layer, state, when, factor.mean, factor.low, factor.high, decay.standard_error)
        rows.append((*row, decay.behaviour))
        name = f"{state}_{when}" if layer == headline else f"{layer}.{state}_{when}"
        curves[name] = _curve(norms, state)
        if layer == headline:
            prefix = "cell_" if state == "cell" else ""
            values |= factor.values(f"{prefix}decay_{when}")
            # The three names of the interval end in _low and _high; the error stands beside them.
            values[f"{prefix}decay_{when}_standard_error"] = decay.standard_error
            values[f"{prefix}behaviour_{when}"] = decay.behaviour
            values[f"{prefix}noise_steps_{when}"] = decay.noise_steps
            values[f"{prefix}fit_steps_{when}"] = decay.num_steps
    first = next(iter(found.values()))
    values |= {
        "layer": headline,
        "num_steps": first.shape[2],
        "num_reviews": first.shape[1],
        "state_error": error,
    }
    return Finding(
        measure="gradients",
        model=subject.name,
        num_seeds=len(subject.runs),
        values=values,
        curves=curves,
        tables={
            "layers": Table(
                columns=("layer", "state", "when", "decay", "low", "high", "standard_error", "behaviour"),
                rows=tuple(rows),
            )
        },
        reference=(
            f"A gradient that neither shrinks nor grows has a decay of 1 per step. Norms on {first.shape[1]} "
            f"long test reviews, {first.shape[2]} steps back; the loop they come from is at most "
            f"{error:.1g} off the model's logits. Called stable: less than a factor of "
            f"{STABLE_FACTOR:.0f} over these steps, or an interval that holds 1."
        ),
    )


def _curve(norms: DoubleArray, state: str) -> Curve:
    logs = np.log(np.maximum(norms, np.finfo(np.float64).tiny))
    points = []
    for step in range(logs.shape[2]):
        found = pool(logs[:, :, step])
        ends = [None if end is None else float(np.exp(end)) for end in (found.low, found.high)]
        points.append(Interval(float(np.exp(found.mean)), *ends))
    return to_curve(
        "steps before the last", f"norm of the loss's gradient, {state} state", range(len(points)), points
    )
