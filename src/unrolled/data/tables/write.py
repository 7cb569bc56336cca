"""A corpus as files that this package, and anything else, reads back."""

from __future__ import annotations

import codecs
import csv
import json
from pathlib import Path

from unrolled.data.demo.truth import ROLES
from unrolled.data.storage import replace_atomically
from unrolled.errors import DataError
from unrolled.types import Dataset, Split


def write_tables(dataset: Dataset, folder: Path) -> list[Path]:
    """Writes ``train.csv``, ``validation.csv`` and ``test.csv``, columns text and label, as far as there are.

    A generated corpus gets its truth beside them, ``PART-truth.jsonl``: a line for each text, with the role
    of every word, the signed evidence and the label before noise.

    Returns:
        The files, in the order written.

    Raises:
        DataError: the corpus came as token ids.
        MachineError: the disk refuses.
    """
    written: list[Path] = []
    for name, split in (
        ("train", dataset.train),
        ("validation", dataset.validation),
        ("test", dataset.test),
    ):
        if split is None:
            continue
        written.append(_write_part(dataset, split, folder / f"{name}.csv"))
        if split.annotations is not None:
            written.append(_write_truth(dataset, split, folder / f"{name}-truth.jsonl"))
    return written


def _write_part(dataset: Dataset, split: Split, path: Path) -> Path:
    if split.texts is None:
        raise DataError(
            dataset.name,
            "there are no texts to write, only token ids",
            expected="a corpus of texts",
            action="the raw archive, or Parquet, as the source",
        )
    with replace_atomically(path) as stream:
        writer = csv.writer(codecs.getwriter("utf-8")(stream))
        writer.writerow(("text", "label"))
        writer.writerows(
            (item, dataset.classes[label]) for item, label in zip(split.texts, split.labels, strict=True)
        )
    return path


def _write_truth(dataset: Dataset, split: Split, path: Path) -> Path:
    with replace_atomically(path) as stream:
        for annotation in split.annotations or ():
            line = {
                "roles": [ROLES[role] for role in annotation.roles],
                "evidence": annotation.evidence,
                "label": dataset.classes[annotation.label],
            }
            stream.write(json.dumps(line).encode() + b"\n")
    return path
