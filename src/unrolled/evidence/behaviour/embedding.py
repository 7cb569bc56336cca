"""Embedding: which words lie beside which, before and after training, and a map of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.vocabulary import Vocabulary
from unrolled.evidence.behaviour.intervals import pool
from unrolled.evidence.findings import Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.types import DoubleArray, EncodedSplit, LongArray

NUM_WORDS = 120
NUM_SHOWN = 16
NUM_NEIGHBOURS = 5
FEWEST_OCCURRENCES = 10
LAST_RESERVED = 3


def weigh_words(split: EncodedSplit, num_classes: int) -> tuple[LongArray, DoubleArray, DoubleArray]:
    """How often each token id occurs, which class it leans to, and how surely.

    Args:
        split: the reviews to count in.
        num_classes: number of labels.

    Returns:
        Reviews that hold the id, int64, shape (ids,); the leaning from -1 (the first class alone) to 1 (the
        last alone), the class numbers being spread evenly between; and its z-score against no leaning.
    """
    tokens = split.tokens
    size = int(tokens.values.max(initial=LAST_RESERVED)) + 1
    rows = np.repeat(np.arange(len(tokens)), tokens.lengths)
    cells = np.unique(rows * size + tokens.values)
    ids, labels = cells % size, split.labels[cells // size]
    position = np.linspace(-1.0, 1.0, num_classes)
    count = np.bincount(ids, minlength=size)
    leaning = np.bincount(ids, position[labels], size) / np.maximum(count, 1)
    everyone = position[split.labels]
    spread = max(float(everyone.std()), 1e-12)
    surety = (leaning - everyone.mean()) * np.sqrt(count) / spread
    return count.astype(np.int64), leaning, surety


def find_neighbours(vectors: DoubleArray, count: int) -> LongArray:
    """For each row the ``count`` other rows of highest cosine, nearest first, int64, shape (rows, count)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :count]


def project(vectors: DoubleArray) -> tuple[DoubleArray, float]:
    """Coordinates on the two axes of most variance (rows, 2), and the share of variance they hold.

    Signs are fixed so that each axis' largest loading is positive: the same vectors give the same map.
    """
    centred = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    total = float((sizes**2).sum())
    found = centred @ axes.T
    if found.shape[1] < 2:
        found = np.concatenate([found, np.zeros((len(found), 2 - found.shape[1]))], axis=1)
    return found, float((sizes[:2] ** 2).sum() / total) if total else 0.0


@register_measure("embedding", "Nearest neighbours and a map of words, before and after training")
def measure_embedding(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model with an embedding; neighbours and map of its first run."""
    count, leaning, surety = weigh_words(study.data.train, len(study.data.classes))
    names = _names(study.vocabulary)
    for subject in study.subjects:
        if "embedding_size" not in type(subject.spec).model_fields:
            continue
        known = np.arange(len(count)) < subject.spec.vocabulary_size
        fit = known & (count >= FEWEST_OCCURRENCES) & (np.arange(len(count)) > LAST_RESERVED)
        ids = np.flatnonzero(fit)
        # Words whose leaning is beyond doubt: of "the" nobody could say what it should lie beside.
        ids = ids[np.argsort(-np.abs(surety[ids]), kind="stable")[:NUM_WORDS]]
        if len(ids) > NUM_NEIGHBOURS:
            yield _measure(
                subject, ids, count[ids], leaning[ids], [names.get(int(i), f"id {i}") for i in ids]
            )


def _names(vocabulary: Vocabulary | None) -> dict[int, str]:
    if vocabulary is None:
        return {}
    return {rank + vocabulary.index_from: word for word, rank in vocabulary.index.items()}


def _measure(
    subject: Subject, ids: LongArray, count: LongArray, leaning: DoubleArray, words: list[str]
) -> Finding:
    tables: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for run, fitted in enumerate(subject.fitted):
        fresh = subject.logits_function.initial(fitted.plan.training.seed)[0]
        trained = subject.weights(run)[0]
        tables.append((np.asarray(fresh, np.float64)[ids], np.asarray(trained, np.float64)[ids]))
    side = np.sign(leaning - np.median(leaning))
    agreements = []
    for when in range(2):
        near = [find_neighbours(pair[when], NUM_NEIGHBOURS) for pair in tables]
        agreements.append(np.stack([(side[each] == side[:, None]).mean(axis=1) for each in near]))
    shares = np.array([(side == each).mean() for each in (-1.0, 0.0, 1.0)])
    chance = float((shares**2).sum())
    near_before, near_after = (find_neighbours(table, NUM_NEIGHBOURS) for table in tables[0])
    (map_before, variance_before), (map_after, variance_after) = (project(table) for table in tables[0])
    shown = np.sort(np.argsort(-count, kind="stable")[:NUM_SHOWN])
    return Finding(
        measure="embedding",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            **pool(agreements[0]).values("agreement_before"),
            **pool(agreements[1]).values("agreement_after"),
            "agreement_chance": chance,
            "movement": float(np.mean([_movement(*pair) for pair in tables])),
            "variance_before": variance_before,
            "variance_after": variance_after,
            "num_words": len(ids),
        },
        tables={
            "neighbours": Table(
                columns=("word", "leaning", "before", "after"),
                rows=tuple(
                    (
                        words[row],
                        float(leaning[row]),
                        _listed(words, near_before[row]),
                        _listed(words, near_after[row]),
                    )
                    for row in shown
                ),
            ),
            "map": Table(
                columns=("word", "leaning", "count", "x_before", "y_before", "x_after", "y_after"),
                rows=tuple(
                    (word, float(lean), int(times), *_rounded(before), *_rounded(after))
                    for word, lean, times, before, after in zip(
                        words, leaning, count, map_before, map_after, strict=True
                    )
                ),
            ),
        },
        reference=(
            f"Neighbours drawn at random would lean the same way in {chance:.0%} of cases; so do those of "
            f"the embedding before training, but for chance. The {len(ids)} words whose leaning in the "
            "training part is surest, cosine similarity among them; 95% intervals over words and, where "
            "there are several, seeds. The map shows the first run on its two axes of most variance."
        ),
    )


def _listed(words: list[str], rows: LongArray) -> Value:
    return ", ".join(words[row] for row in rows)


def _rounded(place: DoubleArray) -> tuple[float, ...]:
    """Coordinates as a map can show them: digits beyond would only make files larger."""
    return tuple(round(float(value), 4) for value in place)


def _movement(before: DoubleArray, after: DoubleArray) -> float:
    """Mean cosine distance of the words' vectors from where they began."""
    dots = (before * after).sum(axis=1)
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return float((1.0 - dots / np.maximum(lengths, np.finfo(np.float64).tiny)).mean())
