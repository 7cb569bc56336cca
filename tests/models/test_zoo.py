"""Contracts that every registered architecture keeps; a new one joins by being registered."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tomli_w

from unrolled.errors import UsageError
from unrolled.layers import accelerate, loosen_length
from unrolled.models import architectures, build_model, make_spec, parse_spec, summarise
from unrolled.models.build import outline_model
from unrolled.training.network import Network
from unrolled.types import SequenceBatch

ALL = architectures().names()
NEURAL = tuple(name for name in ALL if architectures().get(name).spec.neural)
EMBEDDED = tuple(name for name in NEURAL if name != "dense")
FREE_LENGTH = tuple(name for name in NEURAL if not architectures().get(name).spec.fixed_length)

# The lab's own figures, at a vocabulary of 10,000, embedding 100, length 500.
LAB_PARAMETERS = {
    "dense": 125_501,
    "embedding_dense": 13_500_501,
    "cnn": 3_010_133,
    "simple_rnn": 1_020_201,
    "lstm": 1_080_501,
    "cnn_lstm": 1_062_933,
    "cnn_gru": 1_049_933,
    "cnn_gru (long)": 1_049_933,
    "cnn_gru_dropout": 1_049_933,
}
# Worked out by hand: embedding, gates × (inputs + units [+ biases]) × units, output.
OWN_PARAMETERS = {
    "gru": 1_000_000 + 3 * (100 + 100 + 2) * 100 + 101,
    "bilstm": 1_000_000 + 2 * 4 * (100 + 100 + 1) * 100 + 201,
    "stacked_lstm": 1_000_000 + 2 * 4 * (100 + 100 + 1) * 100 + 101,
}


def tiny(name: str, **settings: object):
    """A spec small enough to train in a test."""
    fields = architectures().get(name).spec.model_fields
    small = {
        "vocabulary_size": 30,
        "length": 12,
        "embedding_size": 6,
        "units": 5,
        "filters": 4,
        "hidden_units": 7,
    }
    return make_spec(name, **{k: v for k, v in small.items() if k in fields}, **settings)


def sequences(rng: np.random.Generator, *lengths: int, time: int = 12) -> np.ndarray:
    """Left-padded token rows of the given lengths, int32."""
    rows = np.zeros((len(lengths), time), np.int32)
    for row, length in zip(rows, lengths, strict=True):
        row[time - length :] = rng.integers(1, 30, length)
    return rows


@pytest.mark.parametrize(("name", "count"), [*LAB_PARAMETERS.items(), *OWN_PARAMETERS.items()])
def test_parameters_are_exact(name: str, count: int) -> None:
    network = outline_model(make_spec(name))
    assert network.count_params() == count
    assert sum(row.parameters for row in summarise(network)) == count


def test_every_network_has_a_figure_to_meet() -> None:
    known = {name.replace(" (", "_").replace(")", "") for name in (*LAB_PARAMETERS, *OWN_PARAMETERS)}
    assert known == set(NEURAL)


@pytest.mark.parametrize("name", ALL)
def test_spec_survives_toml_and_json(name: str) -> None:
    spec = tiny(name, classes=3)
    assert parse_spec(json.loads(spec.model_dump_json())) == spec
    assert parse_spec(tomllib.loads(tomli_w.dumps(spec.model_dump()))) == spec


@pytest.mark.parametrize("name", ALL)
def test_unknown_setting_names_the_nearest(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown setting \(got lenght=3\).*Try: length"):
        make_spec(name, lenght=3)


def test_specs_are_frozen_and_checked() -> None:
    spec = make_spec("lstm")
    with pytest.raises(ValueError, match="frozen"):
        spec.units = 3  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"units does not fit \(got units=0\)"):
        make_spec("lstm", units=0)
    with pytest.raises(UsageError, match=r"unknown name \(got model='lsmt'\).*Try: lstm"):
        make_spec("lsmt")
    with pytest.raises(UsageError, match='Expected a key "architecture"'):
        parse_spec({"units": 3})


@cache
def network_of(name: str, classes: int = 2) -> Network:
    """A tiny network without dropout, compiled once for all tests that can share it."""
    settings = {"dropout": 0.0} if "dropout" in architectures().get(name).spec.model_fields else {}
    return Network(tiny(name, classes=classes, **settings), seed=2, learning_rate=2e-2)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        # The same layers as cnn_gru.
        pytest.param(name, 2, marks=pytest.mark.slow if name.startswith("cnn_gru_") else ())
        for name in NEURAL
    ]
    + [("lstm", 3), ("cnn", 3)],
)
def test_probabilities_and_gradients_are_sound(name: str, classes: int) -> None:
    import jax

    network = network_of(name, classes)
    tokens = sequences(np.random.default_rng(0), 12, 11, 9, 8, 6, 5, 1, 0)
    state = network.initial_state()
    found = network.probabilities(state, tokens)
    assert found.shape == (8, classes)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    alone = np.concatenate([network.probabilities(state, row[None]) for row in tokens])
    np.testing.assert_allclose(found, alone, atol=1e-6)

    labels = np.arange(8, dtype=np.int32) % classes
    batch = SequenceBatch(tokens, labels, np.ones(8, np.float32))
    before = jax.device_get(state.trainable)
    after, loss, _ = network.step(state, batch)
    assert np.isfinite(float(loss))
    for old, new in zip(before, jax.device_get(after.trainable), strict=True):
        assert np.isfinite(new).all()
        assert old.shape == new.shape


@pytest.mark.parametrize("name", EMBEDDED)
def test_masked_padding_never_changes_a_prediction(name: str) -> None:
    network = build_model(tiny(name), seed=3)
    tokens = sequences(np.random.default_rng(1), 12, 7, 3, 1)
    before = np.asarray(network(tokens))
    table = network.layers[0].embeddings
    table.assign(np.concatenate([np.full((1, 6), 7.0, np.float32), np.asarray(table)[1:]]))
    np.testing.assert_array_equal(np.asarray(network(tokens)), before)
    word = build_model(tiny(name, padding="word"), seed=3)
    plain = np.asarray(word(tokens))
    table = word.layers[0].embeddings
    table.assign(np.concatenate([np.full((1, 6), 7.0, np.float32), np.asarray(table)[1:]]))
    assert np.abs(np.asarray(word(tokens)) - plain)[1:].max() > 1e-4, "padding as a word must show"


@pytest.mark.parametrize("free", [accelerate, loosen_length])
@pytest.mark.parametrize(
    ("name", "time"), [*((name, 13) for name in FREE_LENGTH), ("cnn_lstm", 7), ("cnn_lstm", 8), ("lstm", 7)]
)
def test_more_or_less_masked_padding_changes_nothing(
    name: str, time: int, free: Callable[[Any], Any]
) -> None:
    network = build_model(tiny(name), seed=3)
    tokens = sequences(np.random.default_rng(2), 7, 4, 1)
    other = np.zeros((3, time), np.int32)
    other[:, time - 7 :] = tokens[:, 5:]
    np.testing.assert_allclose(np.asarray(free(network)(other)), np.asarray(network(tokens)), atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["lstm", pytest.param("bilstm", marks=pytest.mark.slow), "cnn_gru_dropout"])
def test_dropout_is_on_in_training_and_off_in_prediction(name: str, fused: bool) -> None:
    tokens = sequences(np.random.default_rng(2), 7, 4, 1, 9)
    batch = SequenceBatch(tokens, np.array([0, 1, 0, 1], np.int32), np.ones(4, np.float32))
    losses, predictions = [], []
    for dropout in (0.0, 0.6):
        network = Network(tiny(name, dropout=dropout), seed=1, learning_rate=1e-2, fused=fused)
        predictions.append(network.probabilities(network.initial_state(), tokens))
        losses.append(float(network.step(network.initial_state(), batch)[1]))
    assert losses[0] != losses[1]
    np.testing.assert_array_equal(*predictions)


@pytest.mark.parametrize("name", NEURAL)
def test_overfits_eight_examples_and_repeats_its_bits(name: str) -> None:
    tokens = sequences(np.random.default_rng(5), 12, 11, 9, 8, 6, 5, 4, 2)
    batch = SequenceBatch(tokens, np.array([0, 1] * 4, np.int32), np.ones(8, np.float32))
    network = network_of(name)

    def train(steps: int):
        state = network.initial_state()
        for _ in range(steps):
            state, loss, right = network.step(state, batch)
        return network.weights(state), float(loss), float(right)

    weights, _, right = train(150)
    assert right == 8
    again, _, _ = train(150)
    for path, values in weights.items():
        np.testing.assert_array_equal(values, again[path])


def test_the_same_seed_builds_the_same_weights_and_another_does_not() -> None:
    first, second, other = (build_model(tiny("lstm"), seed=seed).get_weights() for seed in (4, 4, 5))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_a_keras_user_can_fit_a_model() -> None:
    model = build_model("cnn_gru", vocabulary_size=30, length=12, embedding_size=6, units=5, filters=4)
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    tokens = sequences(np.random.default_rng(0), *([12] * 16))
    history = model.fit(tokens, np.arange(16) % 2, epochs=2, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_the_baseline_is_no_network() -> None:
    with pytest.raises(UsageError, match="linear has no Keras layers"):
        build_model("linear")
