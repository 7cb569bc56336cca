"""IMDb's reviews as text: the authors' archive, or the folder that it unpacks to.

Both come back in one order, positive before negative and by number, so that archive, folder and a table
made in that order are the same data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from unrolled.data.imdb.tar import TarStream
from unrolled.data.tables.folder import read_text
from unrolled.data.tables.lines import decode_text
from unrolled.data.tables.table import Table, TableBuilder, show_path
from unrolled.errors import DataError

FOLDER = "aclImdb"
PARTS = ("train", "test")
LABELS = ("pos", "neg")
COLUMNS = ("id", "text", "label", "rating")
CLASSES = {"neg": "negative", "pos": "positive"}

_FILE = re.compile(r"([0-9]{1,9})_[0-9]{1,2}\.txt", re.ASCII)
_MEMBER = re.compile(rf"(?:\./)?{FOLDER}/(train|test)/(pos|neg)/({_FILE.pattern})", re.ASCII)

_Reviews = dict[tuple[str, str], list[tuple[int, str, str]]]


def read_archive(path: Path) -> dict[str, Table]:
    """Train and test out of ``aclImdb_v1.tar.gz``, streamed; nothing is unpacked to disk.

    Raises:
        DataError: no such archive, a dangerous or damaged one, or one without reviews.
    """
    where = show_path(path)
    found = _no_reviews()
    with closing(TarStream(path)) as stream:
        for match, payload in stream.members(_MEMBER):
            part, label, name, number = match.groups()
            text, _ = decode_text(payload, f"{where}, {match[0]}")
            found[part, label].append((int(number), name, text))
    return _build_tables(where, found, f"{where}, {FOLDER}")


def read_review_folder(folder: Path) -> dict[str, Table]:
    """Train and test out of the unpacked ``aclImdb``.

    Raises:
        DataError: a file that is not UTF-8 text, or a part without reviews.
    """
    found = _no_reviews()
    for (part, label), reviews in found.items():
        for file in (folder / part / label).iterdir():
            match = _FILE.fullmatch(file.name)
            if match is not None:
                reviews.append((int(match[1]), file.name, read_text(file)[0]))
    return _build_tables(show_path(folder), found, show_path(folder))


def is_review_folder(folder: Path) -> bool:
    """Whether ``folder`` is laid out and its files named as in the unpacked ``aclImdb``."""
    for part in PARTS:
        for label in LABELS:
            place = folder / part / label
            if not place.is_dir():
                return False
            first = next((file.name for file in place.iterdir() if file.suffix == ".txt"), "")
            if not _FILE.fullmatch(first):
                return False
    return True


def is_imdb(table: Table) -> bool:
    """Whether a table holds IMDb's reviews: its four columns, with pos and neg as the labels."""
    return set(COLUMNS) <= set(table.names) and set(table.labels) == set(LABELS)


def clean_texts(texts: Iterable[str]) -> list[str]:
    """Texts without the line-break tags that every form but Keras' own still carries."""
    return [text.replace("<br />", " ") for text in texts]


def _no_reviews() -> _Reviews:
    return {(part, label): [] for part in PARTS for label in LABELS}


def _build_tables(
    where: str, found: Mapping[tuple[str, str], list[tuple[int, str, str]]], root: str
) -> dict[str, Table]:
    tables = {}
    for part in PARTS:
        builder = TableBuilder(f"{root}/{part}", COLUMNS, "")
        for label in LABELS:
            reviews = sorted(found[part, label])
            if not reviews:
                raise DataError(
                    where,
                    f"it has no reviews in {part}/{label}",
                    expected=f"{FOLDER}/{part}/{label}/NUMBER_RATING.txt",
                    action="download aclImdb_v1.tar.gz again",
                )
            for _, name, text in reviews:
                builder.add(f"{label}/{name}", text, label)
        tables[part] = builder.build()
    return tables
