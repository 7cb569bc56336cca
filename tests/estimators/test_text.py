"""TextClassifier as scikit-learn's users use it, and what it refuses."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from unrolled import TextClassifier
from unrolled.errors import DataError, UsageError

SMALL = {
    "model": "gru",
    "units": 6,
    "embedding_size": 6,
    "length": 12,
    "epochs": 12,
    "learning_rate": 2e-2,
    "random_state": 0,
}


def opinions(count: int = 120, classes: int = 2, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts whose label is one word among filler."""
    rng = np.random.default_rng(seed)
    words = {"bad": "awful", "good": "superb", "middling": "decent"}
    names = list(words)[:classes]
    texts, labels = [], []
    for row in range(count):
        text = [
            *rng.choice(["the", "film", "plot", "music", "scene"], 5),
            words[names[row % classes]],
            str(row),
        ]
        rng.shuffle(text)
        texts.append(" ".join(text))
        labels.append(names[row % classes])
    return texts, labels


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return TextClassifier(**SMALL).fit(*opinions(classes=3))


def test_it_learns_and_says_what_it_did(fitted: TextClassifier) -> None:
    texts, labels = opinions(60, classes=3, seed=1)
    assert fitted.classes_.tolist() == ["bad", "good", "middling"]
    probabilities = fitted.predict_proba(texts)
    assert probabilities.shape == (60, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert fitted.predict(texts).tolist() == fitted.classes_[probabilities.argmax(axis=1)].tolist()
    assert fitted.score(texts, labels) > 0.95
    assert fitted.validation_size_ > 0
    assert fitted.n_iter_ == len(fitted.history_)
    assert fitted.spec_.units == 6
    # One, a few and many texts take different programs.
    for count in (1, 5, 60):
        np.testing.assert_allclose(fitted.predict_proba(texts[:count]), probabilities[:count], atol=1e-5)


def test_containers_of_texts_and_kinds_of_labels(fitted: TextClassifier) -> None:
    texts, _ = opinions(6, classes=3)
    wanted = fitted.predict_proba(texts)
    index = [7, 5, 3, 1, 0, 2]
    for form in (
        tuple(texts),
        np.array(texts),
        np.array(texts, object),
        pd.Series(texts, index=index),
        iter(texts),
    ):
        np.testing.assert_array_equal(fitted.predict_proba(form), wanted)
    texts, labels = opinions(60)
    for kind in (
        np.array([int(label == "good") for label in labels]),
        pd.Series([label == "good" for label in labels]),
    ):
        found = TextClassifier("linear").fit(texts, kind).predict(texts)
        assert found.dtype == np.asarray(kind).dtype
        assert (found == np.asarray(kind)).mean() > 0.95


def test_a_polars_series_is_a_series(fitted: TextClassifier) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    texts, _ = opinions(4, classes=3)
    np.testing.assert_array_equal(fitted.predict_proba(polars.Series(texts)), fitted.predict_proba(texts))


def test_clone_pipeline_search_and_cross_validation() -> None:
    texts, labels = opinions(60)
    model = TextClassifier(**SMALL)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "classes_")
    assert model.set_params(units=4).units == 4
    lower = FunctionTransformer(lambda rows: [row.replace("0", "") for row in rows])
    pipeline = Pipeline([("clean", lower), ("model", TextClassifier("linear"))])
    assert cross_val_score(pipeline, texts, labels, cv=3).min() > 0.9
    search = GridSearchCV(pipeline, {"model__model_settings": [{"ngrams": 1}, {"ngrams": 2}]}, cv=2)
    search.fit(pd.Series(texts), labels)
    assert search.best_score_ > 0.9
    assert search.predict(texts[:4]).tolist() == labels[:4]


def test_the_same_state_gives_the_same_bits_and_leaves_global_generators_alone() -> None:
    texts, labels = opinions(40)
    settings = {**SMALL, "epochs": 1}
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = TextClassifier(**settings).fit(texts, labels).predict_proba(texts)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(TextClassifier(**settings).fit(texts, labels).predict_proba(texts), first)
    other = TextClassifier(**{**settings, "random_state": 1}).fit(texts, labels).predict_proba(texts)
    assert np.abs(other - first).max() > 1e-4


@pytest.mark.parametrize("how", ["pickle", "folder"])
def test_pickled_or_saved_it_answers_the_same(fitted: TextClassifier, tmp_path: Path, how: str) -> None:
    texts, _ = opinions(9, classes=3)
    if how == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        fitted.save(tmp_path / "saved")
        again = TextClassifier.load(tmp_path / "saved")
        assert {file.suffix for file in (tmp_path / "saved").iterdir()} == {".json", ".safetensors"}
    np.testing.assert_array_equal(again.predict_proba(texts), fitted.predict_proba(texts))
    assert again.get_params() == fitted.get_params()
    assert again.predict(texts).dtype == fitted.predict(texts).dtype
    assert (again.n_iter_, again.best_epoch_) == (fitted.n_iter_, fitted.best_epoch_)


