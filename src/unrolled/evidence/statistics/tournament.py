"""All models of a study against each other: corrected verdicts, letters, and what the study could see."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from unrolled.errors import UsageError
from unrolled.evidence.statistics.comparison import (
    LEVEL,
    Difference,
    Scope,
    compare_runs,
    describe_runs,
)
from unrolled.evidence.statistics.correction import adjust_holm, assign_letters
from unrolled.types import BoolArray


@dataclass(frozen=True, slots=True)
class PairResult:
    """Two models of a study, the more accurate first.

    Args:
        first: registry name.
        second: registry name.
        difference: first minus second.
        adjusted_p_value: corrected for all pairs of the study (Holm).
    """

    first: str
    second: str
    difference: Difference
    adjusted_p_value: float

    @property
    def is_real(self) -> bool:
        """Whether the two can be told apart, all pairs considered, at the 5% level."""
        return self.adjusted_p_value < LEVEL


@dataclass(frozen=True, slots=True)
class Tournament:
    """Every pair of a study's models.

    Args:
        ranking: names, most accurate first.
        pairs: in the order of the ranking.
        letters: by name; models that share a letter cannot be told apart.
        scope: "architectures" when that is what all pairs compare.
        smallest_difference: the true difference that is found in 80% of such studies, all pairs considered;
            the median over neighbours in the ranking.
    """

    ranking: tuple[str, ...]
    pairs: tuple[PairResult, ...]
    letters: Mapping[str, str]
    scope: Scope
    smallest_difference: float

    def pair(self, first: str, second: str) -> PairResult:
        """The result of two models, whichever is ahead."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {first, second})


def compare_models(right: Mapping[str, BoolArray], *, deterministic: Collection[str] = ()) -> Tournament:
    """Every model against every other on the same test items.

    Each model's spread over seeds is its own. Pooled or shrunken variances would find more with three seeds,
    and call steady models different from an unsteady one in a quarter of studies where they are not.

    Args:
        right: by name, bool, shape (runs, items); whether each run got each item right.
        deterministic: names of models without randomness, whose single run says all.

    Raises:
        UsageError: fewer than two models, or models that do not share their items.
    """
    if len(right) < 2:
        raise UsageError(
            "compare_models", f"nothing to compare (got {len(right)} models)", expected="two or more"
        )
    if len({array.shape[1:] for array in right.values()}) > 1 or any(not a.size for a in right.values()):
        raise UsageError(
            "compare_models",
            f"shapes do not fit (got {', '.join(f'{name}={a.shape}' for name, a in right.items())})",
            expected="(runs, items) each, with the same items",
        )
    runs = {name: describe_runs(array, deterministic=name in deterministic) for name, array in right.items()}
    ranking = tuple(sorted(runs, key=lambda name: -runs[name].mean))
    couples = list(combinations(ranking, 2))
    differences = [compare_runs(runs[first], runs[second]) for first, second in couples]
    adjusted = adjust_holm([difference.p_value for difference in differences])
    pairs = tuple(
        PairResult(first, second, difference, p_value)
        for (first, second), difference, p_value in zip(couples, differences, adjusted, strict=True)
    )
    level = LEVEL / len(pairs)
    neighbours = set(pairwise(ranking))
    detectable = [
        pair.difference.smallest_detectable(level=level)
        for pair in pairs
        if (pair.first, pair.second) in neighbours
    ]
    return Tournament(
        ranking,
        pairs,
        assign_letters(ranking, [(pair.first, pair.second) for pair in pairs if pair.is_real]),
        "architectures" if all(model.knows_seeds for model in runs.values()) else "trained_models",
        float(np.median(detectable)),
    )
