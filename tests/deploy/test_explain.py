"""Explanations from an export, against texts with words left out, prefixes, and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.deploy.conftest import LENGTH, keras_answers
from unrolled.deploy import Predictor, TextExplainer
from unrolled.deploy.backward import BackwardThroughTime
from unrolled.errors import DataError, UsageError

Exports = Callable[..., Path]
TEXT = "ba bö zeichen1, Gie mun fa"


def log_odds(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))


@pytest.mark.parametrize(("name", "classes"), [("lstm", 3), ("cnn_gru", 3), ("cnn", 2), ("linear", 3)])
def test_a_words_part_is_what_the_answer_loses_without_it(exports: Exports, name: str, classes: int) -> None:
    predictor = Predictor(exports(name, classes, "notebook" if name == "cnn" else "standard"))
    found = TextExplainer(predictor).explain(TEXT)
    whole = predictor.predict_proba([TEXT])[0]
    target = int(whole.argmax())
    assert (found.label, found.probability) == (predictor.labels[target], pytest.approx(float(whole[target])))
    words = TEXT.replace(",", "").split()
    assert [word.text for word in found.words] == words
    assert [TEXT[word.start : word.end] for word in found.words] == words
    for place, word in enumerate(found.words):
        without = " ".join(words[:place] + words[place + 1 :])
        expected = log_odds(float(whole[target])) - log_odds(
            float(predictor.predict_proba([without])[0][target])
        )
        assert word.contribution == pytest.approx(expected, abs=2e-3)
    assert found.log_odds_of_parts == pytest.approx(sum(word.contribution or 0 for word in found.words))
    assert found.empty_probability == pytest.approx(float(predictor.predict_proba([""])[0][target]), abs=1e-6)


@pytest.mark.parametrize("name", ["lstm", "simple_rnn", "cnn", "bilstm"])
def test_reading_from_left_to_right_is_reading_the_beginnings(exports: Exports, name: str) -> None:
    predictor = Predictor(exports(name, 2, "notebook" if name == "cnn" else "standard"))
    found = TextExplainer(predictor).explain(TEXT)
    target = predictor.labels.index(found.label)
    words = TEXT.split()
    by_words = {count: probability for count, probability in found.reading if count}
    assert set(by_words) == set(range(1, len(words) + 1))
    for count, probability in by_words.items():
        expected = predictor.predict_proba([" ".join(words[:count])])[0][target]
        assert probability == pytest.approx(float(expected), abs=1e-5)
    assert found.reading_by == ("state" if name in ("lstm", "simple_rnn") else "prefixes")


def literal_scores(run: Path, cell: str, ids: list[int], bend: tuple[int, np.ndarray] | None) -> np.ndarray:
    """The logits by a loop over Keras' equations in float64; ``bend`` adds to the state at one step."""
    by_place = dict(sorted(load_file(run / "weights.safetensors").items()))
    arrays = [array.astype(np.float64) for array in by_place.values()]
    table, kernel, recurrent, bias, out, out_bias = arrays
    units = recurrent.shape[0]
    hidden, memory = np.zeros(units), np.zeros(units)

    def sigmoid(value: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-value))

    for step, token in enumerate(ids):
        x = table[token if token < len(table) else 2]
        if cell == "simple_rnn":
            hidden = np.tanh(x @ kernel + hidden @ recurrent + bias)
        elif cell == "gru":
            ours, theirs = x @ kernel + bias[0], hidden @ recurrent + bias[1]
            update, reset = (
                sigmoid(ours[part] + theirs[part]) for part in (slice(units), slice(units, 2 * units))
            )
            new = np.tanh(ours[2 * units :] + reset * theirs[2 * units :])
            hidden = update * hidden + (1 - update) * new
        else:
            admit, keep, new, emit = np.split(x @ kernel + hidden @ recurrent + bias, 4)
            memory = sigmoid(keep) * memory + sigmoid(admit) * np.tanh(new)
            hidden = sigmoid(emit) * np.tanh(memory)
        if bend is not None and bend[0] == step:
            hidden = hidden + bend[1]
    return hidden @ out + out_bias


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_the_gradient_through_time_is_what_finite_differences_say(exports: Exports, cell: str) -> None:
    folder = exports(cell, 3)
    run = folder.parent / f"{cell}-seed0"
    predictor = Predictor(folder)
    backward = BackwardThroughTime(predictor)
    ids = np.array([1, 5, 9, 60, 12, 7, 4], np.int64)
    np.testing.assert_allclose(backward.scores(ids), literal_scores(run, cell, ids.tolist(), None), atol=1e-6)
    for target in range(3):
        norms = backward.norms(ids, target)
        for step in range(len(ids)):
            slopes = []
            for unit in range(6):
                bend = np.zeros(6)
                bend[unit] = 1e-5
                high, low = (
                    literal_scores(run, cell, ids.tolist(), (step, sign * bend))[target] for sign in (1, -1)
                )
                slopes.append((high - low) / 2e-5)
            assert norms[step] == pytest.approx(float(np.linalg.norm(slopes)), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", ["stacked_lstm", "cnn_gru"])
@pytest.mark.parametrize("protocol", ["standard", "notebook"])
def test_the_walk_in_numpy_ends_at_the_models_answer(exports: Exports, name: str, protocol: str) -> None:
    folder = exports(name, 3 if protocol == "standard" else 2, protocol)
    ids = np.array([1, 5, 9, 6, 12, 7, 4], np.int64)
    scores = BackwardThroughTime(Predictor(folder)).scores(ids)
    expected = keras_answers(folder.parent / f"{name}-seed0", [ids.tolist()])[0]
    if len(scores) == 1:
        found = np.array([1 - 1 / (1 + np.exp(-scores[0])), 1 / (1 + np.exp(-scores[0]))])
    else:
        found = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_where_there_is_no_gradient_the_reason_is_named(exports: Exports) -> None:
    reasons = {
        "not recurrent": exports("linear", 3),
        "both directions": exports("bilstm"),
        "eight bits": exports("lstm", 3, int8=True),
    }
    for reason, folder in reasons.items():
        found = TextExplainer(Predictor(folder)).explain(TEXT)
        assert found.gradient is None
        assert reason in found.gradient_reason


def test_long_texts_unknown_labels_and_no_words(exports: Exports) -> None:
    explainer = TextExplainer(Predictor(exports("gru")))
    words = [f"wort{number}" for number in range(3 * LENGTH)]
    found = explainer.explain(" ".join(words))
    assert [word.read for word in found.words] == [False] * 2 * LENGTH + [True] * LENGTH
    assert all((word.contribution is None) == (not word.read) for word in found.words)
    assert found.gradient is not None
    assert len(found.gradient) == LENGTH
    empty = explainer.explain("")
    assert empty.words == []
    assert empty.probability == pytest.approx(empty.empty_probability)
    with pytest.raises(UsageError, match="Try: bad"):
        explainer.explain("ba", label="baad")
    with pytest.raises(DataError, match="lone surrogate"):
        explainer.explain("\ud83d")
