"""What a summary says against counts by hand; what is written reads back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unrolled.data.demo import generate_demo, weigh_evidence
from unrolled.data.demo.truth import ROLES
from unrolled.data.load import load_dataset
from unrolled.data.summary import summarise_dataset
from unrolled.data.tables.write import write_tables
from unrolled.errors import DataError
from unrolled.types import Dataset, Ragged, Split


def test_a_summary_counts() -> None:
    train = Split(np.array([0, 1, 1], np.int32), texts=["a b c", "", "a"])
    test = Split(np.array([0, 1], np.int32), texts=["a b d e", "a"])
    found = summarise_dataset(Dataset("mine", ("no", "yes"), train, test, "0" * 64, notices=("Odd.",)))
    first, second = found.parts
    assert (first.name, first.num_items, first.num_by_class) == ("train", 3, {"no": 1, "yes": 2})
    assert (first.lengths, first.num_empty, first.unknown_share) == ((1, 3, 3), 1, None)
    # d and e of five words in all.
    assert second.unknown_share == pytest.approx(2 / 5)
    assert found.num_words == 3
    assert found.notices == ("Odd.", "1 text of test stands also in train.")


def test_token_ids_have_lengths_and_no_texts_to_write(tmp_path: Path) -> None:
    part = Split(np.array([0, 1], np.int32), tokens=Ragged.from_lists([[1, 4], [1, 4, 5, 6]]))
    dataset = Dataset("ids", ("no", "yes"), part, None, "0" * 64, word_index={"a": 1, "b": 2, "c": 3})
    found = summarise_dataset(dataset)
    assert (found.num_words, found.parts[0].lengths[2]) == (3, 4)
    with pytest.raises(DataError, match="no texts to write"):
        write_tables(dataset, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    dataset = generate_demo(train=60, validation=20, test=20)
    write_tables(dataset, tmp_path)
    again = load_dataset(tmp_path)
    assert again.sha256 == dataset.sha256
    for name in ("train", "validation", "test"):
        before, after = getattr(dataset, name), getattr(again, name)
        assert list(before.texts) == list(after.texts)
        lines = (tmp_path / f"{name}-truth.jsonl").read_text().splitlines()
        for line, annotation in zip(map(json.loads, lines), before.annotations, strict=True):
            assert [ROLES.index(role) for role in line["roles"]] == annotation.roles.tolist()
            assert line["evidence"] == weigh_evidence(annotation.roles) == annotation.evidence


def test_texts_with_commas_quotes_and_line_ends_survive(tmp_path: Path) -> None:
    texts = ['a, "b"', "two\nlines", "three\r\nlines", "ü 語 🙂"]
    part = Split(np.array([0, 1, 0, 1], np.int32), texts=texts)
    write_tables(Dataset("mine", ("no", "yes"), part, part, "0" * 64), tmp_path)
    assert list(load_dataset(tmp_path).train.texts or ()) == texts
