"""Plain sentences on a study: who wins, whether that is real, and what the study could not have seen."""

from __future__ import annotations

from collections.abc import Sequence

from unrolled.evidence.results import Comparison, ModelResults, PairFacts, StudyResults
from unrolled.evidence.statistics import LEVEL

MORE_SEEDS = "run again with --seeds 3"


def write_verdicts(results: StudyResults) -> tuple[str, ...]:
    """The sentences that a study's figures support, the most important first."""
    ranked = sorted(
        (model for model in results.models if model.test_accuracy is not None), key=lambda m: -_mean(m)
    )
    sentences = []
    if results.comparison is not None:
        sentences.append(_winner(ranked, results.comparison, results.dataset.test))
        sentences.append(_reach(ranked, results.comparison))
    best = results.dataset.best_accuracy
    if ranked and best is not None:
        sentences.append(
            f"No classifier can be expected above {best:.3f} on this corpus; "
            f"{ranked[0].name} reaches {_mean(ranked[0]):.3f}."
        )
    for model in results.models:
        if model.failures:
            sentences.append(f"{model.name}: {'; '.join(model.failures)}.")
    return tuple(sentences)


def _winner(ranked: Sequence[ModelResults], comparison: Comparison, num_items: int) -> str:
    """Who is ahead, and of what that may be said: the architectures, these trained models, or neither."""
    first, second = ranked[:2]
    pair = comparison.pair(first.name, second.name)
    measured = _measured(pair, first, second, num_items)
    if len(comparison.pairs) > 1:
        measured += (
            f"; p = {_p_value(pair.adjusted_p_value)}, corrected for {len(comparison.pairs)} comparisons"
        )
    equal = [
        other.name
        for other in ranked[1:]
        if comparison.pair(first.name, other.name).adjusted_p_value >= LEVEL
    ]
    lead = f"{first.name} leads with {_mean(first):.3f}"
    if pair.scope == "architectures":
        if not equal:
            return (
                f"{first.name} wins with {_mean(first):.3f}, ahead of {second.name}: the difference is real "
                f"({measured})."
            )
        return f"{lead}, but {_told_apart(equal, len(ranked))} ({measured})."
    if not equal:
        return (
            f"{lead}, and these trained models do differ ({measured}). That is no verdict on architectures: "
            f"a single run cannot be told from luck with the seed; {MORE_SEEDS}."
        )
    return (
        f"{lead}, but {_told_apart(equal, len(ranked))} ({measured}). A single run says nothing about other "
        f"seeds, so this is about these trained models and not about architectures; {MORE_SEEDS}."
    )


def _told_apart(equal: Sequence[str], num_models: int) -> str:
    if len(equal) == num_models - 1 and num_models > 2:
        return "it cannot be told apart from any other model"
    return f"it cannot be told apart from {_listed(equal)}"


def _measured(pair: PairFacts, first: ModelResults, second: ModelResults, num_items: int) -> str:
    counts = [len(model.test_accuracy.values) if model.test_accuracy else 0 for model in (first, second)]
    runs = " and ".join(
        f"{count} {'run' if count == 1 else 'runs'} of {model.name}"
        for count, model in zip(counts, (first, second), strict=True)
    )
    low, high = pair.interval
    apart = f"{pair.difference:.3f} apart on {num_items:,} test items"
    return f"{runs}: {apart}, 95% interval {low:.3f} to {high:.3f}"


def _p_value(value: float) -> str:
    return "0.001 or less" if value <= 0.001 else f"{value:.2g}"


def _reach(ranked: Sequence[ModelResults], comparison: Comparison) -> str:
    """What the study could not have seen: without it, "no difference" says nothing."""
    first, second = (model.name for model in ranked[:2])
    smallest = comparison.pair(first, second).smallest_difference
    return (
        f"Between {first} and {second}, 8 of 10 such studies would find a true difference of {smallest:.3f}; "
        "a smaller one would mostly go unseen."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _mean(model: ModelResults) -> float:
    return model.test_accuracy.mean if model.test_accuracy else 0.0
