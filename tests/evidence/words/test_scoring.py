"""Scores that tell a good attribution from none, and effects that are the generator's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.demo_reader import judge, read_roles, split_words
from unrolled.data.demo import ROLES, generate_demo, weigh_evidence
from unrolled.evidence.words.measure import find_annotated_test, measure_words
from unrolled.evidence.words.pairs import (
    Pair,
    measure_pairs,
    write_contrast,
    write_control,
    write_negation,
    write_pairs,
)
from unrolled.evidence.words.scoring import cut_truth, find_effects, read_truth, score_attribution

CORPUS = generate_demo(train=1, validation=0, test=60)


@given(st.lists(st.integers(0, len(ROLES) - 1), max_size=30))
def test_effects_add_up_to_the_evidence(roles: list[int]) -> None:
    assert find_effects(np.array(roles, np.int64)).sum() == weigh_evidence(roles)


def test_the_truth_is_that_of_a_reader_of_the_words() -> None:
    assert CORPUS.test is not None
    for row, text in enumerate(CORPUS.test.texts or ()):
        truth = read_truth(CORPUS.test, row)
        assert list(truth.words) == split_words(text)
        assert [ROLES[role] for role in truth.roles] == read_roles(text)
        assert truth.effects.sum() == judge(read_roles(text))


def test_scores_of_planted_attributions() -> None:
    rng = np.random.default_rng(0)
    perfect, wrong, blind = [], [], []
    for row in range(60):
        truth = read_truth(CORPUS.test, row)
        perfect.append(score_attribution(truth.effects, truth, rng))
        wrong.append(score_attribution(-truth.effects, truth, rng))
        blind.append(score_attribution(rng.choice([-1.0, 1.0], len(truth.words)), truth, rng))
    assert {(one.evidence, one.sign) for one in perfect} == {(1.0, 1.0)}
    assert {one.sign_negated for one in perfect} == {1.0, None}
    assert {(one.evidence, one.sign) for one in wrong} == {(1.0, 0.0)}
    assert np.mean([one.shuffled for one in perfect]) == pytest.approx(
        np.mean([one.chance for one in perfect]), abs=0.05
    )
    assert all(one.evidence == pytest.approx(one.chance) for one in blind)
    assert np.mean([one.sign for one in blind]) == pytest.approx(0.5, abs=0.1)
    assert {one.discounted for one in perfect} == {0.0}
    nothing = read_truth(CORPUS.test, 0)
    assert score_attribution(np.zeros(len(nothing.words)), nothing, rng) is None


def test_a_negated_word_counts_the_other_way() -> None:
    # "is not superb": the attribution that falls for "superb" is wrong in sign, and known to be negated.
    truth = cut_truth(read_truth(CORPUS.test, 0), 0)
    roles = np.array([ROLES.index(name) for name in ("filler", "negator", "positive")], np.int64)
    truth = type(truth)(("is", "not", "superb"), roles, find_effects(roles))
    fooled = score_attribution(np.array([0.0, 0.1, 0.9]), truth, np.random.default_rng(0))
    assert (fooled.sign, fooled.sign_negated, fooled.evidence) == (0.0, 0.0, 1.0)


def read_verdict(text: str) -> int:
    return int(judge(read_roles(text)) > 0)


@pytest.mark.parametrize("kind", [write_negation, write_contrast, write_control])
def test_pairs_are_labelled_as_a_reader_reads_them(kind) -> None:
    pairs: list[Pair] = write_pairs(kind, 100)
    for pair in pairs:
        assert tuple(read_verdict(text) for text in pair.texts) == pair.labels
    assert len({pair.texts for pair in pairs}) == 100
    assert {pair.labels[0] for pair in pairs} == {0, 1}
    assert pairs == write_pairs(kind, 100)


def test_pairs_differ_in_one_thing() -> None:
    for pair in write_pairs(write_negation, 100):
        plain, denied = (split_words(text) for text in pair.texts)
        extra = [place for place, word in enumerate(denied) if word in ("not", "never", "hardly", "scarcely")]
        assert len(extra) == 1
        assert plain == denied[: extra[0]] + denied[extra[0] + 1 :]
        roles = read_roles(pair.texts[1])
        target = next(at for at in range(extra[0], len(roles)) if roles[at] in ("positive", "negative"))
        assert pair.distance == target - extra[0] - 1
    for pair in write_pairs(write_contrast, 100):
        first, second = (sorted(split_words(text)) for text in pair.texts)
        assert first == second
    for pair in write_pairs(write_control, 100):
        first, second = (
            [word for word, role in zip(split_words(text), read_roles(text), strict=True) if role != "filler"]
            for text in pair.texts
        )
        assert first == second


def test_the_baseline_is_scored_on_the_corpus_it_learned(train_demo) -> None:
    study = train_demo("linear", reviews=600)
    (found,) = measure_words(study)
    values = found.values
    assert values["completeness_error"] < 1e-6
    assert values["evidence_share_low"] > 1.5 * values["chance_share_high"]
    assert values["evidence_share_low"] > values["shuffled_share_high"]
    assert abs(values["shuffled_share"] - values["chance_share"]) < 0.03
    assert values["sign_agreement_low"] > 0.5
    shares = np.array([row[1:] for row in found.tables["roles"].rows], float)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    (pairs,) = measure_pairs(study)
    # A sum of words reads both orders of two clauses nearly alike, and cannot be right on both.
    assert pairs.values["contrast_right"] < 0.6
    assert len(pairs.curves["negation_right_by_distance"].x) >= 3


def test_other_reviews_are_scored_against_no_truth(train_demo) -> None:
    study = train_demo("linear", reviews=60)
    assert find_annotated_test(study.data) is not None
    from dataclasses import replace

    altered = replace(study.data, sha256="0" * 64)
    assert find_annotated_test(altered) is None
    assert find_annotated_test(replace(study.data, name="imdb")) is None
    (found,) = measure_words(replace(study, data=altered))
    assert "evidence_share" not in found.values
    assert found.tables == {}
    named = replace(study, data=replace(study.data, classes=("ham", "spam")))
    assert list(measure_pairs(named)) == []


@pytest.mark.slow
def test_a_small_network_looks_where_the_evidence_is(train_demo) -> None:
    study = train_demo("gru", reviews=900, epochs=6)
    (found,) = measure_words(study)
    values = found.values
    assert values["completeness_error"] <= 0.01
    assert values["evidence_share_low"] > 2 * values["chance_share_high"]
    assert values["evidence_share_low"] > values["shuffled_share_high"]
    assert values["evidence_share"] > values["untrained_share"]
    assert values["occlusion_rank_correlation_low"] > 0.5
    assert values["sign_agreement_low"] > 0.5
