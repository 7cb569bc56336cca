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

_PROBABILITY_BITS = 53


def generate_demo(
    *,
    train: int = 6000,
    validation: int = 1000,
    test: int = 2000,
    seed: int = 0,
    label_noise: float = 0.04,
    median_words: int = 40,
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
        label_noise: probability in [0, 0.5) with which a label is flipped.
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
    # Scaling by a power of two is exact, so the threshold is the same integer everywhere.
    threshold = int(label_noise * (1 << _PROBABILITY_BITS))
    sizes = {"train": train, "validation": validation, "test": test}
    parts = {
        name: _generate_split(Stream.keyed(seed, place).bits(), size, threshold, median_words, recipe)
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


def _generate_split(key: int, size: int, threshold: int, median_words: int, recipe: Recipe) -> Split:
    texts: list[str] = []
    annotations: list[Annotation] = []
    labels = np.empty(size, np.int32)
    for index in range(size):
        stream = Stream.keyed(key, index)
        # Drawn first, so that the noise of a review does not hang on what it says.
        is_flipped = stream.below(1 << _PROBABILITY_BITS) < threshold
        text, annotation = write_review(stream, recipe, plan_review(stream, recipe, median_words))
        texts.append(text)
        annotations.append(annotation)
        labels[index] = annotation.label ^ is_flipped
    return Split(labels, texts=texts, annotations=annotations)
