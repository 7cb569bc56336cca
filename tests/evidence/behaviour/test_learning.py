"""Learning, words and recall, against literal counts."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.evidence.behaviour import embedding, learning, learning_size, recall
from unrolled.evidence.subjects import FinishedStudy
from unrolled.training.record import read_history
from unrolled.types import EncodedSplit, Ragged

# --- learning


def test_findings_repeat_the_history(study) -> None:
    found = {finding.model: finding for finding in learning.measure_learning(study)}
    assert list(found) == ["linear", "cnn", "lstm"]
    subject = next(subject for subject in study.subjects if subject.name == "lstm")
    histories = [read_history(run.folder) for run in subject.runs]
    lstm = found["lstm"]
    expected = [np.mean([history[epoch].validation_loss for history in histories]) for epoch in range(2)]
    assert lstm.curves["validation_loss"].y == pytest.approx(expected)
    assert lstm.curves["train_accuracy"].x == (1, 2)
    gaps = []
    for run, history in zip(subject.runs, histories, strict=True):
        epoch = history[run.record.chosen_epoch - 1]
        gaps.append(epoch.accuracy - epoch.validation_accuracy)
    assert lstm.values["gap"] == pytest.approx(np.mean(gaps))
    assert lstm.values["gap_low"] is not None, "two seeds have a spread"
    assert found["cnn"].values["gap_low"] is None, "one seed has none"
    for finding in found.values():
        assert finding.values["ece_after"] <= finding.values["ece_before"] + 0.1
        assert finding.values["num_reviews"] == len(study.data.test)


def test_confusion_and_mistakes_are_counted_item_by_item(study) -> None:
    found = next(finding for finding in learning.measure_learning(study) if finding.model == "cnn")
    subject = next(subject for subject in study.subjects if subject.name == "cnn")
    labels, classes = study.data.test.labels, study.data.classes
    (probabilities,) = subject.test_probabilities()
    cells = dict.fromkeys([(one, other) for one in classes for other in classes], 0)
    mistakes = []
    for item, label in enumerate(labels):
        answer = int(probabilities[item][1] > probabilities[item][0])
        cells[classes[label], classes[answer]] += 1
        if answer != label:
            mistakes.append((float(probabilities[item][answer]), item))
    assert {row[:2]: row[2] for row in found.tables["confusion"].rows} == cells
    assert sum(row[2] for row in found.tables["confusion"].rows) == len(labels)
    top = sorted(mistakes, reverse=True)[: learning.NUM_MISTAKES]
    rows = found.tables["mistakes"].rows
    assert [row[3] for row in rows] == pytest.approx([share for share, _ in top])
    assert all(row[1] == classes[labels[row[0]]] != row[2] for row in rows)


def test_where_validation_is_the_test_part_half_of_it_fits_and_half_judges(study) -> None:
    from dataclasses import replace

    subject = next(subject for subject in study.subjects if subject.name == "cnn")
    data = replace(study.data, validation=study.data.test)
    subject = replace(subject, data=data)
    (found,) = learning.measure_learning(FinishedStudy(study.folder, data, None, (subject,)))
    assert found.values["num_reviews"] == len(data.test) // 2
    assert "half of the test part" in found.reference


# --- learning_size


def test_smaller_parts_lie_within_larger_ones(corpus) -> None:
    def content(size):
        part = learning_size.part_of(corpus, size, 0).train
        return {tuple(part.tokens[row].tolist()) for row in range(len(part))}

    assert len(learning_size.part_of(corpus, 30, 0).train) == 30
    assert content(30) < content(60) < content(240)


def test_sizes_end_with_the_run_as_it_was(study) -> None:
    subject = next(subject for subject in study.subjects if subject.name == "linear")
    (found,) = learning_size.measure_learning_size(FinishedStudy(study.folder, study.data, None, (subject,)))
    assert found.curves["accuracy"].x == (30, 60, 120, 240)
    accuracy = found.curves["accuracy"].y
    assert accuracy[-1] == subject.runs[0].record.test_accuracy
    assert accuracy[-1] >= accuracy[0] > 0.8
    assert found.values["gain_of_doubling"] == pytest.approx(
        found.values["accuracy_full"] - found.values["accuracy_half"]
    )


# --- embedding


def test_words_lean_as_they_are_counted() -> None:
    split = EncodedSplit(
        Ragged.from_lists([[1, 5, 5, 6], [1, 5, 7], [1, 6, 7], [1, 6]]), np.array([0, 0, 1, 1], np.int32)
    )
    count, leaning, surety = embedding.weigh_words(split, 2)
    assert count[[1, 5, 6, 7]].tolist() == [4, 2, 3, 2]
    assert leaning[[5, 6, 7]] == pytest.approx([-1, 1 / 3, 0])
    assert surety[5] < 0 < surety[6]
    assert surety[[1, 7]] == pytest.approx(0)


def test_neighbours_are_those_of_a_literal_search() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 4))
    found = embedding.find_neighbours(vectors, 3)
    for row in range(12):
        cosines = [
            (vectors[row] @ other / np.sqrt(vectors[row] @ vectors[row]) / np.sqrt(other @ other), place)
            for place, other in enumerate(vectors)
            if place != row
        ]
        assert found[row].tolist() == [place for _, place in sorted(cosines, reverse=True)[:3]]


def test_the_map_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(1).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    found, share = embedding.project(vectors)
    reference = PCA(2).fit(vectors)
    assert np.abs(found) == pytest.approx(np.abs(reference.transform(vectors)))
    assert share == pytest.approx(reference.explained_variance_ratio_.sum())
    again, _ = embedding.project(np.concatenate([vectors, vectors]))
    assert again[:40] == pytest.approx(found), "signs do not depend on chance"


def test_words_that_lean_alike_draw_together(study) -> None:
    found = {finding.model: finding for finding in embedding.measure_embedding(study)}
    assert list(found) == ["cnn", "lstm"]
    for finding in found.values():
        assert finding.values["num_words"] == len(finding.tables["map"].rows) == 32
        assert finding.values["movement"] > 0
        words = [row[0] for row in finding.tables["map"].rows]
        assert words[0] in ("id 4", "id 5"), "the two telling tokens are the surest"
        for word, _, before, after in finding.tables["neighbours"].rows:
            for listed in (before, after):
                near = listed.split(", ")
                assert len(near) == 5
                assert word not in near
                assert set(near) <= set(words)


def test_agreement_of_planted_vectors() -> None:
    rng = np.random.default_rng(2)
    side = np.repeat([-1.0, 1.0], 30)
    planted = rng.normal(size=(60, 5))
    planted[:, 0] += 8 * side
    near = embedding.find_neighbours(planted, 5)
    assert (side[near] == side[:, None]).mean() == 1.0
    near = embedding.find_neighbours(rng.normal(size=(60, 5)), 5)
    assert (side[near] == side[:, None]).mean() == pytest.approx(0.5, abs=0.12)


# --- recall


def test_the_question_is_asked_at_its_distance() -> None:
    tokens, bits = recall.make_sequences(50, 6, 10, np.random.default_rng(0))
    for row, bit in zip(tokens.tolist(), bits, strict=True):
        assert row[:3] == [0, 0, 0]
        assert row[3] == recall.BITS + bit
        assert all(word >= recall.DISTRACTORS for word in row[4:9])
        assert row[9] == recall.QUESTION
    assert 0.2 < bits.mean() < 0.8


def test_a_bit_that_is_near_is_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "NUM_SEEDS", 2)
    found = recall.probe_recall((2, 4), ("simple_rnn",))
    assert found.values["reach_simple_rnn"] == 4
    assert set(found.curves) == {
        f"simple_rnn.{clipping}.{start}"
        for clipping in ("clipped", "unclipped")
        for start in ("orthogonal", "glorot")
    }
    for curve in found.curves.values():
        assert curve.x == (2, 4)
        assert min(curve.y) > 0.95
    assert len(found.tables["probes"].rows) == 8


def test_a_bit_that_is_not_shown_is_not_recalled(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = recall.make_sequences

    def hide(count, distance, length, random):
        tokens, bits = honest(count, distance, length, random)
        tokens[:, length - distance - 1] = recall.BITS
        return tokens, bits

    monkeypatch.setattr(recall, "make_sequences", hide)
    monkeypatch.setattr(recall, "MOST_UPDATES", 40)
    found = recall.probe_recall((3, 5), ("simple_rnn",))
    assert found.values["reach_simple_rnn"] == 0
    for curve in found.curves.values():
        assert curve.x == (3,), "who fails near is not asked far"
        assert curve.y[0] == pytest.approx(0.5, abs=0.12)


def test_clipping_that_never_bites_gives_the_same_network() -> None:
    trainer = recall.Trainer("simple_rnn", 4)

    def probe(clipping):
        return trainer.probe(4, clipping, "orthogonal", np.random.default_rng(3))

    free, clipped = probe("unclipped"), probe("clipped")
    if free.largest_norm <= recall.CLIP_NORM:
        assert (free.right == clipped.right).all()
        assert free.updates == clipped.updates
    assert free.largest_norm > 0


def test_clipping_shortens_long_gradients() -> None:
    import jax.numpy as jnp

    trainer = recall.Trainer("simple_rnn", 4)
    random = np.random.default_rng(0)
    weights = [10 * weight for weight in trainer._initial("glorot", random)]
    state = [jnp.zeros_like(variable.value) for variable in trainer.optimizer.variables]
    tokens, bits = recall.make_sequences(recall.BATCH, 4, trainer.length, random)
    free = trainer._step(weights, state, tokens, bits, np.inf)
    clipped = trainer._step(weights, state, tokens, bits, 1e-4)
    assert float(free[4]) > 1e-4
    assert float(free[4]) == pytest.approx(float(clipped[4])), "the norm is that before clipping"
    moments = [np.concatenate([np.ravel(part) for part in step[1][2:]]) for step in (free, clipped)]
    first = [np.linalg.norm([part for part in each if abs(part) < 1e3]) for each in moments]
    assert first[1] < 1e-3 * first[0]


def test_open_gates_remember() -> None:
    random = np.random.default_rng(0)
    lstm = recall.Trainer("lstm", 50)
    names = [variable.name for variable in lstm.model.trainable_variables]
    bias = np.asarray(lstm._initial("open", random)[names.index("bias")])
    units = recall.UNITS
    assert (bias[units : 2 * units] == -bias[:units]).all()
    assert (bias[2 * units :] == 0).all()
    keep = 1 / (1 + np.exp(-bias[units : 2 * units]))
    assert keep.max() > 0.95 > keep.min()
    closed = np.asarray(lstm._initial("orthogonal", random)[names.index("bias")])
    assert set(closed[units : 2 * units]) == {1.0}, "Keras' own start"
