"""A small corpus that every kind of model can learn, and plans for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unrolled.models import architectures
from unrolled.training.record import RunPlan
from unrolled.training.study import Study, plan_runs, prepare_study
from unrolled.types import EncodedDataset, EncodedSplit, Ragged

SMALL = {"embedding_size": 6, "units": 5, "filters": 4, "hidden_units": 7}


def make_split(rng: np.random.Generator, count: int, classes: int = 2) -> EncodedSplit:
    """Random sequences of 2 to 20 tokens that hold token 4 + label somewhere."""
    labels = (np.arange(count) % classes).astype(np.int32)
    rows = []
    for label in labels:
        row = rng.integers(10, 40, rng.integers(2, 20))
        row[rng.integers(len(row))] = 4 + label
        rows.append(row)
    return EncodedSplit(Ragged.from_lists(rows), labels)


@pytest.fixture(scope="session")
def corpus() -> EncodedDataset:
    rng = np.random.default_rng(0)
    parts = {
        name: make_split(rng, count) for name, count in (("train", 150), ("validation", 40), ("test", 60))
    }
    return EncodedDataset("toy", ("bad", "good"), vocabulary_size=40, sha256="0" * 64, **parts)


@pytest.fixture
def make_study(corpus: EncodedDataset, tmp_path: Path) -> Callable[..., Study]:
    """Lays out a study of small models: ``make_study("lstm", "dense", epochs=2)``."""

    def make(
        *names: str, folder: Path = tmp_path / "study", change=None, protocol="standard", **options
    ) -> Study:
        zoo = architectures()
        options = {"num_seeds": 1, "epochs": 2, **options}
        plans: list[RunPlan] = list(
            plan_runs([zoo.get(name) for name in names], corpus, protocol, model_settings=SMALL, **options)
        )
        return prepare_study(folder, corpus, None, protocol, [change(p) for p in plans] if change else plans)

    return make
