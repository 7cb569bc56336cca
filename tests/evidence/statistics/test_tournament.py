"""Corrections by hand, letters that mean what they say, and whole studies drawn by chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evidence.statistics.simulation import draw_items, draw_runs
from unrolled.errors import UsageError
from unrolled.evidence.statistics import adjust_holm, assign_letters, compare_models


def test_holm_by_hand() -> None:
    # 0.005 × 4; then 0.02 × 3; 0.03 × 2 is no more than that; 0.5 × 1.
    assert adjust_holm([0.03, 0.005, 0.5, 0.02]) == pytest.approx((0.06, 0.02, 0.5, 0.06))
    assert adjust_holm([0.9, 0.8]) == (1.0, 1.0)
    assert adjust_holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(p_values: list[float]) -> None:
    adjusted = adjust_holm(p_values)
    for before, after in zip(p_values, adjusted, strict=True):
        assert before <= after <= min(1.0, before * len(p_values))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


@given(st.integers(2, 8), st.data())
def test_names_share_a_letter_exactly_when_they_are_not_different(count: int, data: st.DataObject) -> None:
    names = [f"model{number}" for number in range(count)]
    different = {pair for pair in combinations(names, 2) if data.draw(st.booleans())}
    letters = assign_letters(names, different)
    for pair in combinations(names, 2):
        shared = set(letters[pair[0]]) & set(letters[pair[1]])
        assert bool(shared) == (pair not in different)
    assert letters[names[0]][0] == "a"
    # No letter is idle: without it, some pair that is alike would share none.
    for letter in set("".join(letters.values())):
        without = {name: set(found) - {letter} for name, found in letters.items()}
        alone = [name for name, found in without.items() if not found]
        assert alone or any(
            not without[a] & without[b] for a, b in combinations(names, 2) if (a, b) not in different
        )


def test_a_textbook_display() -> None:
    # a – b – c in a row: neighbours alike, the ends apart; d apart from all.
    different = [("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")]
    assert assign_letters("abcd", different) == {"a": "a", "b": "ab", "c": "b", "d": "c"}


def test_copies_of_one_model_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(7)
    studies_with_alarm, trials = 0, 120
    for _ in range(trials):
        items = draw_items(rng, 300)
        noises = rng.permutation([0.02, 0.1, 0.2, 0.4, 0.1, 0.05])
        right = {
            f"copy{place}": draw_runs(rng, items, 3, seed_noise=noise) for place, noise in enumerate(noises)
        }
        found = compare_models(right)
        studies_with_alarm += any(pair.is_real for pair in found.pairs)
        assert set(found.letters.values()) != {"a"} or not any(pair.is_real for pair in found.pairs)
    assert studies_with_alarm <= 6 + 2.5 * np.sqrt(120 * 0.05 * 0.95)


def test_a_study_of_unequal_models() -> None:
    rng = np.random.default_rng(8)
    items = draw_items(rng, 2000)
    skills = {"weak": -2.0, "strong": 0.6, "middle": -0.8, "twin": 0.6}
    right = {name: draw_runs(rng, items, 5, skill=skill, seed_noise=0.05) for name, skill in skills.items()}
    found = compare_models(right)
    assert found.ranking[2:] == ("middle", "weak")
    assert found.letters["strong"] == found.letters["twin"] == "a"
    assert (found.letters["middle"], found.letters["weak"]) == ("b", "c")
    assert found.scope == "architectures"
    assert found.pair("weak", "strong").difference.mean > 0, "the better one comes first"
    neighbours = [found.pair(*found.ranking[place : place + 2]).difference for place in range(3)]
    expected = np.median([gap.smallest_detectable(level=0.05 / 6) for gap in neighbours])
    assert found.smallest_difference == pytest.approx(expected)


def test_a_model_without_randomness_needs_no_second_run() -> None:
    rng = np.random.default_rng(9)
    items = draw_items(rng, 500)
    right = {"linear": draw_runs(rng, items, 1), "lstm": draw_runs(rng, items, 3)}
    assert compare_models(right, deterministic=["linear"]).scope == "architectures"
    assert compare_models(right).scope == "trained_models"


def test_runs_that_all_agree_can_be_compared() -> None:
    constant = np.zeros((3, 40), bool)
    constant[:, :20] = True
    found = compare_models({"dead": constant, "dead_too": constant, "other": ~constant})
    assert found.pair("dead", "dead_too").difference.p_value == 1.0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_models({"lstm": np.ones((1, 3), bool)})
    with pytest.raises(UsageError, match="shapes do not fit"):
        compare_models({"lstm": np.ones((1, 3), bool), "gru": np.ones((1, 4), bool)})
