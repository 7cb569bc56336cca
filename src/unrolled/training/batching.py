"""Which sequences make up which batch, and how far each batch is padded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unrolled.data.encoding import iterate_batches
from unrolled.data.steps import Steps, pad_steps
from unrolled.models import ModelSpec
from unrolled.types import EncodedSplit, LongArray, SequenceBatch

# A pool of this many batches is sorted by length before it is cut: wide enough that batches hold equal
# lengths, narrow enough that their composition differs from epoch to epoch.
POOL_BATCHES = 50
SEQUENCES_PER_BUCKET = 5_000
MOST_BUCKETS = 6


@dataclass(frozen=True, slots=True)
class Batcher:
    """Cuts a split into padded batches for one spec.

    Args:
        spec: gives length, vocabulary and padding.
        batch_size: rows per batch; the last batch of a pass is filled with rows of weight 0.
        lengths: the padded lengths in use, rising; the last is the spec's. Each costs one compilation.
        class_weights: multiply the weights of the rows of each class; None leaves them as they are.
    """

    spec: ModelSpec
    batch_size: int
    lengths: tuple[int, ...]
    class_weights: tuple[float, ...] | None = None

    def epoch_order(self, split: EncodedSplit, seed: int, epoch: int) -> list[LongArray]:
        """The batches of one training epoch as row indices; a function of seed and epoch alone.

        With several padded lengths, rows of similar length share a batch, and batches come in random order.
        Within a batch, rows stand so that equal stretches of it hold like lengths: threads take stretches.
        """
        random = np.random.Generator(np.random.PCG64([seed, epoch]))
        order = random.permutation(len(split))
        lengths = split.tokens.lengths
        if len(self.lengths) == 1:
            return [even_out(rows, lengths) for rows in self._cut(order)]
        pool = POOL_BATCHES * self.batch_size
        batches: list[LongArray] = []
        for start in range(0, len(order), pool):
            members = order[start : start + pool]
            batches += self._cut(members[np.argsort(lengths[members], kind="stable")])
        return [even_out(batches[index], lengths) for index in random.permutation(len(batches))]

    def reading_order(self, split: EncodedSplit) -> list[LongArray]:
        """Batches that cover a split once, shortest sequences first, for evaluation."""
        return self._cut(np.argsort(split.tokens.lengths, kind="stable"))

    def batch(self, split: EncodedSplit, rows: LongArray) -> SequenceBatch:
        """The rows as one padded batch of ``batch_size``, as long as its longest row needs."""
        longest = int(split.tokens.lengths[rows].max(initial=0))
        length = next((edge for edge in self.lengths if edge >= longest), self.lengths[-1])
        if isinstance(split.tokens, Steps):
            batch = pad_steps(split, rows, batch_size=self.batch_size, length=length)
        else:
            batch = next(
                iterate_batches(
                    split,
                    batch_size=self.batch_size,
                    length=length,
                    vocabulary_size=self.spec.vocabulary_size,
                    order=rows,
                )
            )
        if self.class_weights is None:
            return batch
        counts = np.asarray(self.class_weights, np.float32)[batch.labels]
        return SequenceBatch(batch.tokens, batch.labels, batch.weights * counts)

    def blank(self, split: EncodedSplit, length: int) -> SequenceBatch:
        """A batch of padding alone, of the shape and type that ``split`` gives at ``length``."""
        values = split.tokens.values
        shape = (self.batch_size, length, *(size + 1 for size in values.shape[1:]))
        return SequenceBatch(
            np.zeros(shape, values.dtype),
            np.zeros(self.batch_size, np.int32),
            np.ones(self.batch_size, np.float32),
        )

    def batches(self, split: EncodedSplit) -> Iterator[tuple[LongArray, SequenceBatch]]:
        """Every row of a split once, with the row numbers of each batch."""
        for rows in self.reading_order(split):
            yield rows, self.batch(split, rows)

    def _cut(self, order: LongArray) -> list[LongArray]:
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]


def even_out(rows: LongArray, lengths: LongArray) -> LongArray:
    """The rows of a batch in an order in which each half, quarter, … holds lengths from all of their range.

    Args:
        rows: int64, (batch,), row numbers.
        lengths: int64, lengths by row number.
    """
    ranked = rows[np.argsort(lengths[rows], kind="stable")]
    # By the digits of a Gray code read backwards: of four ranks in a row, one half gets the outer two and
    # the other half the inner two, and so on within each half.
    num_digits = max(len(rows) - 1, 0).bit_length()
    ranks = np.arange(1 << num_digits)
    gray = ranks ^ ranks >> 1
    places = np.zeros_like(ranks)
    for digit in range(num_digits):
        places |= (gray >> digit & 1) << (num_digits - 1 - digit)
    order = np.argsort(places)
    return ranked[order[order < len(rows)]]


def padded_lengths(spec: ModelSpec, train: EncodedSplit, *, group: bool) -> tuple[int, ...]:
    """The lengths worth padding to: quantiles of the training lengths, rounded up to eights.

    A single length where the weights or unmasked padding fix it, or where the corpus is too small for
    further compilations to pay.
    """
    if not group or spec.fixed_length or spec.padding != "masked":
        return (spec.length,)
    count = min(MOST_BUCKETS, 1 + len(train) // SEQUENCES_PER_BUCKET)
    inner = np.quantile(np.minimum(train.tokens.lengths, spec.length), np.arange(1, count) / count)
    edges = {min(int(-(-edge // 8) * 8), spec.length) for edge in inner}
    return (*sorted(edges - {spec.length}), spec.length)
