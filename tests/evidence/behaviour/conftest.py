"""A small trained study that all tests of behaviour share, and models whose behaviour is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unrolled.evidence.subjects import FinishedStudy, Subject, open_study
from unrolled.models import architectures, make_spec
from unrolled.training.study import plan_runs, prepare_study
from unrolled.training.worker import train_run
from unrolled.types import DoubleArray, EncodedDataset, EncodedSplit, Ragged

MODELS = ("linear", "cnn", "lstm")
SMALL = {"embedding_size": 6, "units": 5, "filters": 4, "hidden_units": 7}


@pytest.fixture(scope="session")
def corpus() -> EncodedDataset:
    """Two classes that one token tells apart; reviews of 2 to 24 tokens, the first of which is the start."""
    rng = np.random.default_rng(0)

    def part(count: int) -> EncodedSplit:
        labels = (np.arange(count) % 2).astype(np.int32)
        rows = []
        for label in labels:
            row = rng.integers(10, 40, rng.integers(2, 24))
            row[rng.integers(len(row))] = 4 + label
            rows.append([1, *row])
        return EncodedSplit(Ragged.from_lists(rows), labels)

    parts = {name: part(count) for name, count in (("train", 240), ("validation", 60), ("test", 120))}
    return EncodedDataset("toy", ("bad", "good"), vocabulary_size=40, sha256="0" * 64, **parts)


@pytest.fixture(scope="session")
def folder(corpus: EncodedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three small models, trained for two epochs; the LSTM with two seeds."""
    place = tmp_path_factory.mktemp("behaviour") / "study"
    zoo = architectures()
    plans = [
        plan
        for name in MODELS
        for plan in plan_runs(
            [zoo.get(name)],
            corpus,
            "standard",
            num_seeds=2 if name == "lstm" else 1,
            epochs=2,
            model_settings=SMALL,
        )
    ]
    study = prepare_study(place, corpus, None, "standard", plans)
    for plan in plans:
        record = train_run(study.run_folder(plan))
        assert record.status == "done", record.reason
    return place


@pytest.fixture(scope="session")
def study(folder: Path) -> FinishedStudy:
    return open_study(folder)


@pytest.fixture
def make_subject(corpus: EncodedDataset) -> Callable[..., Subject]:
    """A model that answers as told: ``make_subject(lambda tokens: score)``, positive for the second class."""

    class Told(Subject):
        def logits(self, tokens: Ragged) -> DoubleArray:
            rows = [float(self.rule(np.array(tokens[row]))) for row in range(len(tokens))]
            return np.stack([np.zeros(len(rows)), np.array(rows)], axis=1)[None]

        def test_probabilities(self):
            raised = np.exp(self.logits(self.data.test.tokens))
            return (raised / raised.sum(axis=2, keepdims=True)).astype(np.float32)

    def make(rule: Callable[[np.ndarray], float], data: EncodedDataset = corpus) -> Subject:
        subject = Told("linear", make_spec("linear"), (), (), data)
        subject.rule = rule
        return subject

    return make
