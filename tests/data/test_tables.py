"""Readers give back what independent writers wrote; columns are chosen as their names and contents say."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from unrolled.data.tables.columns import ColumnRequest, choose_columns
from unrolled.data.tables.json_lines import check_depth
from unrolled.data.tables.lines import CHUNK_BYTES, find_undecodable
from unrolled.data.tables.read import read_table
from unrolled.errors import DataError

# Everything that a file in UTF-8 can hold but NUL, which is refused.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=40)
TRICKY = st.text(st.sampled_from("ab,;\t\"'\n\r \u2028\x85\x0c\\\ufeff\U0001f600e\u0301"), max_size=12)
LABELS = st.text(CHARACTERS, min_size=1, max_size=8) | st.sampled_from(["01", "NA", "null", " x ", "-"])
TABLES = st.lists(st.tuples(TEXTS | TRICKY, LABELS), min_size=1, max_size=12).filter(
    lambda rows: ("text", "label") not in rows
)


def write_delimited(path: Path, rows: list[tuple[str, str]], delimiter: str, line_end: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        # A lone carriage return must stand in quotes, which the writer forgets when lines end otherwise.
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
        writer.writerows([("text", "label"), *rows])


def write_json_lines(path: Path, rows: list[tuple[str, str]], *, ascii_only: bool) -> None:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=ascii_only) for text, label in rows]
    path.write_bytes("\n".join(lines).encode())


def write_parquet(path: Path, rows: list[tuple[str, str]], **options: object) -> None:
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), path, **options)


WRITERS: dict[str, Callable[[Path, list[tuple[str, str]]], None]] = {
    "a.csv": lambda path, rows: write_delimited(path, rows, ",", "\r\n"),
    "b.csv": lambda path, rows: write_delimited(path, rows, ";", "\n"),
    "a.tsv": lambda path, rows: write_delimited(path, rows, "\t", "\n"),
    "a.jsonl": lambda path, rows: write_json_lines(path, rows, ascii_only=True),
    "b.jsonl": lambda path, rows: write_json_lines(path, rows, ascii_only=False),
    "a.parquet": write_parquet,
    "b.parquet": lambda path, rows: write_parquet(path, rows, row_group_size=2, use_dictionary=False),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=40)
@example([("", "x"), ("\r", "y"), ("\n\r\n", " x "), ('"', '"'), ("\ufeff", "\ufeff")])
@given(rows=TABLES)
def test_what_was_written_is_read(name: str, folder: Path, rows: list[tuple[str, str]]) -> None:
    path = folder / name
    WRITERS[name](path, rows)
    table = read_table(path, ColumnRequest())
    assert list(zip(table.texts, table.labels, strict=True)) == rows
    assert len(table.rows) == len(rows)


@given(rows=TABLES)
def test_fields_are_quoted_only_where_needed(folder: Path, rows: list[tuple[str, str]]) -> None:
    path = folder / "minimal.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    table = read_table(path, ColumnRequest())
    assert list(zip(table.texts, table.labels, strict=True)) == rows


def first_bad_byte(payload: bytes) -> int | None:
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


@settings(max_examples=40)
@given(st.binary(max_size=60), st.integers(0, 3))
def test_the_first_bad_byte_is_found_where_python_finds_it(folder: Path, noise: bytes, before: int) -> None:
    # The noise straddles the border of two chunks.
    payload = b"a" * (CHUNK_BYTES - before) + noise
    expected = first_bad_byte(payload)
    assume(expected is not None)
    (folder / "noise").write_bytes(payload)
    found = str(find_undecodable(folder / "noise", "noise"))
    line = payload[:expected].count(b"\n") + 1
    assert found.startswith(f"noise, line {line}: it is not UTF-8 (got byte 0x{payload[expected]:02x}")
    assert f" at offset {expected})" in found


def nesting(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((nesting(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((nesting(item) for item in value), default=0)
    return 0


@given(
    st.recursive(
        st.text(st.sampled_from('[]{}"\\a'), max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    st.integers(0, 70),
)
def test_depth_is_counted_as_a_recursive_reader_counts_it(value: object, wraps: int) -> None:
    for _ in range(wraps):
        value = [value]
    # Brackets in a string beside it make the quick look pass on to the exact count.
    line = json.dumps([value, "[" * 70])
    if nesting([value]) <= 64:
        check_depth(line)
    else:
        with pytest.raises(Exception, match="deeper than 64"):
            check_depth(line)


def choose(
    columns: dict[str, list[object]], text: str | None = None, label: str | None = None
) -> tuple[str, str]:
    choice = choose_columns("a.csv", list(columns), ColumnRequest(text, label), lambda: columns)
    return choice.text, choice.label


PROSE = ["one two three", "four five six", "seven eight nine", "ten eleven twelve"] * 5
PROSE = [f"{text} {number}" for number, text in enumerate(PROSE)]
KINDS = ["x", "y"] * 10


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"label": KINDS, "text": PROSE}, ("text", "label")),
        ({"Review": PROSE, "Sentiment": KINDS}, ("Review", "Sentiment")),
        ({"title": PROSE, "text": PROSE, "class": KINDS}, ("text", "class")),
        ({"headline": PROSE, "is_sarcastic": KINDS}, ("headline", "is_sarcastic")),
        ({"id": list(range(20)), "remarks": PROSE, "kind": KINDS}, ("remarks", "kind")),
        ({"id": list(range(20)), "remarks": PROSE, "kind": [0, 1] * 10}, ("remarks", "kind")),
        ({"text": KINDS, "label": PROSE}, ("text", "label")),
        ({"split": ["train", "test"] * 10, "words": PROSE, "kind": KINDS}, ("words", "kind")),
    ],
)  # fmt: skip
def test_columns_are_chosen(columns: dict[str, list[object]], expected: tuple[str, str]) -> None:
    assert choose(columns) == expected


@pytest.mark.parametrize(
    ("columns", "candidates"),
    [
        ({"text": PROSE, "review": PROSE, "label": KINDS}, "text .candidates: 'text', 'review'"),
        ({"a": PROSE, "b": PROSE, "label": KINDS}, "text .candidates: 'a', 'b'"),
        ({"text": PROSE, "a": KINDS, "b": KINDS}, "label .candidates: 'a', 'b'"),
        ({"text": PROSE, "rating": [f"{i}" for i in range(20)]}, "label .candidates: 'rating'"),
        ({"text": PROSE, "kind": ["x", ""] * 10}, "label .candidates: 'kind'"),
    ],
)
def test_an_unclear_choice_lists_the_candidates(columns: dict[str, list[object]], candidates: str) -> None:
    with pytest.raises(DataError, match=f"it is not clear which column is the {candidates}"):
        choose(columns)


def test_a_request_beats_names_and_frees_the_other_choice() -> None:
    columns: dict[str, list[object]] = {"text": PROSE, "review": PROSE, "label": KINDS, "topic": KINDS}
    assert choose(columns, "review", "topic") == ("review", "topic")
    with pytest.raises(DataError, match="candidates: 'label', 'topic'"):
        choose(columns, "text")


def test_the_csv_module_keeps_its_own_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("text,label\n" + "a" * (before + 1) + ",x\n")
    assert len(read_table(tmp_path / "a.csv", ColumnRequest()).texts[0]) == before + 1
    assert csv.field_size_limit() == before


def test_a_byte_order_mark_shifts_no_offset(tmp_path: Path) -> None:
    payload = codecs.BOM_UTF8 + b"text,label\ncaf\xe9,x\n"
    (tmp_path / "a.csv").write_bytes(payload)
    with pytest.raises(DataError, match=rf"line 2: .*0xe9 at offset {payload.index(0xE9)}\)"):
        read_table(tmp_path / "a.csv", ColumnRequest())


def test_line_numbers_count_lines_and_row_numbers_rows(tmp_path: Path) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("text", "label"), ("a\nb", "x"), ("c", "y"), ("d",)])
    (tmp_path / "a.csv").write_text("\n" + stream.getvalue(), newline="")
    with pytest.raises(DataError, match=r"row 5 \(line 6\): the row does not fit"):
        read_table(tmp_path / "a.csv", ColumnRequest())
