"""SequenceClassifier on numbers: ragged and padded input, masking, and what it refuses."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from unrolled import SequenceClassifier
from unrolled.data.steps import Steps, pad_steps
from unrolled.errors import DataError, UsageError
from unrolled.estimators.inputs import read_sequences
from unrolled.layers import loosen_length
from unrolled.models import architectures, build_model, make_spec
from unrolled.types import EncodedSplit

SMALL = {"model": "simple_rnn", "units": 6, "epochs": 12, "learning_rate": 2e-2, "random_state": 0}
READERS = [
    name for name in architectures().names() if "features" in architectures().get(name).spec.model_fields
]


def waves(count: int = 90, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Ragged sequences of two features; the class is where the first one rises to, on a large scale."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    rows = []
    for label in labels:
        time = int(rng.integers(5, 14))
        row = rng.normal(0, 0.2, (time, 2))
        row[:, 0] += np.linspace(0, label - 1, time)
        rows.append(1000 + 50 * row)
    return rows, labels


@pytest.fixture(scope="module")
def fitted() -> SequenceClassifier:
    return SequenceClassifier(**SMALL).fit(*waves())


def test_it_learns_ragged_sequences(fitted: SequenceClassifier) -> None:
    rows, labels = waves(60, seed=1)
    assert fitted.score(rows, labels) > 0.9
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.n_features_in_ == 2
    assert [layer.name for layer in build_model(fitted.spec_).layers] == [
        "marked_steps",
        "simple_rnn",
        "output",
    ]
    np.testing.assert_allclose(fitted.predict_proba(rows).sum(axis=1), 1, atol=1e-6)
    together = fitted.predict_proba(rows)
    np.testing.assert_allclose(
        np.vstack([fitted.predict_proba([row]) for row in rows[:3]]), together[:3], atol=1e-5
    )


def test_the_mean_of_the_training_steps_is_taken_out() -> None:
    rows, labels = waves()
    model = SequenceClassifier(**{**SMALL, "epochs": 1, "validation_fraction": None}).fit(rows, labels)
    np.testing.assert_allclose(model.mean_, np.concatenate(rows).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.scale_, np.concatenate(rows).std(axis=0), rtol=1e-4)
    constant = [np.full((4, 1), 7.0)] * 4
    still = SequenceClassifier(**{**SMALL, "epochs": 1}).fit(constant, [0, 1, 0, 1])
    assert still.scale_.tolist() == [1.0]


@pytest.mark.parametrize(
    "name",
    [
        n if n in ("simple_rnn", "cnn", "cnn_lstm") else pytest.param(n, marks=pytest.mark.slow)
        for n in READERS
    ],
)
def test_padding_is_masked_in_every_architecture_and_zeros_are_data(name: str) -> None:
    small = {"units": 4, "filters": 3, "hidden_units": 5}
    fields = architectures().get(name).spec.model_fields
    spec = make_spec(name, features=2, length=8, **{k: v for k, v in small.items() if k in fields})
    network = build_model(spec, seed=1)
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(time, 2)).astype(np.float32) for time in (8, 5, 2)]
    split = EncodedSplit(Steps.from_arrays(rows), np.zeros(3, np.int32))
    batch = np.asarray(pad_steps(split, np.arange(3), batch_size=3, length=8).tokens)
    answers = np.asarray(network(batch))
    dirty = batch.copy()
    dirty[batch[..., -1] == 0, :2] = 9.0
    np.testing.assert_allclose(np.asarray(network(dirty)), answers, atol=1e-6)
    if not spec.fixed_length:
        free = loosen_length(network)
        for row, answer in zip(rows, answers, strict=True):
            alone = np.concatenate([row, np.ones((len(row), 1), np.float32)], axis=1)[None]
            np.testing.assert_allclose(np.asarray(free(alone))[0], answer, atol=1e-6)
    # A real step of zeros counts; the usual masking value would swallow it.
    silent = batch.copy()
    silent[1, -2, :2] = 0.0
    assert np.abs(np.asarray(network(silent))[1] - answers[1]).max() > 1e-6


def test_steps_are_packed_taken_and_padded() -> None:
    rows = [np.arange(2 * time, dtype=np.float64).reshape(time, 2) for time in (3, 1, 4)]
    steps = Steps.from_arrays(rows)
    taken = steps.take(np.array([2, 0]))
    np.testing.assert_array_equal(taken[0], rows[2])
    np.testing.assert_array_equal(taken[1], rows[0])
    batch = pad_steps(
        EncodedSplit(taken, np.array([1, 0], np.int32)), np.array([0, 1]), batch_size=3, length=3
    )
    tokens = np.asarray(batch.tokens)
    np.testing.assert_array_equal(tokens[0, :, :2], rows[2][1:])
    np.testing.assert_array_equal(tokens[1, :, :2], rows[0])
    np.testing.assert_array_equal(tokens[..., 2], 1)
    assert batch.weights.tolist() == [1, 1, 0]


def test_forms_of_input_mean_the_same() -> None:
    cube = np.random.default_rng(0).normal(size=(4, 5, 2))
    wanted = read_sequences(cube, "X")
    ragged = np.empty(4, object)
    ragged[:] = list(cube)
    for form in (list(cube), tuple(cube), cube.tolist(), ragged, cube.astype(np.float32)):
        found = read_sequences(form, "X")
        np.testing.assert_array_equal(found.values, wanted.values)
        np.testing.assert_array_equal(found.offsets, wanted.offsets)
    flat = read_sequences(cube[:, :, 0], "X")
    np.testing.assert_array_equal(flat.values, read_sequences([row[:, 0] for row in cube], "X").values)
    assert flat.num_features == 1


@pytest.mark.parametrize(
    ("sequences", "kind", "message"),
    [
        (np.zeros(4), UsageError, "Reshape your data"),
        (np.zeros((2, 2, 2, 2)), UsageError, "Reshape your data"),
        (csr_matrix((3, 2)), UsageError, "sparse"),
        ("abc", UsageError, "not sequences of numbers"),
        ([["a", "b"]], UsageError, "not sequences of numbers"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], UsageError, "of 1 and of 2 features"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], DataError, "sample 1: the sequence has no steps"),
        ([[1.0, np.nan]], DataError, "NaN"),
        ([[1.0, np.inf]], DataError, "inf"),
        (np.zeros((0, 3)), DataError, "0 sample"),
        ([[1j]], UsageError, "Complex data not supported"),
    ],
)
def test_what_is_no_sequence_is_refused(sequences, kind, message: str) -> None:
    with pytest.raises(kind, match=message):
        read_sequences(sequences, "X")


def test_mistakes_in_use(fitted: SequenceClassifier) -> None:
    with pytest.raises(UsageError, match="X has 3 features, but SequenceClassifier is expecting 2 features"):
        fitted.predict(np.zeros((2, 4, 3)))
    for name in ("linear", "dense"):
        with pytest.raises(UsageError, match="reads token ids alone"):
            SequenceClassifier(name).fit(*waves(12))
    with pytest.raises(NotFittedError):
        SequenceClassifier().predict(np.zeros((2, 4, 3)))


def test_pickled_and_saved_it_answers_the_same(fitted: SequenceClassifier, tmp_path: Path) -> None:
    rows, _ = waves(9, seed=2)
    wanted = fitted.predict_proba(rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(rows), wanted)
    fitted.save(tmp_path)
    again = SequenceClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(rows), wanted)
    assert again.get_params() == fitted.get_params()


@pytest.mark.slow
def test_cross_validation_over_arrays_of_one_shape() -> None:
    rows, labels = waves()
    cube = np.stack([row[:5] for row in rows])
    cube[:, :, 0] += 50 * (labels[:, None] - 1)
    assert cross_val_score(clone(SequenceClassifier(**SMALL)), cube, labels, cv=3).mean() > 0.9
