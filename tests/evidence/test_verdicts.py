"""Verdicts say what the figures say, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.evidence.test_choice import make_model, results
from unrolled.evidence.results import Accuracy, Comparison, ModelResults, PairFacts
from unrolled.evidence.summary import summarise_study
from unrolled.evidence.verdicts import write_verdicts
from unrolled.training.study import Study
from unrolled.training.worker import train_run


def model(name: str, accuracy: float, num_runs: int) -> ModelResults:
    values = Accuracy(mean=accuracy, ci95=None, values=(accuracy,) * num_runs)
    return make_model(name, accuracy, 1.0, 1.0, 1.0).model_copy(update={"test_accuracy": values})


def verdicts(scope: str, p_values: dict[str, float], num_runs: int) -> str:
    """The sentences on models a, b, c in that order, given the adjusted p-values of ab, ac and bc."""
    pairs = tuple(
        PairFacts(
            first=pair[0],
            second=pair[1],
            difference=0.02,
            interval=(0.011, 0.029),
            p_value=p_value / 3,
            adjusted_p_value=p_value,
            scope=scope,
            method="seeds_and_items",
            smallest_difference=0.018,
        )
        for pair, p_value in p_values.items()
    )
    study = results(*(model(name, 0.9 - 0.02 * place, num_runs) for place, name in enumerate("abc")))
    comparison = Comparison(scope=scope, smallest_difference=0.05, pairs=pairs)
    return " ".join(write_verdicts(study.model_copy(update={"comparison": comparison})))


def test_several_seeds_and_a_clear_lead() -> None:
    said = verdicts("architectures", {"ab": 0.001, "ac": 0.001, "bc": 0.2}, 3)
    assert said == (
        "a wins with 0.900, ahead of b: the difference is real (3 runs of a and 3 runs of b: 0.020 apart on "
        "5 test items, 95% interval 0.011 to 0.029; p = 0.001 or less, corrected for 3 comparisons). Between "
        "a and b, 8 of 10 such studies would find a true difference of 0.018; a smaller one would mostly go "
        "unseen."
    )


def test_several_seeds_and_no_clear_lead() -> None:
    said = verdicts("architectures", {"ab": 0.3, "ac": 0.01, "bc": 0.2}, 3)
    assert "a leads with 0.900, but it cannot be told apart from b (3 runs" in said
    assert "p = 0.3," in said
    assert "wins" not in said
    assert "real" not in said
    assert "any other model" in verdicts("architectures", {"ab": 0.3, "ac": 0.1, "bc": 0.2}, 3)


@pytest.mark.parametrize("p_value", [0.0001, 0.3])
def test_one_seed_never_decides_on_architectures(p_value: float) -> None:
    said = verdicts("trained_models", {"ab": p_value, "ac": p_value, "bc": 0.2}, 1)
    assert "the difference is real" not in said
    assert "wins" not in said
    assert "--seeds 3" in said
    assert ("these trained models do differ" in said) == (p_value < 0.05)
    assert ("cannot be told apart" in said) == (p_value >= 0.05)


def test_a_study_is_compared_as_soon_as_two_models_are_done(make_study: Callable[..., Study]) -> None:
    study = make_study("linear", "dense", "cnn", epochs=1)
    train_run(study.run_folder(study.plans[0]))
    alone = summarise_study(study)
    assert alone.comparison is None
    assert alone.verdicts == ()
    assert [row.letters for row in alone.models] == ["", "", ""]
    train_run(study.run_folder(study.plans[1]))
    found = summarise_study(study)
    assert found.comparison is not None
    assert [(pair.scope, pair.method) for pair in found.comparison.pairs] == [("trained_models", "mcnemar")]
    assert "linear leads" in found.verdicts[0]
    assert [bool(row.letters) for row in found.models] == [True, True, False]
    assert all(row.weights_bytes and row.training_seconds for row in found.models[:2])
    assert '"letters"' in found.to_json()
