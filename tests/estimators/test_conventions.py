"""scikit-learn's own checks. What cannot apply is listed with its reason, and must go on failing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from unrolled import SequenceClassifier, TextClassifier
from unrolled.estimators.base import Classifier

# Checks that bring no table of their own: they hold for texts as they stand.
WITHOUT_DATA = (
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)

NOT_FOR_SEQUENCES = {
    "check_dtype_object": "a dict in place of a number is a UsageError of our own, not a TypeError",
    "check_n_features_in": "the columns of a table are steps of one feature, so n_features_in_ is 1",
    "check_n_features_in_after_fitting": "a table with more columns holds longer sequences, which is fine",
    "check_classifiers_train": "expects an error for a table with more columns, as the one before",
}


class TableClassifier(TextClassifier):
    """Turns each number into a word, so that checks which bring tables run through fitting and predicting."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags

    def _texts(self, X: Any, *, reset: bool) -> list[str]:
        table = validate_data(self, X, reset=reset)
        return [
            " ".join(f"c{column}v{round(2 * value)}" for column, value in enumerate(row)) for row in table
        ]

    def fit(self, X: Any, y: Any) -> TableClassifier:
        return super().fit(self._texts(X, reset=True), y)

    def predict_proba(self, X: Any) -> Any:
        # Before any reading of X, as an estimator that is not fitted must say so whatever it is given.
        estimator_checks.check_is_fitted(self)
        return super().predict_proba(self._texts(X, reset=False))


@pytest.mark.parametrize("kind", [TextClassifier, SequenceClassifier])
@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_checks_without_data(kind: type[Classifier], name: str) -> None:
    getattr(estimator_checks, name)(kind.__name__, kind())


def test_scikit_learn_knows_that_texts_are_no_table() -> None:
    with pytest.warns(SkipTestWarning, match="string=True"):
        lines = check_estimator(TextClassifier(), on_skip=None)
    assert [line["check_name"] for line in lines] == ["check_estimator_cloneable"]


def failures(estimator: Classifier, expected: dict[str, str]) -> tuple[set[str], dict[str, Any], int]:
    """Expected failures that happened, unexpected ones with their cause, and how many checks passed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
    wrong = {line["check_name"]: line["exception"] for line in lines if line["status"] == "failed"}
    known = {line["check_name"] for line in lines if line["status"] == "xfail"}
    return known, wrong, sum(line["status"] == "passed" for line in lines)


def test_every_check_on_texts_made_of_tables() -> None:
    known, wrong, passed = failures(TableClassifier("linear", model_settings={"ngrams": 1}), {})
    assert wrong == {}
    assert known == set()
    assert passed > 45


@pytest.mark.slow
def test_every_check_on_sequences() -> None:
    model = SequenceClassifier(
        "simple_rnn", units=4, epochs=30, learning_rate=3e-2, batch_size=16, random_state=0
    )
    known, wrong, passed = failures(model, NOT_FOR_SEQUENCES)
    assert wrong == {}
    assert known == set(NOT_FOR_SEQUENCES)
    assert passed > 45


def test_labels_keep_their_kind() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) + 3 * np.repeat([[0], [1]], 20, axis=0)
    for labels in ([True] * 20 + [False] * 20, [3] * 20 + [-1] * 20, ["b"] * 20 + ["ä"] * 20):
        found = TableClassifier("linear", model_settings={"ngrams": 1}).fit(X, labels).predict(X)
        assert found.dtype == np.array(labels).dtype
        assert (found == np.array(labels)).mean() > 0.8
