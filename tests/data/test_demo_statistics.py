"""The embedded corpus as a whole: lengths, words, balance and noise, and who can read it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from benchmarks.demo_calibration import measure_bag_of_words, measure_network
from demo_reader import judge, read_roles, split_words

from unrolled.data import encode_dataset
from unrolled.data.demo import ROLES, generate_demo
from unrolled.types import Dataset, Split


@pytest.fixture(scope="module")
def corpus() -> Dataset:
    return generate_demo()


def words_per_review(split: Split) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([len(annotation.roles) for annotation in split.annotations or ()])


def test_sizes_and_classes(corpus: Dataset) -> None:
    assert corpus.validation is not None
    assert corpus.test is not None
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (6000, 1000, 2000)
    assert corpus.classes == ("negative", "positive")
    # Four standard deviations of a fair coin.
    assert abs(corpus.train.labels.mean() - 0.5) < 4 * 0.5 / 6000**0.5
    texts = [text for part in (corpus.train, corpus.validation, corpus.test) for text in part.texts or ()]
    assert len(set(texts)) == 9000


@pytest.mark.parametrize("label_noise", [0.0, 0.04, 0.07, 0.29])
def test_exactly_the_stated_share_of_labels_is_flipped(label_noise: float) -> None:
    noisy = generate_demo(train=300, validation=100, test=200, label_noise=label_noise, median_words=10)
    for part in (noisy.train, noisy.validation, noisy.test):
        assert part is not None
        truth = np.array([annotation.label for annotation in part.annotations or ()])
        assert np.sum(truth != part.labels) == round(label_noise * len(part))
    assert noisy.best_accuracy == 1 - label_noise


def test_noise_hangs_on_nothing_that_is_seen(corpus: Dataset) -> None:
    truth = np.array([annotation.label for annotation in corpus.train.annotations or ()])
    flipped = truth != corpus.train.labels
    strength = np.array([abs(annotation.evidence) for annotation in corpus.train.annotations or ()])
    for seen in (truth, strength, words_per_review(corpus.train), np.arange(6000) % 2):
        # A correlation of 240 flips with anything is under 0.05 but once in ten thousand.
        assert abs(np.corrcoef(seen, flipped)[0, 1]) < 0.05


def test_a_reader_of_words_reaches_the_best_accuracy(corpus: Dataset) -> None:
    assert corpus.test is not None
    verdicts = np.array([judge(read_roles(text)) > 0 for text in corpus.test.texts or ()])
    assert np.mean(verdicts == corpus.test.labels) == corpus.best_accuracy == 0.96


@pytest.mark.parametrize("median_words", [48, 174])
def test_lengths_are_log_normal_around_the_median(median_words: int) -> None:
    lengths = words_per_review(
        generate_demo(train=1500, validation=0, test=0, median_words=median_words).train
    )
    assert abs(np.median(lengths) / median_words - 1) < 0.1
    assert lengths.max() <= 3 * median_words + 20
    # Clipping and the shortest claims take a little from the 0.6 of the table.
    assert 0.45 < np.log(lengths).std() < 0.65
    assert abs(np.mean(np.log(lengths)) - np.log(np.median(lengths))) < 0.06


def test_words_follow_a_zipf_like_law(corpus: Dataset) -> None:
    counts = Counter(word for text in corpus.train.texts or () for word in split_words(text))
    frequencies = np.array(sorted(counts.values(), reverse=True))
    ranks = np.arange(1, len(frequencies) + 1)
    head, body = (
        np.polyfit(np.log(ranks[part]), np.log(frequencies[part]), 1)[0]
        for part in (slice(0, 100), slice(9, 1000))
    )
    assert -1.1 < head < -0.7
    assert -1.8 < body < -1.2
    assert 2000 < len(counts) < 5000
    assert np.mean(frequencies <= 3) > 0.2
    assert counts.most_common(1)[0][0] == "the"


def test_filler_dominates_and_every_phenomenon_is_common(corpus: Dataset) -> None:
    roles = np.concatenate([annotation.roles for annotation in corpus.train.annotations or ()])
    per_review = dict(zip(ROLES, np.bincount(roles, minlength=len(ROLES)) / 6000, strict=True))
    assert per_review["filler"] / (len(roles) / 6000) > 0.85
    assert all(rate > 0.2 for rate in per_review.values())
    assert abs(per_review["positive"] - per_review["negative"]) < 0.1


def test_negators_act_at_a_distance(corpus: Dataset) -> None:
    polar = [ROLES.index(name) for name in ("positive", "negative", "discounted")]
    distances = []
    for annotation in corpus.train.annotations or ():
        places = np.flatnonzero(np.isin(annotation.roles, polar))
        for place in np.flatnonzero(annotation.roles == ROLES.index("negator")):
            distances.append(places[places > place][0] - place)
    # Most negations are out of reach of three words in a row.
    assert np.mean(np.array(distances) > 2) > 0.7
    assert max(distances) >= 10


@pytest.mark.parametrize("longest", [1, 3])
def test_a_bag_of_words_stays_clearly_under_the_best(corpus: Dataset, longest: int) -> None:
    assert corpus.best_accuracy is not None
    accuracy = measure_bag_of_words(corpus, longest)
    assert 0.65 < accuracy < corpus.best_accuracy - 0.15


@pytest.mark.slow
def test_an_lstm_comes_near_the_best(corpus: Dataset) -> None:
    assert corpus.best_accuracy is not None
    data, _ = encode_dataset(corpus, protocol="standard")
    history = measure_network(data, "lstm", seed=0)
    _, accuracy = max(history)
    assert corpus.best_accuracy - 0.035 < accuracy <= corpus.best_accuracy


@pytest.mark.slow
def test_a_simple_rnn_does_not(corpus: Dataset) -> None:
    assert corpus.best_accuracy is not None
    data, _ = encode_dataset(corpus, protocol="standard")
    _, accuracy = max(measure_network(data, "simple_rnn", seed=0))
    assert accuracy < corpus.best_accuracy - 0.1
