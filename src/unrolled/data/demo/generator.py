"""The embedded corpus: film reviews whose true verdict is known word by word."""

from __future__ import annotations

from typing import Final

import numpy as np

from unrolled.data.content import content_digest
from unrolled.data.demo.plan import Recipe, plan_review
from unrolled.data.demo.stream import Stream
from unrolled.data.demo.truth import reach_best_accuracy
from unrolled.data.demo.writer import write_review
from unrolled.errors import UsageError
from unrolled.types import Annotation, Dataset, Split

CLASSES: Final = ("negative", "positive")
DEFAULT_RECIPE: Final = Recipe()
SHORTEST_MEDIAN: Final = 8

# Labels are flipped by quota in blocks of so many reviews, so that a finite part has the noise it is said to.
NOISE_BLOCK: Final = 100

_PROBABILITY_BITS = 53


def generate_demo(
    *,
    train: int = 6000,
    validation: int = 1000,
    test: int = 2000,
    seed: int = 0,
    label_noise: float = 0.04,
    median_words: int = 48,
    recipe: Recipe = DEFAULT_RECIPE,
) -> Dataset:
    """A generated corpus of film reviews with the role of every word and the evidence of every review.

    The same arguments give the same bytes on every machine. Review ``k`` of a part depends on the seed, the
    part, ``k`` and what reviews look like, never on how many are asked for: a larger corpus continues a
    smaller one. Of the digest, texts and labels are the content; annotations follow from the texts.

    Args:
        train: number of reviews to learn from.
        validation: number of reviews to choose on.
        test: number of reviews that are read once.
        seed: any integer; different seeds give unrelated corpora from one grammar.
        label_noise: share of flipped labels, in [0, 0.5); in every hundred reviews, not only on average.
        median_words: median length of a review, 8 or more; IMDb's is 174.
        recipe: how often each phenomenon occurs.

    Returns:
        Texts with annotations; ``best_accuracy`` is the expected accuracy of a perfect reader,
        ``1 - label_noise``.

    Raises:
        UsageError: a number out of range.

    >>> reviews = generate_demo(train=2, validation=1, test=1)
    >>> len(reviews.train), reviews.best_accuracy
    (2, 0.96)
    """
    best_accuracy = reach_best_accuracy(label_noise)
    for name, value, least in (
        ("train", train, 1),
        ("validation", validation, 0),
        ("test", test, 0),
        ("median_words", median_words, SHORTEST_MEDIAN),
    ):
        if value < least:
            raise UsageError("demo", f"number too small (got {name}={value})", expected=f"{least} or more")
    # Scaling by a power of two is exact, so the rate is the same integer everywhere.
    noise_rate = int(label_noise * (1 << _PROBABILITY_BITS))
    sizes = {"train": train, "validation": validation, "test": test}
    parts = {
        name: _generate_split(Stream.keyed(seed, place).bits(), size, noise_rate, median_words, recipe)
        for place, (name, size) in enumerate(sizes.items())
    }
    return Dataset(
        name="demo",
        classes=CLASSES,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        sha256=content_digest(CLASSES, parts),
        best_accuracy=best_accuracy,
    )


def _generate_split(key: int, size: int, noise_rate: int, median_words: int, recipe: Recipe) -> Split:
    texts: list[str] = []
    annotations: list[Annotation] = []
    labels = np.empty(size, np.int32)
    flipped: set[int] = set()
    for index in range(size):
        if index % NOISE_BLOCK == 0:
            flipped = _choose_flipped(key, index // NOISE_BLOCK, noise_rate)
        stream = Stream.keyed(key, index)
        text, annotation = write_review(stream, recipe, plan_review(stream, recipe, median_words))
        texts.append(text)
        annotations.append(annotation)
        labels[index] = annotation.label ^ (index in flipped)
    return Split(labels, texts=texts, annotations=annotations)


def _choose_flipped(key: int, block: int, noise_rate: int) -> set[int]:
    """The reviews of a block whose labels are flipped, as many as keep the running share nearest the rate."""
    start = block * NOISE_BLOCK
    first, last = (_round_share(index * noise_rate) for index in (start, start + NOISE_BLOCK))
    places = list(range(start, start + NOISE_BLOCK))
    # A key that no review has: reviews count from 0.
    Stream.keyed(key, -1 - block).shuffle(places)
    return set(places[: last - first])


def _round_share(scaled: int) -> int:
    return (2 * scaled + (1 << _PROBABILITY_BITS)) >> (_PROBABILITY_BITS + 1)
