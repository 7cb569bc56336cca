"""Memory: how far from the end a token may stand and still move the answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unrolled.evidence.behaviour.intervals import pool, to_curve
from unrolled.evidence.behaviour.sampling import generator, longest_reviews
from unrolled.evidence.findings import Finding
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.types import DoubleArray, IntArray, LongArray, Ragged

NUM_REVIEWS = 128
MOST_DISTANCES = 20
# Tokens up to this one hold no word: padding, start, unknown, unused.
LAST_RESERVED = 3
# Logits of float32 networks are trusted to this share of their size.
PRECISION = 1e-5


def choose_distances(longest: int) -> LongArray:
    """Distances from 0 to ``longest`` tokens from the end, closer together near the end.

    >>> choose_distances(10).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """
    spread = np.geomspace(1, longest + 1, MOST_DISTANCES) - 1
    steps = np.concatenate([np.arange(min(longest, 3) + 1), np.rint(spread)])
    if longest < MOST_DISTANCES:
        steps = np.arange(longest + 1)
    return np.unique(steps).astype(np.int64)


def replace_tokens(tokens: Ragged, distance: int, replacements: IntArray) -> Ragged:
    """The sequences with the token ``distance`` places before the last one exchanged.

    Args:
        tokens: each longer than ``distance``.
        distance: 0 for the last token.
        replacements: int32, shape (sequences,).
    """
    values = np.array(tokens.values)
    values[tokens.offsets[1:] - 1 - distance] = replacements
    return Ragged(values, tokens.offsets)


def log_odds(logits: DoubleArray, chosen: LongArray) -> DoubleArray:
    """Log-odds of class ``chosen`` (items,) against all others, from logits (…, items, classes)."""
    items = np.arange(logits.shape[-2])
    others = logits.copy()
    others[..., items, chosen] = -np.inf
    highest = others.max(axis=-1, keepdims=True)
    against = highest[..., 0] + np.log(np.exp(others - highest).sum(axis=-1))
    return np.asarray(logits[..., items, chosen] - against)


@register_measure("memory", "How far back replacing a token still moves the output")
def measure_memory(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model."""
    test = study.data.test
    rows = np.sort(longest_reviews(test, NUM_REVIEWS))
    reviews = test.take(rows)
    words = test.tokens.values[test.tokens.values > LAST_RESERVED]
    for subject in study.subjects:
        yield _measure(subject, reviews.tokens, words)


def _measure(subject: Subject, tokens: Ragged, words: IntArray) -> Finding:
    # A network that reads fewer steps than a review has never sees the tokens before them.
    longest = int(min(tokens.lengths.min(), subject.spec.length)) - 1
    # The first token of a whole review marks its start and is no word.
    distances = choose_distances(max(longest - 1, 0))
    random = generator("memory")
    base = subject.logits(tokens)
    chosen = base.mean(axis=0).argmax(axis=1)
    before = log_odds(base, chosen)
    replaced = [
        replace_tokens(tokens, int(distance), random.choice(words, len(tokens)).astype(np.int32))
        for distance in distances
    ]
    # In one go, since every call fills up its last batch.
    after = log_odds(subject.logits(_join(replaced)), np.tile(chosen, len(distances)))
    changes = np.abs(after.reshape(len(before), len(distances), len(tokens)) - before[:, None])
    points = [pool(changes[:, place]) for place in range(len(distances))]
    noise = PRECISION * max(1.0, float(np.abs(before).mean()))
    means = np.array([point.mean for point in points])
    lows = np.array([point.mean if point.low is None else point.low for point in points])
    moved = np.flatnonzero((means > noise) & (lows > 0))
    reach = int(distances[moved[-1]]) if len(moved) else None
    at_end = float(means[distances <= 3].mean())
    halved = np.flatnonzero((means < at_end / 2) & (distances > 3))
    return Finding(
        measure="memory",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            "reach_steps": reach,
            "reach_is_censored": bool(len(moved) and moved[-1] == len(distances) - 1),
            "half_steps": int(distances[halved[0]]) if len(halved) else None,
            "change_at_end": at_end,
            "noise": noise,
            "num_reviews": len(tokens),
            "num_steps": int(distances[-1]),
        },
        curves={
            "change": to_curve(
                "tokens from the end", "mean absolute change of the log-odds", distances.tolist(), points
            )
        },
        reference=(
            f"A change below {noise:.1g} is float32's own rounding. Each of the {len(tokens)} longest test "
            "reviews had one token at a time replaced by a random word of the test part; 95% intervals over "
            "reviews and, where there are several, seeds."
        ),
    )


def _join(parts: list[Ragged]) -> Ragged:
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(np.concatenate([part.values for part in parts]), offsets)
