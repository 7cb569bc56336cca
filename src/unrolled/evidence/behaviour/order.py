"""Order: what is lost when the words of a review change places."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unrolled.evidence.behaviour.intervals import Interval, pool, pool_share, to_curve
from unrolled.evidence.behaviour.sampling import chance_accuracy, generator, sample_reviews
from unrolled.evidence.findings import Finding
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.types import EncodedSplit, Ragged

NUM_SHUFFLES = 2
MOST_REVIEWS = 300
WINDOWS = (2, 4, 8, 16, 32, 64, 128, 256)
START = 1


def shuffle_words(tokens: Ragged, window: int | None, random: np.random.Generator) -> Ragged:
    """Every sequence with its words in random order within consecutive windows.

    The start token, where there is one, keeps its place: it is no word of the review.

    Args:
        tokens: the sequences.
        window: words per window; None for the whole sequence.
        random: where the orders come from.
    """
    lengths = tokens.lengths
    place = np.arange(len(tokens.values)) - np.repeat(tokens.offsets[:-1], lengths)
    is_start = (place == 0) & (tokens.values == START)
    has_start = np.zeros(len(tokens), np.int64)
    first = tokens.offsets[:-1][lengths > 0]
    has_start[lengths > 0] = tokens.values[first] == START
    block = np.zeros_like(place) if window is None else (place - np.repeat(has_start, lengths)) // window
    block[is_start] = -1
    row = np.repeat(np.arange(len(tokens)), lengths)
    # Sorting by row, window and a random number shuffles within windows and moves nothing across them.
    order = np.lexsort((random.random(len(place)), block, row))
    return Ragged(tokens.values[order], tokens.offsets)


@register_measure("order", "Accuracy after shuffling words, in all or within windows")
def measure_order(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model."""
    reviews = sample_reviews(study.data.test, "order", most=MOST_REVIEWS)
    # A window longer than most reviews shuffles them whole, as is done anyway.
    windows = tuple(window for window in WINDOWS if window < np.median(reviews.tokens.lengths))
    random = generator("order")
    shuffled = {
        window: [shuffle_words(reviews.tokens, window, random) for _ in range(NUM_SHUFFLES)]
        for window in (*windows, None)
    }
    for subject in study.subjects:
        yield _measure(subject, reviews, shuffled)


def _measure(subject: Subject, reviews: EncodedSplit, shuffled: dict[int | None, list[Ragged]]) -> Finding:
    as_written = subject.right(reviews).astype(np.float64)
    accuracies: dict[int | None, Interval] = {1: pool_share(as_written)}
    drops: dict[int | None, Interval] = {1: Interval(0.0, 0.0, 0.0)}
    for window, versions in shuffled.items():
        rights = np.stack([subject.right(EncodedSplit(each, reviews.labels)) for each in versions])
        right = rights.mean(axis=0)
        # Every review has shuffles of its own, so the spread over reviews holds that of shuffling.
        accuracies[window], drops[window] = pool_share(right), pool(as_written - right)
    windows = [window for window in accuracies if window is not None]
    drop, chance = drops[None], chance_accuracy(reviews)
    return Finding(
        measure="order",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            **accuracies[1].values("accuracy"),
            **accuracies[None].values("accuracy_shuffled"),
            **drop.values("drop"),
            "order_matters": drop.excludes_zero and drop.mean > 0,
            "chance": chance,
            "num_reviews": len(reviews),
            "num_shuffles": NUM_SHUFFLES,
        },
        curves={
            "accuracy": to_curve(
                "words per shuffled window", "accuracy", windows, [accuracies[window] for window in windows]
            ),
            "drop": to_curve(
                "words per shuffled window", "accuracy lost", windows, [drops[window] for window in windows]
            ),
        },
        reference=(
            f"Words in their own order lose nothing, and a model that ignores order loses nothing when they "
            f"are shuffled; always naming the commonest class scores {chance:.3f}. The same {len(reviews)} "
            f"test reviews before and after, {NUM_SHUFFLES} shuffles each; 95% intervals over reviews, "
            "each shuffled in its own way, and seeds where there are several."
        ),
    )
