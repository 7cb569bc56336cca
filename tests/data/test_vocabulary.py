"""Vocabulary: the lab's example, a literal reference, Keras itself and the tokenizers library as oracles."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from unrolled.data.vocabulary import FILTERS, Vocabulary, split_words
from unrolled.errors import DataError, UsageError

CORPUS = [
    "i have books",
    "interesting books are useful",
    "i have computers",
    "computers are interesting and useful",
    "books and computers are both valuable",
    "Bye Bye",
]
INDEX = {
    "books": 1,
    "are": 2,
    "computers": 3,
    "i": 4,
    "have": 5,
    "interesting": 6,
    "useful": 7,
    "and": 8,
    "bye": 9,
    "both": 10,
    "valuable": 11,
}
ROWS = [[4, 5, 1], [6, 1, 2, 7], [4, 5, 3], [3, 2, 6, 8, 7], [1, 8, 3, 2, 10, 11], [9, 9]]
IMDB = {"start": 1, "oov": 2, "index_from": 3}

# Letters that collide often, everything that separates or nearly does, and case mappings that bite.
TRICKY = "aAbBiIxX'<>#/&\t\n \r\x0b\x00\xa0\u2003éÉßẞİıΣσςΑαǅKÅ\u0301\u1c89\ua7dc\U00010d50\U00016ea0😀ש"
TEXTS = st.lists(st.text(st.one_of(st.sampled_from(TRICKY), st.characters(codec="utf-8"))), max_size=8)
SETTINGS = st.sampled_from([{}, IMDB, {"start": 1, "index_from": 1}, {"oov": 4, "index_from": 5}])
LOWERCASE = normalizers.Lowercase()


def words_of(text: str) -> list[str]:
    """The rule word for word: lower-case, filter, cut at single spaces; one character after the other."""
    words, word = [], ""
    for character in text:
        lowered = LOWERCASE.normalize_str(character)
        if lowered in '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n ':
            words.append(word)
            word = ""
        else:
            word += lowered
    return [word for word in [*words, word] if word]


def slow_index(texts: list[str]) -> dict[str, int]:
    """Repeatedly takes the most frequent remaining word, the earliest where several tie."""
    stream = [word for text in texts for word in words_of(text)]
    ranked: list[str] = []
    while left := [word for word in stream if word not in ranked]:
        ranked.append(max(left, key=left.count))
    return {word: rank for rank, word in enumerate(ranked, 1)}


def slow_encode(index, texts, num_words=None, start=None, oov=None, index_from=0) -> list[list[int]]:
    rows = []
    for text in texts:
        row = [] if start is None else [start]
        for word in words_of(text):
            number = index[word] + index_from if word in index else None
            if number is not None and (num_words is None or number < num_words):
                row.append(number)
            elif oov is not None:
                row.append(oov)
        rows.append(row)
    return rows


def test_the_lab_example_to_the_letter():
    vocabulary = Vocabulary.fit(CORPUS)
    assert vocabulary.index == INDEX
    assert list(vocabulary.index) == list(INDEX)
    assert vocabulary.encode(CORPUS) == ROWS
    assert vocabulary.decode(ROWS) == [text.lower() for text in CORPUS]


def test_num_words_keeps_ranks_below_it():
    vocabulary = Vocabulary.fit(CORPUS, 4)
    assert vocabulary.index == INDEX
    assert vocabulary.encode(CORPUS) == [[1], [1, 2], [3], [3, 2], [1, 3, 2], []]
    assert vocabulary.size == 4


def test_the_imdb_convention():
    vocabulary = Vocabulary.fit(CORPUS, 8, **IMDB)
    assert vocabulary.encode(["I have books!", "unheard of", ""]) == [[1, 7, 2, 4], [1, 2, 2], [1]]
    assert vocabulary.size == 8
    assert Vocabulary.fit(CORPUS, **IMDB).size == 15
    assert vocabulary.decode([[0, 0, 1, 7, 2, 4]]) == ["i <unk> books"]


@settings(max_examples=150)
@given(TEXTS, TEXTS, SETTINGS, st.integers(6, 12) | st.none())
@example(["ΑΣ ΑΣ. ΑΣΑ", "İ i̇"], ["ας ασ Σ"], {}, None)
def test_equals_the_literal_reference(fitted, encoded, options, num_words):
    vocabulary = Vocabulary.fit(fitted, num_words, **options)
    assert list(vocabulary.index.items()) == list(slow_index(fitted).items())
    expected = slow_encode(vocabulary.index, fitted + encoded, num_words, **options)
    assert vocabulary.encode(fitted + encoded) == expected
    ragged = vocabulary.encode_ragged(fitted + encoded)
    assert [row.tolist() for row in map(ragged.__getitem__, range(len(ragged)))] == expected
    assert ragged.values.dtype == np.int32


@settings(max_examples=150)
@given(TEXTS, TEXTS, st.integers(1, 12) | st.none())
def test_equals_keras_but_for_the_documented_cases(fitted, encoded, num_words):
    from keras.src.legacy.preprocessing.text import Tokenizer as KerasTokenizer

    # Final sigma, and letters that this Python's tables do not know yet.
    letters = {letter for text in fitted + encoded for letter in text}
    bent = str.maketrans({c: "q" for c in letters if c == "Σ" or unicodedata.category(c) == "Cn"})
    fitted, encoded = ([text.translate(bent) for text in texts] for texts in (fitted, encoded))
    keras_tokenizer = KerasTokenizer(num_words)
    keras_tokenizer.fit_on_texts(fitted)
    vocabulary = Vocabulary.fit(fitted, num_words)
    assert vocabulary.index == keras_tokenizer.word_index
    assert vocabulary.encode(fitted + encoded) == keras_tokenizer.texts_to_sequences(fitted + encoded)


def test_lower_case_of_every_code_point():
    """Equal to the tokenizers library everywhere, and to str.lower for all that this Python knows."""
    points = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    points = [point for point in points if point not in FILTERS + " "]
    text = " ".join("a" + point for point in points)
    ours = split_words(text)
    assert ours == LOWERCASE.normalize_str(text).split(" ")
    python = ["a" + point.lower() for point in points]
    bent = [p for p, one, other in zip(points, ours, python, strict=True) if one != other]
    assert {point for point in bent if unicodedata.category(point) != "Cn"} == set()
    assert split_words("ΑΣ") == ["ασ"] != ["ΑΣ".lower()]


@settings(max_examples=150)
@given(TEXTS, TEXTS, SETTINGS, st.integers(6, 12) | st.none())
@example(["i", "ix xi x"], ["ix", "xi", "xix", "x i", "<unk> <pad> <start> i</w> ##i"], {}, None)
@example(["i", "unk pad start 3"], ["<unk> <pad> <start> <3> [UNK]"], IMDB, None)
@example(["ΑΣ ΑΣ. ΑΣΑ", "İ i̇"], ["ας ασ Σ"], IMDB, None)
def test_the_file_gives_the_same_ids(tmp_path_factory, fitted, encoded, options, num_words):
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.json"
    vocabulary = Vocabulary.fit(fitted, num_words, **options)
    vocabulary.save(path)
    library, loaded = Tokenizer.from_file(str(path)), Vocabulary.load(path)
    texts = fitted + encoded
    expected = vocabulary.encode(texts)
    assert [library.encode(text).ids for text in texts] == expected
    assert loaded.encode(texts) == expected
    assert loaded.index == {word: r for word, r in vocabulary.index.items() if word in loaded.index}
    if num_words is None:
        assert loaded == vocabulary


def test_the_file_holds_no_text_but_the_words(tmp_path):
    path = tmp_path / "tokenizer.json"
    Vocabulary.fit(CORPUS, 8, **IMDB).save(path)
    document = json.loads(path.read_text())
    assert document["model"]["type"] == "WordLevel"
    reserved = {"<pad>": 0, "<start>": 1, "<unk>": 2, "<3>": 3}
    assert document["model"]["vocab"] == reserved | {"books": 4, "are": 5, "computers": 6, "i": 7}
    assert "interesting" not in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize("options", [{}, IMDB])
def test_the_library_decodes_words_with_spaces(tmp_path, options):
    path = tmp_path / "tokenizer.json"
    Vocabulary.fit(CORPUS, **options).save(path)
    library = Tokenizer.from_file(str(path))
    decoded = library.decode(library.encode("I have computers").ids, skip_special_tokens=False)
    assert decoded.removeprefix("<start> ") == "i have computers"


def test_a_long_word_and_white_space_are_plain_words():
    vocabulary = Vocabulary.fit(["a" * 1_000_000, "\r\n\u2003 \xa0"])
    assert vocabulary.index == {"a" * 1_000_000: 1, "\r": 2, "\u2003": 3, "\xa0": 4}


def test_lone_surrogates_encode_but_cannot_be_saved(tmp_path):
    vocabulary = Vocabulary.fit(["caf\xe9 \ud800 \ud83d\ude00"])
    assert vocabulary.encode(["\ud800", "\U0001f600", "\ud83d\ude00"]) == [[2], [], [3]]
    with pytest.raises(DataError, match=r"U\+D800"):
        vocabulary.save(tmp_path / "tokenizer.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": 1}, "start is taken"),
        ({"start": 0, "index_from": 3}, "start is taken"),
        ({"start": 1, "oov": 1, "index_from": 3}, "the same"),
        ({"oov": 4, "index_from": 3}, "oov is taken"),
        ({"index_from": -1}, "index_from is out of range"),
        ({"num_words": 0}, "num_words is out of range"),
        ({"num_words": 3, **IMDB}, "num_words is out of range"),
        ({"num_words": True}, "num_words is out of range"),
        ({"num_words": 2.5}, "num_words is out of range"),
    ],
)
def test_settings_out_of_range(options, words):
    with pytest.raises(UsageError, match=words):
        Vocabulary.fit(CORPUS, **options)


def test_wrong_texts_and_ranks():
    with pytest.raises(UsageError, match=r"put it in a list"):
        Vocabulary.fit("one text")
    with pytest.raises(DataError, match=r"text 1: not a text \(got type=float\)"):
        Vocabulary.fit(["one", float("nan")])
    with pytest.raises(DataError, match="ranks have gaps"):
        Vocabulary({"a": 1, "b": 3})
    with pytest.raises(DataError, match=r"got id=12"):
        Vocabulary.fit(CORPUS).decode([[4, 12]])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"normalizer": {"type": "NFC"}, "added_tokens": []}',
    ],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a vocabulary of this project"):
        Vocabulary.load(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("normalizer", {"type": "NFC"}),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("added_tokens", [{"id": 0, "content": "<pad>"}]),
        ("model", {"type": "Unigram", "vocab": {}}),
        ("model", {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]], "ignore_merges": True}),
    ],
)
def test_another_kind_of_tokenizer_is_refused(tmp_path, key, value):
    path = tmp_path / "tokenizer.json"
    Vocabulary.fit(CORPUS, **IMDB).save(path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {key: value}))
    with pytest.raises(DataError, match="not a vocabulary of this project"):
        Vocabulary.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.json: the file cannot be read"):
        Vocabulary.load(Path(tmp_path / "nowhere.json"))
