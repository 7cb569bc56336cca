"""Memory, order and length on models that are known to look where they look."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.evidence.behaviour import length, memory, order
from unrolled.evidence.subjects import FinishedStudy
from unrolled.types import EncodedDataset, EncodedSplit, Ragged

SEQUENCES = st.lists(st.lists(st.integers(1, 30), max_size=20), min_size=1, max_size=6)


def rows(tokens: Ragged) -> list[list[int]]:
    return [tokens[row].tolist() for row in range(len(tokens))]


def study_of(*subjects) -> FinishedStudy:
    return FinishedStudy(None, subjects[0].data, None, subjects)


def random_data(rule, seed=0, count=200, shortest=40, longest=60) -> EncodedDataset:
    """A corpus of random reviews that ``rule`` labels."""
    rng = np.random.default_rng(seed)
    reviews = [[1, *rng.integers(4, 40, rng.integers(shortest, longest))] for _ in range(count)]
    labels = np.array([rule(np.array(review)) > 0 for review in reviews], np.int32)
    split = EncodedSplit(Ragged.from_lists(reviews), labels)
    return EncodedDataset("known", ("bad", "good"), split, split, split, 40, "0" * 64)


# --- memory


@pytest.mark.parametrize("reach", [1, 3, 8, 20])
def test_memory_ends_where_the_model_s_does(make_subject, reach: int) -> None:
    def rule(tokens) -> float:
        return float(tokens[-reach:].sum()) / 10

    subject = make_subject(rule, random_data(rule))
    (found,) = memory.measure_memory(study_of(subject))
    seen = [place for place in found.curves["change"].x if place < reach]
    assert found.values["reach_steps"] == seen[-1]
    assert found.values["reach_is_censored"] is False
    change = dict(zip(found.curves["change"].x, found.curves["change"].y, strict=True))
    assert all(value == 0 for place, value in change.items() if place >= reach)
    # A word drawn at random in the place of another changes a sum of words by the mean gap of two draws.
    assert change[0] == pytest.approx(36 / 3 / 10, rel=0.25)


def test_a_model_without_end_to_its_memory_says_that_it_was_not_found(make_subject) -> None:
    def rule(tokens) -> float:
        return float(tokens.sum())

    subject = make_subject(rule, random_data(rule))
    (found,) = memory.measure_memory(study_of(subject))
    assert found.values["reach_is_censored"] is True
    assert found.values["reach_steps"] == found.values["num_steps"] == found.curves["change"].x[-1]
    assert found.values["half_steps"] is None


def test_a_fading_memory_halves_where_it_should(make_subject) -> None:
    def rule(tokens) -> float:
        return float((tokens * 0.9 ** np.arange(len(tokens))[::-1]).sum())

    subject = make_subject(rule, random_data(rule))
    (found,) = memory.measure_memory(study_of(subject))
    assert 5 <= found.values["half_steps"] <= 14, "0.9 ** 6.6 = 0.5, and distances are sampled"


def test_a_model_that_does_not_look_has_no_memory(make_subject) -> None:
    subject = make_subject(lambda tokens: 0.3, random_data(lambda tokens: tokens[-1] - 20))
    (found,) = memory.measure_memory(study_of(subject))
    assert found.values["reach_steps"] is None
    assert found.values["reach_is_censored"] is False


def test_log_odds_against_all_others() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 5, 4))
    chosen = np.array([0, 3, 1, 2, 2])
    chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    expected = [[np.log(c[i, k] / (1 - c[i, k])) for i, k in enumerate(chosen)] for c in chances]
    assert memory.log_odds(logits, chosen) == pytest.approx(np.array(expected))


def test_distances_start_at_the_end_and_reach_the_farthest() -> None:
    for longest in (0, 1, 5, 19, 20, 121, 498):
        found = memory.choose_distances(longest)
        assert found[0] == 0
        assert found[-1] == longest
        assert (np.diff(found) > 0).all()


# --- order


@given(SEQUENCES, st.sampled_from([None, 1, 2, 3, 8]), st.integers(0, 5), st.booleans())
def test_shuffling_moves_words_within_windows_alone(sequences, window, seed, starts) -> None:
    sequences = [[1, *row] if starts else [word + 1 for word in row] for row in sequences]
    tokens = Ragged.from_lists(sequences)
    found = rows(order.shuffle_words(tokens, window, np.random.default_rng(seed)))
    for before, after in zip(sequences, found, strict=True):
        assert after[: int(starts)] == before[: int(starts)], "the start token stays"
        old, new = before[int(starts) :], after[int(starts) :]
        size = window or max(len(old), 1)
        for first in range(0, len(old), size):
            assert sorted(new[first : first + size]) == sorted(old[first : first + size])


def test_shuffling_gives_all_orders_alike() -> None:
    tokens = Ragged.from_lists([[5, 6, 7]] * 6000)
    found = rows(order.shuffle_words(tokens, None, np.random.default_rng(0)))
    counts = np.unique(np.array(found), axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert counts == pytest.approx(1000, rel=0.15)


def test_a_bag_of_words_loses_nothing_and_a_reader_of_order_everything(make_subject) -> None:
    def bag(tokens) -> float:
        return float((tokens == 5).sum() - (tokens == 6).sum()) + 0.1

    (found,) = order.measure_order(study_of(make_subject(bag, random_data(bag))))
    assert found.values["accuracy"] == 1
    assert found.values["drop"] == found.values["drop_low"] == found.values["drop_high"] == 0
    assert found.values["order_matters"] is False

    def first_half(tokens) -> float:
        return float(tokens[1:21].sum() - tokens[21:41].sum())

    (found,) = order.measure_order(study_of(make_subject(first_half, random_data(first_half))))
    assert found.values["order_matters"] is True
    assert found.values["accuracy_shuffled"] == pytest.approx(0.5, abs=0.1)
    drops = dict(zip(found.curves["drop"].x, found.curves["drop"].y, strict=True))
    assert drops[1] == drops[2] == drops[4] == 0, "windows of 4 end at words 20 and 40"
    assert 0 < drops[32] < 0.6
    assert found.values["drop"] == pytest.approx(1 - found.values["accuracy_shuffled"])


# --- length


@given(SEQUENCES, st.integers(1, 12))
def test_truncation_keeps_one_end(sequences, size) -> None:
    tokens = Ragged.from_lists(sequences)
    assert rows(length.truncate(tokens, size, "head")) == [row[:size] for row in sequences]
    assert rows(length.truncate(tokens, size, "tail")) == [row[-size:] for row in sequences]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=80))
def test_buckets_part_the_reviews_by_length(lengths) -> None:
    lengths = np.array(lengths)
    found = length.bucket_rows(lengths)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for shorter, longer in itertools.pairwise(found):
        assert lengths[shorter].max() < lengths[longer].min()


def test_who_reads_the_tail_needs_the_tail(make_subject) -> None:
    def rule(tokens) -> float:
        return float(tokens[-12:].sum()) - 246

    (found,) = length.measure_length(study_of(make_subject(rule, random_data(rule))))
    assert found.values["better_part"] == "tail"
    assert found.values["enough_tokens"] == 16, "the least power of two that holds 12 tokens"
    tail = dict(zip(found.curves["accuracy_tail"].x, found.curves["accuracy_tail"].y, strict=True))
    assert tail[16] == tail[32] == 1 > tail[8]
    (found,) = length.measure_length(study_of(make_subject(lambda tokens: 1.0, random_data(rule))))
    assert found.values["better_part"] == "undecided"


def test_who_fails_on_long_reviews_shows_a_gap(make_subject) -> None:
    rng = np.random.default_rng(0)

    def rule(tokens) -> float:
        return float(tokens[-1]) - 22

    def forgetful(tokens) -> float:
        return rule(tokens) if len(tokens) < 60 else float(rng.random() - 0.5)

    data = random_data(rule, count=500, shortest=10, longest=100)
    (found,) = length.measure_length(study_of(make_subject(forgetful, data)))
    assert found.values["accuracy_shortest"] == 1
    assert found.values["gap_low"] > 0.3
    assert sum(row[2] for row in found.tables["buckets"].rows) == 500


def test_findings_of_a_study(study) -> None:
    for measure in (memory.measure_memory, order.measure_order, length.measure_length):
        found = list(measure(study))
        assert [finding.model for finding in found] == ["linear", "cnn", "lstm"]
        assert all(finding.reference for finding in found)
    flops = {finding.model: finding.curves.get("flops") for finding in found}
    assert flops["linear"] is None
    assert list(flops["lstm"].y) == sorted(flops["lstm"].y)
