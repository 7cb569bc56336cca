"""Length: who is right on long reviews, and how much of a review is worth reading."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unrolled.evidence.behaviour.intervals import Interval, pool, pool_share, to_curve
from unrolled.evidence.behaviour.sampling import chance_accuracy, sample_reviews
from unrolled.evidence.cost import count_flops
from unrolled.evidence.findings import Curve, Finding, Table
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.models.build import outline_model
from unrolled.types import BoolArray, EncodedSplit, LongArray, Ragged

NUM_BUCKETS = 5
SHORTEST_CUT = 8


def truncate(tokens: Ragged, length: int, part: str) -> Ragged:
    """Every sequence cut to at most ``length`` tokens, of which the "head" or the "tail" is kept."""
    lengths = np.minimum(tokens.lengths, length)
    offsets = np.zeros(len(tokens) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    starts = tokens.offsets[:-1] if part == "head" else tokens.offsets[1:] - lengths
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Ragged(tokens.values[places], offsets)


def bucket_rows(lengths: LongArray) -> list[LongArray]:
    """Rows by rising length in up to five buckets of about equal size; equal lengths share a bucket."""
    edges = np.unique(np.quantile(lengths, np.arange(1, NUM_BUCKETS) / NUM_BUCKETS))
    places = np.searchsorted(edges, lengths, side="left")
    return [np.flatnonzero(places == bucket) for bucket in range(len(edges) + 1) if (places == bucket).any()]


@register_measure("length", "Accuracy by length of review, and against the tokens kept at head or tail")
def measure_length(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model."""
    reviews = sample_reviews(study.data.test, "length")
    buckets = bucket_rows(study.data.test.tokens.lengths)
    for subject in study.subjects:
        yield _measure(subject, reviews, buckets)


def _measure(subject: Subject, reviews: EncodedSplit, buckets: list[LongArray]) -> Finding:
    test = subject.data.test
    right = subject.test_probabilities().argmax(axis=2) == test.labels
    by_bucket = [pool_share(right[:, rows]) for rows in buckets]
    lengths = [test.tokens.lengths[rows] for rows in buckets]
    gap = _unpaired(by_bucket[0], by_bucket[-1])
    cuts = _cuts(subject, reviews)
    whole = subject.right(reviews)
    kept: dict[str, list[BoolArray]] = {"head": [], "tail": []}
    for part, found in kept.items():
        for cut in cuts[:-1]:
            found.append(subject.right(EncodedSplit(truncate(reviews.tokens, cut, part), reviews.labels)))
        found.append(whole)
    better = _better_part(kept)
    curves = {
        "accuracy_by_length": to_curve(
            "tokens per review", "accuracy", [float(np.median(each)) for each in lengths], by_bucket
        ),
        **{
            f"accuracy_{part}": to_curve(
                f"tokens kept at the {part}", "accuracy", cuts, [pool_share(each) for each in found]
            )
            for part, found in kept.items()
        },
    }
    if subject.spec.neural:
        curves["flops"] = _flops(subject, cuts)
    chance = chance_accuracy(test)
    return Finding(
        measure="length",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            **by_bucket[0].values("accuracy_shortest"),
            **by_bucket[-1].values("accuracy_longest"),
            **gap.values("gap"),
            "better_part": better,
            "enough_tokens": _enough(cuts, kept["tail" if better == "undecided" else better], whole),
            "num_reviews": len(reviews),
            "num_bucketed": len(test),
        },
        curves=curves,
        tables={
            "buckets": Table(
                columns=("shortest", "longest", "num_reviews", "accuracy", "low", "high"),
                rows=tuple(
                    (int(each.min()), int(each.max()), len(each), found.mean, found.low, found.high)
                    for each, found in zip(lengths, by_bucket, strict=True)
                ),
            )
        },
        reference=(
            f"Always naming the commonest class scores {chance:.3f}. Buckets hold all {len(test)} test "
            f"reviews; cut reviews are {len(reviews)} of them, held against the same reviews whole. The "
            "trained model reads what is left without being trained anew; operations are those of a model "
            "built for that length. 95% intervals over reviews and, where there are several, seeds."
        ),
    )


def _cuts(subject: Subject, reviews: EncodedSplit) -> list[int]:
    """Tokens to keep: powers of two up to the longest review that the model reads whole."""
    longest = int(min(reviews.tokens.lengths.max(initial=1), subject.spec.length))
    cuts = []
    cut = SHORTEST_CUT
    while cut < longest:
        cuts.append(cut)
        cut *= 2
    return [*cuts, longest]


def _unpaired(first: Interval, second: Interval) -> Interval:
    """The difference of two means over different reviews (Newcombe, 1998, method 10)."""
    mean = first.mean - second.mean
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Interval(mean, None, None)
    return Interval(
        mean,
        mean - float(np.hypot(first.mean - first.low, second.high - second.mean)),
        mean + float(np.hypot(first.high - first.mean, second.mean - second.low)),
    )


def _better_part(kept: dict[str, list[BoolArray]]) -> str:
    """Which part is the better one to keep, over all cuts of the same reviews."""
    if len(kept["head"]) < 2:
        return "undecided"
    head, tail = (np.mean(kept[part][:-1], axis=0) for part in ("head", "tail"))
    gap = pool(head - tail)
    if not gap.excludes_zero:
        return "undecided"
    return "head" if gap.mean > 0 else "tail"


def _enough(cuts: list[int], found: list[BoolArray], whole: BoolArray) -> int:
    """The smallest cut from which on nothing is lost that could be told from chance."""
    enough = cuts[-1]
    for cut, right in list(zip(cuts, found, strict=True))[::-1]:
        loss = pool(whole.astype(np.float64) - right)
        if loss.excludes_zero and loss.mean > 0:
            break
        enough = cut
    return enough


def _flops(subject: Subject, cuts: list[int]) -> Curve:
    counts = []
    for cut in cuts:
        network = outline_model(subject.spec.model_copy(update={"length": cut}))
        counts.append(float(sum(layer.flops for layer in count_flops(network))))
    return Curve(
        x_label="tokens kept", y_label="operations per sequence", x=tuple(map(float, cuts)), y=tuple(counts)
    )
