"""Gradients through time against finite differences, and decays that are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.errors import UsageError
from unrolled.evidence.behaviour.gradients import (
    fit_decay,
    measure_gradients,
    name_behaviour,
    trace_gradients,
)
from unrolled.evidence.behaviour.intervals import Interval
from unrolled.evidence.behaviour.recurrence import Recurrence, measure_sensitivity, read_recurrence
from unrolled.evidence.subjects import Logits
from unrolled.models import make_spec

TINY = {"vocabulary_size": 12, "length": 6, "embedding_size": 3, "units": 3}
CASES = {
    "simple_rnn": ("simple_rnn", {}),
    "gru": ("gru", {}),
    "lstm": ("lstm", {}),
    "bilstm": ("bilstm", {}),
    "stacked_lstm": ("stacked_lstm", {}),
    "stacked both ways": ("bilstm", {"num_layers": 2}),
    "three classes": ("gru", {"classes": 3}),
    "padding as a word": ("lstm", {"padding": "word"}),
    "hybrid": ("cnn_gru", {"filters": 3}),
}


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def literal_step(kind, arrays, x, state):
    """One review, one step, written after Keras' documentation of the cell."""
    kernel, recurrent, bias = arrays
    if kind == "SimpleRNN":
        return [np.tanh(x @ kernel + state[0] @ recurrent + bias)]
    units = len(state[0])
    if kind == "GRU":
        a, b = x @ kernel + bias[0], state[0] @ recurrent + bias[1]
        z, r = sigmoid(a[:units] + b[:units]), sigmoid(a[units : 2 * units] + b[units : 2 * units])
        h = np.tanh(a[2 * units :] + r * b[2 * units :])
        return [z * state[0] + (1 - z) * h]
    gates = x @ kernel + state[0] @ recurrent + bias
    i, f, c, o = (gates[part * units : (part + 1) * units] for part in range(4))
    cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(c)
    return [sigmoid(o) * np.tanh(cell), cell]


def literal_loss(recurrence: Recurrence, inputs, kept, label, push=None) -> float:
    """The loss of one review; ``push`` = (layer, direction, state, step, vector) is added to one state."""
    sequence, last = inputs, []
    for layer, (kind, directions) in enumerate(zip(recurrence.cells, recurrence.weights, strict=True)):
        outputs, last = [], []
        for direction, arrays in enumerate(directions):
            units = arrays[1].shape[0]
            state = [np.zeros(units) for _ in range(2 if kind == "LSTM" else 1)]
            shown = np.zeros((len(sequence), units))
            steps = range(len(sequence))[:: -1 if direction else 1]
            for step in steps:
                if kept[step]:
                    if push and push[:2] == (layer, direction) and push[3] == step and push[2] == 1:
                        # A push on the cell acts before the cell is shown.
                        gates = sequence[step] @ arrays[0] + state[0] @ arrays[1] + arrays[2]
                        cell = literal_step(kind, arrays, sequence[step], state)[1] + push[4]
                        state = [sigmoid(gates[3 * units :]) * np.tanh(cell), cell]
                    else:
                        state = literal_step(kind, arrays, sequence[step], state)
                        if push and push[:2] == (layer, direction) and push[3] == step:
                            state = [state[0] + push[4], *state[1:]]
                shown[step] = state[0]
            outputs.append(shown)
            last.append(state[0])
        sequence = np.concatenate(outputs, axis=1)
    logits = np.concatenate(last) @ recurrence.output[0] + recurrence.output[1]
    if len(logits) == 1:
        logits = np.array([0.0, logits[0]])
    return float(np.log(np.exp(logits).sum()) - logits[label])


def random_weights(network: Logits, rng) -> list:
    return [
        (0.6 * rng.normal(size=tuple(variable.shape))).astype(np.float32)
        for variable in network.model.trainable_variables
    ]


