"""Intervals over seeds, paired comparisons on the same test items, and what may be said of many models."""

from unrolled.evidence.statistics.comparison import LEVEL, Difference, compare_accuracy
from unrolled.evidence.statistics.correction import adjust_holm, assign_letters
from unrolled.evidence.statistics.means import Estimate, estimate_mean
from unrolled.evidence.statistics.tournament import PairResult, Tournament, compare_models

__all__ = [
    "LEVEL",
    "Difference",
    "Estimate",
    "PairResult",
    "Tournament",
    "adjust_holm",
    "assign_letters",
    "compare_accuracy",
    "compare_models",
    "estimate_mean",
]