def test_a_saved_baseline_with_weights_and_number_labels(tmp_path: Path) -> None:
    texts, labels = opinions(60)
    numbers = [int(label == "good") for label in labels]
    model = TextClassifier("linear", class_weight={0: 1.0, 1: 3.0}, random_state=np.random.RandomState(0))
    model.fit(texts, numbers).save(tmp_path)
    again = TextClassifier.load(tmp_path)
    assert again.class_weight == {0: 1.0, 1: 3.0}
    assert again.random_state is None
    np.testing.assert_array_equal(again.predict_proba(texts), model.predict_proba(texts))
    plain = TextClassifier("linear").fit(texts, numbers).predict_proba(texts)
    assert (model.predict_proba(texts)[:, 1] > plain[:, 1]).all()
    line = [sys.executable, "-m", "unrolled.cli", "predict", str(tmp_path), "superb superb film"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.stdout.startswith("1\t"), done.stderr


def test_a_changed_file_and_a_foreign_folder_are_refused(fitted: TextClassifier, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a saved TextClassifier"):
        TextClassifier.load(tmp_path)
    fitted.save(tmp_path)
    weights = tmp_path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match=r"the content has changed"):
        TextClassifier.load(tmp_path)


def test_rare_classes_and_equal_texts_leave_nothing_aside() -> None:
    texts, labels = opinions(12)
    model = TextClassifier(**{**SMALL, "epochs": 2}).fit(texts, labels)
    assert (model.validation_size_, model.n_iter_) == (0, 2)
    same = TextClassifier(**{**SMALL, "epochs": 1}).fit(["good"] * 10 + ["bad"] * 10, [1] * 10 + [0] * 10)
    assert same.validation_size_ == 0


def test_class_weights_move_a_rare_class() -> None:
    texts, labels = opinions(120)
    kept = [row for row, label in enumerate(labels) if label == "bad" or row < 12]
    texts, labels = [texts[row] for row in kept], [labels[row] for row in kept]
    settings = {**SMALL, "epochs": 1, "validation_fraction": None}
    plain, weighted = (
        TextClassifier(**settings, class_weight=weight).fit(texts, labels).predict_proba(texts)[:, 1].mean()
        for weight in (None, "balanced")
    )
    assert weighted > plain + 0.1


@pytest.mark.parametrize(
    ("texts", "labels", "kind", "message"),
    [
        ("one text", ["a"], UsageError, "put it in a list"),
        (csr_matrix((3, 2)), [0, 1, 0], UsageError, "sparse"),
        (np.array([["a"], ["b"]]), [0, 1], UsageError, r"texts in a table \(got shape=\(2, 1\)\)"),
        (pd.DataFrame({"text": ["a", "b"]}), [0, 1], UsageError, r'X\["text"\]'),
        ([], [], DataError, "0 sample"),
        (["a", None], [0, 1], DataError, r"sample 1: not a text \(got a missing value\)"),
        (pd.Series(["a", np.nan]), [0, 1], DataError, "a missing value"),
        (["a", 3], [0, 1], DataError, r"got int"),
        (["a", "b"], [0], UsageError, "inconsistent numbers of samples"),
        (["a", "b"], None, UsageError, "y is None"),
        (["a", "b"], ["x", None], DataError, "NaN or None"),
        (["a", "b"], ["x", "x"], DataError, "one class"),
        (["a", "b"], [0.5, 1.7], ValueError, "continuous"),
        (["?", "!"], [0, 1], DataError, "no word"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(texts, labels, kind, message: str) -> None:
    with pytest.raises(kind, match=message):
        TextClassifier("linear").fit(texts, labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "lsmt"}, "Try: lstm"),
        ({"model": "cnn", "units": 3}, "unknown setting"),
        ({"epochs": 0}, r"epochs does not fit \(got epochs=0\)"),
        ({"validation_fraction": 1.5}, "validation_fraction is out of range"),
        ({"class_weight": "equal"}, "class_weight does not fit"),
        ({"token_units": "syllables"}, "unknown units"),
    ],
)
def test_parameters_are_checked_in_fit(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TextClassifier(**{**SMALL, **settings}).fit(*opinions(40))


def test_unfitted_is_said_so() -> None:
    with pytest.raises(NotFittedError):
        TextClassifier().predict(["a"])
    with pytest.raises(NotFittedError):
        TextClassifier().save("nowhere")