@pytest.mark.parametrize("case", CASES)
def test_norms_are_those_of_finite_differences(case: str) -> None:
    name, settings = CASES[case]
    rng = np.random.default_rng(3)
    network = Logits(make_spec(name, **{**TINY, **settings}))
    weights = random_weights(network, rng)
    tokens = rng.integers(4, 12, (3, 6)).astype(np.int32)
    tokens[0, :3] = 0
    labels = np.array([0, 1, 1], np.int32)
    found, error = trace_gradients(network, weights, tokens, labels)
    assert error < 1e-4, "the loop's logits are the network's"

    layers = network.model.layers
    first = next(
        place for place, layer in enumerate(layers) if hasattr(layer, "cell") or "bidir" in layer.name
    )
    with network.scope(weights):
        front, mask = network.before(tokens, layers[:first])
        recurrence = read_recurrence(layers[first:-1], layers[-1])
    kept = np.ones(front.shape[:2], bool) if mask is None else np.asarray(mask)
    inputs = np.asarray(front, np.float64)
    assert len(found) == sum(
        len(each) * (2 if kind == "LSTM" else 1)
        for kind, each in zip(recurrence.cells, recurrence.weights, strict=True)
    )
    for part in found:
        label = part.layer.removesuffix("/backward")
        layer, direction = recurrence.names.index(label), int(part.layer.endswith("/backward"))
        units = recurrence.weights[layer][direction][1].shape[0]
        for review in range(3):
            steps = np.flatnonzero(kept[review])[:: 1 if direction else -1]
            assert np.isfinite(part.norms[review]).sum() == len(steps)
            for back, step in enumerate(steps):
                slope = np.empty(units)
                for unit in range(units):
                    losses = []
                    for size in (1e-5, -1e-5):
                        vector = np.zeros(units)
                        vector[unit] = size
                        push = (layer, direction, int(part.state == "cell"), int(step), vector)
                        losses.append(
                            literal_loss(recurrence, inputs[review], kept[review], labels[review], push)
                        )
                    slope[unit] = (losses[0] - losses[1]) / 2e-5
                assert part.norms[review, back] == pytest.approx(np.linalg.norm(slope), rel=1e-5, abs=1e-9)


def linear_rnn(matrix: np.ndarray, time: int):
    """A SimpleRNN whose input and state are zero, where tanh is the identity."""
    units = len(matrix)
    arrays = (np.zeros((2, units)), matrix, np.zeros(units))
    recurrence = Recurrence(("SimpleRNN",), ("rnn",), ((arrays,),), (np.ones((units, 1)), np.zeros(1)))
    inputs = np.zeros((4, time, 2), np.float32)
    found, _ = measure_sensitivity(recurrence, inputs, np.ones((4, time), bool), np.zeros(4, np.int32))
    return fit_decay(found[0].norms[None])


@pytest.mark.parametrize(
    ("eigenvalue", "behaviour"),
    [(0.8, "vanishing"), (0.93, "vanishing"), (1.0, "stable"), (1.07, "exploding")],
)
def test_a_linear_network_decays_by_its_eigenvalue(eigenvalue: float, behaviour: str) -> None:
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    found = linear_rnn(eigenvalue * rotation, 120)
    assert found.factor.mean == pytest.approx(eigenvalue, rel=0.01)
    assert found.behaviour == behaviour


def test_the_largest_eigenvalue_wins_in_the_long_run() -> None:
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(6, 6))
    matrix = basis @ np.diag([0.95, 0.4, 0.3, 0.2, 0.1, 0.05]) @ np.linalg.inv(basis)
    assert linear_rnn(matrix, 200).factor.mean == pytest.approx(0.95, rel=0.01)


def test_steps_lost_in_rounding_are_left_out() -> None:
    # Below 1e-9 a floor that no fit should see.
    norms = np.maximum(0.5 ** np.arange(60.0), 1e-9) * np.ones((1, 5, 1))
    found = fit_decay(norms)
    assert found.noise_steps == found.num_steps == 24, "0.5 ** 24 is the first below float32's 2 ** -23"
    assert found.factor.mean == pytest.approx(0.5)


def test_the_standard_error_is_that_of_the_spread_between_reviews() -> None:
    rng = np.random.default_rng(2)
    slopes = rng.normal(-0.1, 0.02, (400, 1, 12, 1))
    factors = [fit_decay(np.exp(each * np.arange(30.0))) for each in slopes]
    spread = np.std([found.factor.mean for found in factors])
    assert np.mean([found.standard_error for found in factors]) == pytest.approx(spread, rel=0.1)
    covered = [found.factor.low <= np.exp(-0.1) <= found.factor.high for found in factors]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_names_need_certainty() -> None:
    assert name_behaviour(Interval(0.9, 0.7, 1.1), 200) == "stable"
    assert name_behaviour(Interval(1.1, 0.9, 1.2), 200) == "stable"
    assert name_behaviour(Interval(0.99, 0.98, 0.995), 10) == "stable"


def test_findings_of_a_study(study) -> None:
    found = {finding.model: finding for finding in measure_gradients(study)}
    assert list(found) == ["lstm"]
    lstm = found["lstm"]
    assert lstm.num_seeds == 2
    assert {"hidden_before", "hidden_after", "cell_before", "cell_after"} == set(lstm.curves)
    assert lstm.values["state_error"] < 1e-4
    for when in ("before", "after"):
        assert 0 < lstm.values[f"cell_decay_{when}"] < 1.2
        assert lstm.values[f"decay_{when}_standard_error"] > 0
    assert len(lstm.curves["hidden_after"].x) == lstm.values["num_steps"] >= 10


def test_other_cells_are_refused() -> None:
    from unrolled.layers import LSTM, keras

    network = keras.Sequential([keras.Input((4, 2)), LSTM(3, activation="relu"), keras.layers.Dense(1)])
    with pytest.raises(UsageError, match="no step-by-step reference for a layer"):
        read_recurrence(network.layers[:1], network.layers[-1])
