"""Padding against networks that are built to read it the other way."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.evidence.behaviour.padding import (
    UNUSED,
    measure_padding,
    place_reviews,
    warn_about_padding,
)
from unrolled.evidence.subjects import Logits
from unrolled.models import make_spec
from unrolled.types import Ragged


@pytest.mark.parametrize(
    ("side", "steps", "expected"),
    [
        ("left", 0, [[0, 0, 0, 0, 5, 6], [0, 0, 0, 7, 8, 9]]),
        ("left", 2, [[0, 0, 3, 3, 5, 6], [0, 3, 3, 7, 8, 9]]),
        ("right", 0, [[0, 0, 0, 0, 5, 6], [0, 0, 0, 7, 8, 9]]),
        ("right", 2, [[0, 0, 5, 6, 3, 3], [0, 7, 8, 9, 3, 3]]),
        ("right", 3, [[0, 5, 6, 3, 3, 3], [7, 8, 9, 3, 3, 3]]),
    ],
)
def test_reviews_stand_where_they_should(side: str, steps: int, expected: list[list[int]]) -> None:
    tokens = Ragged.from_lists([[5, 6], [7, 8, 9]])
    assert place_reviews(tokens, 6, steps, side, filler=3, rest=0).tolist() == expected


@pytest.mark.parametrize("name", ["lstm", "simple_rnn", "bilstm", "cnn_gru", "cnn", "embedding_dense"])
def test_the_unused_id_reads_as_padding_does_in_an_unmasked_network(name: str) -> None:
    rng = np.random.default_rng(0)
    small = {"vocabulary_size": 12, "length": 8, "embedding_size": 4}
    fields = {"units": 3, "filters": 3, "hidden_units": 5}
    known = type(make_spec(name)).model_fields
    settings = {**small, **{key: value for key, value in fields.items() if key in known}}
    masked = Logits(make_spec(name, padding="masked", **settings))
    word = Logits(make_spec(name, padding="word", **settings))
    weights = [
        rng.normal(size=tuple(variable.shape)).astype(np.float32)
        for variable in masked.model.trainable_variables
    ]
    rows = rng.integers(4, 12, (5, 8)).astype(np.int32)
    rows[:, 5:] = 0
    rows[2, :3] = 0
    edited = [weights[0].copy(), *weights[1:]]
    edited[0][UNUSED] = edited[0][0]
    found = masked(edited, np.where(rows == 0, UNUSED, rows).astype(np.int32))
    assert found == pytest.approx(word(weights, rows), abs=1e-4)


def test_masked_padding_costs_a_recurrent_network_nothing(study) -> None:
    found = {finding.model: finding for finding in measure_padding(study)}
    assert list(found) == ["cnn", "lstm"], "the linear model pads nothing"
    lstm = found["lstm"]
    for side in ("left", "right"):
        assert set(lstm.curves[f"{side}_masked"].y) == {lstm.values["accuracy"]}
    rows = [
        dict(zip(lstm.tables["configurations"].columns, row, strict=True))
        for row in lstm.tables["configurations"].rows
    ]
    assert all(row["drop"] == row["drop_low"] == 0 for row in rows if row["padding"] == "masked")
    worst = max(rows, key=lambda row: row["drop"])
    assert lstm.values["worst_drop"] == worst["drop"]
    hurts = worst["drop"] > 0 and worst["drop_low"] > 0
    assert (lstm.values["warning"] is not None) == hurts
    # Shifted weights of their own for every position: the left, masked, is where a dense network learned.
    assert set(found["cnn"].curves["left_masked"].y) == {found["cnn"].values["accuracy"]}


@pytest.mark.slow
def test_a_study_trained_on_words_is_read_masked_too(corpus, tmp_path) -> None:
    from unrolled.evidence.subjects import open_study
    from unrolled.models import architectures
    from unrolled.training.study import plan_runs, prepare_study
    from unrolled.training.worker import train_run

    plans = plan_runs(
        [architectures().get("simple_rnn")],
        corpus,
        "notebook",
        num_seeds=1,
        epochs=1,
        model_settings={"embedding_size": 4, "units": 4, "length": 40},
    )
    study = prepare_study(tmp_path / "study", corpus, None, "notebook", plans)
    assert train_run(study.run_folder(plans[0])).status == "done"
    (found,) = measure_padding(open_study(tmp_path / "study"))
    assert found.values["trained_padding"] == "word"
    assert len(set(found.curves["left_masked"].y)) == 1
    # As trained: left padding up to the network's length is what it has always read.
    assert set(found.curves["left_word"].y) == {found.values["accuracy"]}


@pytest.mark.parametrize(
    ("name", "padding", "mean_length", "warns"),
    [
        ("simple_rnn", "word", 50, True),
        ("cnn_lstm", "word", 100, True),
        ("lstm", "masked", 50, False),
        ("lstm", "word", 450, False),
        ("embedding_dense", "word", 50, False),
        ("linear", "word", 50, False),
    ],
)
def test_known_harm_is_told_before_training(name: str, padding: str, mean_length: int, warns: bool) -> None:
    known = {"length": 500} if name != "linear" else {}
    found = warn_about_padding(make_spec(name, padding=padding, **known), np.full(10, mean_length))
    assert (found is not None) == warns
    if found:
        assert found.startswith(name)
        assert f"{1 - mean_length / 500:.0%}" in found
