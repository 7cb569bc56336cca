"""Makers of tables with one fault each. They take an empty folder and give back what to load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Maker = Callable[[Path], Path]

GOOD_CSV = "text,label\na fine film,pos\na bad film,neg\n"
GOOD_LINE = '{"text": "a fine film", "label": "pos"}\n'
GOOD_JSONL = GOOD_LINE + '{"text": "a bad film", "label": "neg"}\n'


def csv(content: str | bytes, name: str = "reviews.csv") -> Maker:
    """A CSV file with this content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def jsonl(*lines: str | bytes) -> Maker:
    """A JSONL file: two good lines, then these."""
    encoded = [line if isinstance(line, bytes) else line.encode() for line in (GOOD_JSONL.rstrip(), *lines)]
    return csv(b"\n".join(encoded) + b"\n", "reviews.jsonl")


def parquet(columns: dict[str, Any], **options: Any) -> Maker:
    """A Parquet file of these columns."""

    def make(folder: Path) -> Path:
        path = folder / "reviews.parquet"
        pq.write_table(pa.table(columns), path, **options)
        return path

    return make


def good_columns(**others: Any) -> dict[str, Any]:
    """Two sound rows, some columns replaced."""
    return {"text": ["a fine film", "a bad film"], "label": ["pos", "neg"]} | others


def altered_parquet(alter: Callable[[bytes], bytes]) -> Maker:
    """A sound Parquet file with its bytes changed."""

    def make(folder: Path) -> Path:
        path = parquet(good_columns())(folder)
        path.write_bytes(alter(path.read_bytes()))
        return path

    return make


def damage_footer(content: bytes) -> bytes:
    """A Parquet file's bytes with a footer that begins with nonsense."""
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    return content[:start] + b"\xff" * 16 + content[start + 16 :]


def dense_parquet(folder: Path) -> Path:
    """72 MB in a few kilobytes: every page compresses a thousandfold."""
    texts = pa.array(["a" * 9_000_000, "b" * 9_000_000] * 4)
    labels = pa.array(["pos", "neg"] * 4)
    return parquet({"text": texts, "label": labels}, compression="zstd", use_dictionary=False)(folder)


def dictionary_parquet(folder: Path) -> Path:
    """A hundred gigabytes as twenty thousand references to one text, which no declared size tells."""
    indices = pa.array([0] * 20_000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, pa.array(["a" * 5_000_000]))
    labels = pa.DictionaryArray.from_arrays(indices, pa.array(["pos"]))
    return parquet({"text": texts, "label": labels})(folder)


def unnamed_dictionary_parquet(folder: Path) -> Path:
    """The same in columns whose names say nothing, so that a sample must be looked at."""
    indices = pa.array([0] * 2_000, pa.int32())
    texts = pa.DictionaryArray.from_arrays(indices, pa.array(["a" * 5_000_000]))
    return parquet({"a": texts, "b": texts})(folder)


def endless_parquet(folder: Path) -> Path:
    """Eleven million rows of nothing."""
    nothing = pa.nulls(11_000_000, pa.string())
    return parquet({"text": nothing, "label": nothing})(folder)


def binary_parquet(folder: Path) -> Path:
    """Strings that are not UTF-8, in a column declared as strings."""
    raw = pa.array([b"fine", b"caf\xe9"], pa.binary())
    text = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    return parquet(good_columns(text=text))(folder)


def train_and_test(train: str, test: str) -> Maker:
    """A folder with two CSV files."""

    def make(folder: Path) -> Path:
        (folder / "train.csv").write_text(train)
        (folder / "test.csv").write_text(test)
        return folder

    return make


def line(**fields: Any) -> str:
    """One line of JSONL."""
    return json.dumps(fields)
