"""Which reviews a measure looks at, and the figures that chance alone would give on them."""

from __future__ import annotations

import numpy as np

from unrolled.types import EncodedSplit, LongArray

MOST_REVIEWS = 400
FEWEST_REVIEWS = 100
TOKENS = 30_000
"""About so many tokens are sampled: a measure then takes as long on long reviews as on short ones."""


def generator(measure: str) -> np.random.Generator:
    """Random numbers of a measure's own, the same in every analysis."""
    return np.random.Generator(np.random.PCG64(list(measure.encode())))


def sample_reviews(split: EncodedSplit, measure: str, *, most: int = MOST_REVIEWS) -> EncodedSplit:
    """Some reviews of a split, the same for every model; all of them where they are few.

    Args:
        split: where to draw from, without replacement.
        measure: names the random numbers.
        most: draw no more than that; fewer where reviews are long.
    """
    mean = max(float(split.tokens.lengths.mean()), 1.0)
    count = min(most, max(FEWEST_REVIEWS, int(TOKENS / mean)), len(split))
    return split.take(np.sort(generator(measure).permutation(len(split))[:count]))


def longest_reviews(split: EncodedSplit, count: int) -> LongArray:
    """Rows of the ``count`` longest reviews of a split, int64, longest first."""
    return np.argsort(-split.tokens.lengths, kind="stable")[:count]


def chance_accuracy(split: EncodedSplit) -> float:
    """What whoever always names the commonest class of ``split`` gets right."""
    return float(np.bincount(split.labels).max() / max(len(split), 1))
