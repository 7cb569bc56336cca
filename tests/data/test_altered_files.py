"""Files with random damage are read or refused: no other exception comes out, no message of two lines."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bad_archives as bad
import pytest
from bad_tables import GOOD_CSV, Maker, csv, good_columns, jsonl, parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import load_dataset
from unrolled.errors import DataError

MAKERS: dict[str, Maker] = {
    "csv": csv(GOOD_CSV + '"q""uoted, x",pos\n'),
    "jsonl": jsonl('{"text": "a\\ud83d\\ude00", "label": "x", "more": [1.5, {"k": null}]}'),
    "parquet with dictionaries": parquet(good_columns(text=["a" * 50, "b"] * 20, label=["pos", "neg"] * 20)),
    "parquet without": parquet(good_columns(), compression="zstd", use_dictionary=False),
    "npz": bad.npz(),
    "archive": bad.archive,
}

KINDS = st.sampled_from(["replace", "insert", "remove", "cut"])
EDITS = st.lists(st.tuples(KINDS, st.floats(0, 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=5)


def edit(content: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for kind, position, payload in edits:
        start = int(position * len(content))
        end = start if kind == "insert" else len(content) if kind == "cut" else start + len(payload)
        new = payload if kind in ("replace", "insert") else b""
        content = content[:start] + new + content[end:]
    return content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("altered")


@pytest.fixture(scope="module", autouse=True)
def no_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNROLLED_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class OneLineError(Exception):
    """A refusal in one printable line."""


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=40)
@given(edits=EDITS)
def test_damage_is_read_or_refused(name: str, folder: Path, edits: list[tuple[str, float, bytes]]) -> None:
    path = MAKERS[name](folder)
    path.write_bytes(edit(path.read_bytes(), edits))
    with suppress(OneLineError):
        try:
            load_dataset(path)
        except DataError as error:
            if str(error).isprintable():
                raise OneLineError from error
            raise


def test_every_flipped_byte_of_a_page_is_read_or_refused(folder: Path) -> None:
    columns = good_columns(text=["one", "two", "three"] * 9, label=["pos", "neg", "pos"] * 9)
    path = parquet(columns, compression="none")(folder)
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    messages = []
    for position in range(4, footer):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :])
        try:
            load_dataset(path)
        except DataError as error:
            messages.append(str(error))
    assert all(message.isprintable() for message in messages)
    # Arrow itself gives references beyond the dictionary on as they stand.
    assert any("the page is damaged (got reference" in message for message in messages)
