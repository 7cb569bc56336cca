"""Finished studies of small models on the embedded corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unrolled.data.demo import generate_demo
from unrolled.data.encoding import encode_dataset
from unrolled.evidence.subjects import FinishedStudy, open_study
from unrolled.models import architectures
from unrolled.training.study import plan_runs, prepare_study
from unrolled.training.worker import train_run

SMALL = {"embedding_size": 16, "units": 16, "filters": 8, "hidden_units": 16, "length": 64}

Trained = Callable[..., FinishedStudy]


@pytest.fixture
def train_demo(tmp_path: Path) -> Trained:
    """Trains models on a small embedded corpus: ``train_demo("gru", reviews=900, epochs=6)``."""

    def train(*names: str, reviews: int, epochs: int = 1, rate: float = 0.01) -> FinishedStudy:
        corpus = generate_demo(train=reviews, validation=reviews // 6, test=reviews // 3)
        encoded, vocabulary = encode_dataset(corpus, protocol="standard")
        chosen = [architectures().get(name) for name in names]
        plans = plan_runs(chosen, encoded, "standard", num_seeds=1, epochs=epochs, model_settings=SMALL)
        plans = tuple(
            plan.model_copy(update={"training": plan.training.model_copy(update={"learning_rate": rate})})
            for plan in plans
        )
        study = prepare_study(tmp_path / "demo", encoded, vocabulary, "standard", plans)
        for plan in study.plans:
            assert train_run(study.run_folder(plan)).status == "done"
        return open_study(study.folder)

    return train
