"""The measure ``words``: what moves the answer, how exactly that is known, and whether it is the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.evidence.behaviour.intervals import pool
from unrolled.evidence.behaviour.sampling import generator, sample_reviews
from unrolled.evidence.findings import Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Logits, Subject
from unrolled.evidence.words.explain import Explainer
from unrolled.evidence.words.gradients import Attribution, Attributor
from unrolled.evidence.words.scoring import (
    Score,
    Truth,
    cut_truth,
    read_truth,
    score_attribution,
    share_by_role,
)
from unrolled.types import DoubleArray, EncodedDataset, LongArray, Ragged, Split

MOST_TEXTS = 150
MOST_OCCLUDED = 40
MOST_UNTRAINED = 40
MOST_RUNS = 3
PRAISE = 1
STRONGEST = 12
FEWEST_OCCURRENCES = 3


@register_measure("words", "Which words move the answer: integrated gradients, checked and scored")
def measure_words(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model."""
    rows = choose_rows(study.data)
    split = find_annotated_test(study.data)
    truths = None if split is None else [read_truth(split, int(row)) for row in rows]
    tokens = study.data.test.tokens.take(rows)
    for subject in study.subjects:
        yield _measure(subject, tokens, truths)


def choose_rows(data: EncodedDataset) -> LongArray:
    """Rows of the test part that are explained, the same for every model."""
    count = len(sample_reviews(data.test, "words", most=MOST_TEXTS))
    return np.sort(generator("words").permutation(len(data.test))[:count])


def find_annotated_test(data: EncodedDataset) -> Split | None:
    """The test part of the embedded corpus with every word's role, generated again; None for other data.

    The digest decides: a corpus of other reviews than these is scored against no truth at all.
    """
    if data.name != "demo":
        return None
    from unrolled.data.demo import generate_demo

    sizes = len(data.train), len(data.test)
    # The notebook protocol validates on test and does not keep the validation part.
    for validation in dict.fromkeys((len(data.validation), sizes[0] // 6)):
        corpus = generate_demo(train=sizes[0], validation=validation, test=sizes[1])
        if corpus.sha256 == data.sha256:
            return corpus.test
    return None


@dataclass(frozen=True, slots=True)
class _Explained:
    """A run's attributions: of every text, and of the words in it that were read (start mark left out)."""

    attributions: list[Attribution]
    words: list[DoubleArray]
    occlusion: list[float]


def _measure(subject: Subject, tokens: Ragged, truths: Sequence[Truth] | None) -> Finding:
    fitted = subject.fitted[:MOST_RUNS]
    explained = [_explain(Explainer(run), tokens) for run in fitted]
    errors = np.array([[one.completeness_error for one in run.attributions] for run in explained])
    values: dict[str, Value] = {
        "num_texts": len(tokens),
        "completeness_error": float(errors.max()),
        "median_completeness_error": float(np.median(errors)),
    }
    reference = f"the attributions of a text miss what it changes by {errors.max():.2%} at most"
    if subject.spec.neural:
        agreement = pool(np.array([run.occlusion for run in explained]))
        values |= agreement.values("occlusion_rank_correlation")
        reference += f"; their ranks correlate {agreement.mean:.2f} with those of taking each word out"
    tables: dict[str, Table] = {}
    if truths is not None:
        scored, chance = _score(explained, truths)
        values |= scored
        reference += f"; an attribution that knows nothing puts {chance:.3f} on evidence"
        if subject.spec.neural:
            untrained = _score_untrained(subject, tokens, truths)
            values["untrained_share"] = untrained
            reference += f", that of the untrained network {untrained:.3f}"
        tables = _tables(explained[0].words, truths)
    return Finding(
        measure="words",
        model=subject.name,
        num_seeds=len(fitted),
        values=values,
        tables=tables,
        reference=reference,
    )


def _explain(explainer: Explainer, tokens: Ragged) -> _Explained:
    found = _Explained([], [], [])
    for number in range(len(tokens)):
        one, values = explainer.attribute(tokens[number], PRAISE)
        found.attributions.append(one)
        # All that was read but the mark that starts a text, if the text was read from its start.
        words = values[1:] if len(values) == len(tokens[number]) else values
        found.words.append(words)
        if explainer.run.spec.neural and number < MOST_OCCLUDED:
            found.occlusion.append(rank_correlation(values, explainer.occlude(tokens[number], PRAISE)))
    return found


def rank_correlation(first: DoubleArray, second: DoubleArray) -> float:
    """Spearman's: 1 for the same order, 0 where one of the two has none."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    spreads = [float(rank.std()) for rank in ranks]
    if min(spreads) == 0:
        return 0.0
    centred = [rank - rank.mean() for rank in ranks]
    return float((centred[0] * centred[1]).mean() / (spreads[0] * spreads[1]))


def _score(explained: Sequence[_Explained], truths: Sequence[Truth]) -> tuple[dict[str, Value], float]:
    random = generator("words")
    scores = [
        [_score_one(words, truth, random) for words, truth in zip(run.words, truths, strict=True)]
        for run in explained
    ]
    values: dict[str, Value] = {}
    names = {
        "evidence": "evidence_share",
        "chance": "chance_share",
        "shuffled": "shuffled_share",
        "discounted": "discounted_share",
        "sign": "sign_agreement",
        "sign_negated": "sign_agreement_negated",
    }
    for field, name in names.items():
        figures = [[None if one is None else getattr(one, field) for one in run] for run in scores]
        kept = [column for column in zip(*figures, strict=True) if None not in column]
        if kept:
            values |= pool(np.array(kept, np.float64).T).values(name)
    return values, float(values.get("chance_share") or 0.0)


def _score_one(words: DoubleArray, truth: Truth, random: np.random.Generator) -> Score | None:
    return score_attribution(words, cut_truth(truth, len(words)), random)


def _score_untrained(subject: Subject, tokens: Ragged, truths: Sequence[Truth]) -> float:
    """The share on evidence before training: what architecture and word frequencies alone bring about."""
    run = subject.fitted[0]
    network = Logits(run.spec)
    attributor = Attributor(network, network.initial(run.plan.training.seed))
    explainer = Explainer(run)
    random, shares = generator("words"), []
    for number, truth in enumerate(truths[:MOST_UNTRAINED]):
        values = attributor.integrate(explainer.pad(tokens[number]), PRAISE).values
        read = min(len(truth.words), len(values))
        found = _score_one(values[len(values) - read :], truth, random)
        if found is not None:
            shares.append(found.evidence)
    return float(np.mean(shares))


def _tables(words: Sequence[DoubleArray], truths: Sequence[Truth]) -> dict[str, Table]:
    """Attribution by role, and the words that speak loudest for praise and for blame."""
    read = [cut_truth(truth, len(values)) for truth, values in zip(truths, words, strict=True)]
    by_word: dict[str, list[float]] = defaultdict(list)
    for truth, values in zip(read, words, strict=True):
        for word, value in zip(truth.words, values, strict=True):
            by_word[word].append(float(value))
    means = [
        (word, float(np.mean(values)), len(values))
        for word, values in by_word.items()
        if len(values) >= FEWEST_OCCURRENCES
    ]
    means.sort(key=lambda row: -row[1])
    strongest = means if len(means) <= 2 * STRONGEST else [*means[:STRONGEST], *means[-STRONGEST:]]
    return {
        "roles": Table(
            columns=("role", "words_share", "attribution_share"), rows=tuple(share_by_role(words, read))
        ),
        "strongest_words": Table(columns=("word", "mean_attribution", "count"), rows=tuple(strongest)),
    }
