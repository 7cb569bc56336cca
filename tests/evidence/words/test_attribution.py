"""Integrated gradients: exact where the truth is a sum, complete where it is not, occlusion as defined."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.evidence.subjects import Logits
from unrolled.evidence.words.gradients import Attributor
from unrolled.evidence.words.linear import attribute_linear
from unrolled.evidence.words.measure import rank_correlation
from unrolled.models import make_spec
from unrolled.models.linear import LinearModel, LinearSpec, fit_linear
from unrolled.types import Ragged

SIZES = {
    "embedding_size": 6,
    "units": 5,
    "filters": 4,
    "hidden_units": 7,
    "vocabulary_size": 30,
    "length": 10,
}
TOKENS = np.array([0, 0, 0, 1, 7, 21, 9, 7, 15, 4], np.int32)


def draw_weights(network: Logits, scale: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights, large enough that gates saturate and units switch along the path."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(0, scale, tuple(variable.shape)).astype(np.float32)
        for name, variable in network.variables().items()
    }


def make(name: str, *, scale: float = 1.0, **settings) -> tuple[Logits, dict[str, np.ndarray], Attributor]:
    known = make_spec(name).model_dump()
    spec = make_spec(name, **{**{k: v for k, v in SIZES.items() if k in known}, **settings})
    network = Logits(spec)
    weights = draw_weights(network, scale)
    return network, weights, Attributor(network, network.load(weights))


def test_exact_on_a_network_that_is_a_sum() -> None:
    network, weights, _ = make("embedding_dense", padding="word")
    # A bias that keeps every unit on: the network is linear in its embeddings from the baseline to the text.
    embedding, kernel, bias, out, _ = weights.values()
    bias[:] = 1000.0
    found = Attributor(network, network.load(weights)).integrate(TOKENS, 1)
    parts = embedding[TOKENS].astype(np.float64)
    by_hand = np.einsum("te,teh,ho->t", parts, kernel.reshape(10, 6, 7).astype(np.float64), out)
    np.testing.assert_allclose(found.values, by_hand, atol=2e-4)
    assert found.num_steps == 16, "one panel is enough"
    np.testing.assert_allclose(
        Attributor(network, network.load(weights)).integrate(TOKENS, 0).values, -by_hand, atol=2e-4
    )


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("simple_rnn", {}),
        ("gru", {"classes": 3}),
        ("lstm", {"padding": "word"}),
        ("bilstm", {}),
        ("cnn", {}),
        ("cnn_lstm", {}),
        ("dense", {"scale": 0.02}),
    ],
)
def test_complete_within_one_percent_on_every_kind_of_network(name: str, settings: dict) -> None:
    network, weights, attributor = make(name, **settings)
    spec = network.spec
    for target in range(spec.classes):
        found = attributor.integrate(TOKENS, target)
        assert found.completeness_error <= 0.01
        assert np.isfinite(found.values).all()
    # What is explained is what the network answers.
    logits = network(network.load(weights), TOKENS[None])[0]
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(attributor.answer(TOKENS), chances, atol=1e-5)
    last = chances[-1]
    assert found.answer == pytest.approx(np.log(last / (1 - last)), abs=1e-3)
    silent = np.abs(found.values[:3]).max()
    # Id 0 of raw numbers multiplies every weight by nothing, with or without a mask.
    assert (silent > 0) == (spec.padding == "word")


def test_a_kinked_path_takes_more_steps_and_still_adds_up() -> None:
    _, _, attributor = make("cnn", scale=2.0)
    found = attributor.integrate(TOKENS, 1)
    assert found.num_steps > 16
    assert found.completeness_error <= 0.01


@pytest.mark.parametrize("name", ["lstm", "cnn", "dense"])
def test_occlusion_is_the_answer_without_the_word(name: str) -> None:
    network, weights, attributor = make(name, scale=0.5 if name != "dense" else 0.02)
    positions = np.arange(3, 10, dtype=np.int32)
    found = attributor.occlude(TOKENS, 1, positions)
    # Word 29 stands nowhere in the text; without features of its own it is what an occluded word reads as.
    if name != "dense":
        next(iter(weights.values()))[29] = 0.0
    empty = 29 if name != "dense" else 0
    loaded = network.load(weights)
    whole = network(loaded, TOKENS[None])[0]
    for place, value in zip(positions, found, strict=True):
        without = TOKENS.copy()
        without[place] = empty
        logits = network(loaded, without[None])[0]
        assert value == pytest.approx(float((whole[1] - whole[0]) - (logits[1] - logits[0])), abs=1e-4)


def test_many_positions_are_occluded_in_batches() -> None:
    _, _, attributor = make("cnn", length=80)
    tokens = np.resize(np.arange(4, 29, dtype=np.int32), 80)
    positions = np.arange(80, dtype=np.int32)
    whole = attributor.occlude(tokens, 1, positions)
    np.testing.assert_allclose(attributor.occlude(tokens, 1, positions[70:]), whole[70:], atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_baseline_is_attributed_exactly(classes: int) -> None:
    rng = np.random.default_rng(0)
    tokens = Ragged.from_lists([rng.integers(4, 12, rng.integers(3, 15)) for _ in range(60)])
    spec = LinearSpec(architecture="linear", vocabulary_size=11, classes=classes, min_count=1)
    model = fit_linear(spec, tokens, rng.integers(0, classes, 60).astype(np.int32))
    for row in range(5):
        text = tokens[row]
        scores = model.predict_probabilities(Ragged.from_lists([text.tolist()])).astype(np.float64)[0]
        for target in range(classes):
            found = attribute_linear(model, text, target)
            assert found.completeness_error < 1e-9
            if classes == 2:
                expected = np.log(scores[target] / (1 - scores[target]))
                assert found.answer == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_the_parts_of_an_ngram_share_its_weight() -> None:
    spec = LinearSpec(architecture="linear", vocabulary_size=10, ngrams=2)
    # One feature for the word 5, one for the pair 5, 6 (code 56).
    model = LinearModel(spec, np.array([5, 56]), np.array([[2.0], [3.0]], np.float32), np.array([0.5], "f4"))
    found = attribute_linear(model, np.array([5, 6, 5, 8], np.int32), 1)
    # The word occurs twice and counts once; the pair's 3 are shared by its two words.
    np.testing.assert_allclose(found.values, [1.0 + 1.5, 1.5, 1.0, 0.0])
    assert (found.baseline, found.answer) == (0.5, 5.5)
    np.testing.assert_allclose(
        attribute_linear(model, np.array([5, 6, 5, 8], np.int32), 0).values, -found.values
    )


def test_rank_correlation() -> None:
    values = np.array([3.0, 1.0, 2.0, 9.0])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1.0)
    assert rank_correlation(values, -values) == pytest.approx(-1.0)
    # By hand: ranks 3 1 2 4 against 1 2 3 4; 1 - 6 (4 + 1 + 1 + 0) / (4 · 15).
    assert rank_correlation(values, np.arange(4.0)) == pytest.approx(0.4)
    assert rank_correlation(values, np.ones(4)) == 0.0
