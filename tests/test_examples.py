"""The example tables: the same every time, labelled by their own rule, and readable as one's own data."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from unrolled.data.load import load_dataset

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "examples" / "make_tables.py"))


@pytest.mark.parametrize(("language", "classes"), [("TURKISH", 3), ("ENGLISH", 2), ("ENGLISH", 3)])
def test_tables_are_the_same_every_time_and_are_read(
    script: dict[str, Any], tmp_path: Path, language: str, classes: int
) -> None:
    words = script[language]
    for name in ("one", "two"):
        script["write_table"](tmp_path / f"{name}.csv", words, rows=300, classes=classes, seed=1)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    dataset = load_dataset(str(tmp_path / "one.csv"))
    assert set(dataset.classes) == set(words.labels[:classes])
    assert len(dataset.train) == 300
    counts = Counter(dataset.train.labels.tolist())
    assert min(counts.values()) > 300 / classes * 0.7


def test_the_last_clause_decides_but_for_the_noise(script: dict[str, Any]) -> None:
    """A reader of our own, who knows the words and turns denied opinions round, agrees on 24 of 25 labels."""
    import random

    words = script["ENGLISH"]
    right = 0
    rows = list(script["make_rows"](words, 2_000, 3, random.Random(7)))
    for text, label in rows:
        opinion = next(
            part
            for part in text.split(". ")
            if any(f"the {thing} " in part.lower() for thing in words.things)
        )
        clause = opinion.split(", and yet ")[-1]
        word = next(word for word in (*words.good, *words.bad, *words.plain) if word in clause)
        kind = 0 if word in words.good else 1 if word in words.bad else 2
        kind = 1 - kind if "was not" in clause else kind
        right += words.labels[kind] == label
    assert right / len(rows) == pytest.approx(1 - script["LABEL_NOISE"], abs=0.015)
