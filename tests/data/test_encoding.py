"""Encoding: who ends up in which part, what the vocabulary has seen, and files that are whole or refused."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.data import storage
from unrolled.data.encoding import (
    clip_vocabulary,
    encode_dataset,
    iterate_batches,
    load_encoded,
    save_encoded,
)
from unrolled.data.padding import pad_sequences
from unrolled.errors import DataError, MachineError, UsageError
from unrolled.types import Dataset, EncodedSplit, Ragged, Split


def make_split(labels, *, prefix="row", texts=None) -> Split:
    if texts is None:
        texts = [f"{prefix}{row} word{row % 7} film" for row in range(len(labels))]
    return Split(np.array(labels, np.int32), texts=texts)


def make_dataset(train=None, test=None, **fields) -> Dataset:
    train = train or make_split([0, 1] * 50)
    return Dataset("made", ("bad", "good"), train, test, sha256="0" * 64, **fields)


TEST = make_split([0, 1] * 10, prefix="test")


def tokens_of(split: EncodedSplit) -> list[list[int]]:
    return [split.tokens[row].tolist() for row in range(len(split))]


def test_standard_draws_validation_from_train_and_leaves_test():
    dataset = make_dataset(test=TEST)
    encoded, vocabulary = encode_dataset(dataset, protocol="standard")
    assert (len(encoded.train), len(encoded.validation), len(encoded.test)) == (90, 10, 20)
    for split in (encoded.train, encoded.validation, encoded.test):
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
    assert vocabulary is not None
    assert encoded.vocabulary_size == vocabulary.size


def test_the_vocabulary_has_seen_only_what_is_trained_on():
    dataset = make_dataset(test=TEST)
    encoded, vocabulary = encode_dataset(dataset, protocol="standard")
    own = Counter(word for word in vocabulary.index if word.startswith(("row", "test")))
    assert sum(own.values()) == len(encoded.train) == 90
    assert all(2 in row for row in tokens_of(encoded.validation) + tokens_of(encoded.test))
    assert not any(2 in row for row in tokens_of(encoded.train))
    assert all(row[0] == 1 and row[-1] == 4 for row in tokens_of(encoded.train))  # "film" is the commonest


def test_notebook_keeps_all_of_train_and_validates_on_test():
    encoded, vocabulary = encode_dataset(make_dataset(test=TEST), protocol="notebook")
    assert len(encoded.train) == 100
    assert encoded.validation is encoded.test
    assert sum(word.startswith("row") for word in vocabulary.index) == 100


def test_a_missing_test_part_is_drawn_first():
    encoded, _ = encode_dataset(make_dataset(), protocol="standard")
    assert (len(encoded.train), len(encoded.validation), len(encoded.test)) == (72, 8, 20)
    encoded, _ = encode_dataset(make_dataset(), protocol="notebook", test_fraction=0.5)
    assert (len(encoded.train), len(encoded.test)) == (50, 50)


def test_a_validation_part_that_comes_along_is_used():
    validation = make_split([0, 1], prefix="validation")
    dataset = make_dataset(test=TEST, validation=validation)
    encoded, _ = encode_dataset(dataset, protocol="standard")
    assert (len(encoded.train), len(encoded.validation)) == (100, 2)
    encoded, _ = encode_dataset(dataset, protocol="notebook")
    assert encoded.validation is encoded.test
    assert any("the validation part is not used" in notice for notice in encoded.notices)


def test_the_draw_is_the_same_on_every_machine():
    """Pinned row numbers: a change here changes every published figure."""
    labels = np.array([0, 1] * 20, np.int32)
    split = Split(labels, texts=[f"row{row}" for row in range(40)])
    from unrolled.data.splitting import draw

    _, first, _ = draw(split, ("bad", "good"), fraction=0.1, seed=0, purpose="validation", where="made")
    _, second, _ = draw(split, ("bad", "good"), fraction=0.1, seed=1, purpose="validation", where="made")
    assert (first.tolist(), second.tolist()) == ([9, 22, 30, 37], [9, 12, 22, 27])


@given(st.permutations(range(30)))
def test_the_draw_does_not_depend_on_the_order_of_rows(order):
    split = make_split([0, 1, 1] * 10)
    shuffled = Split(split.labels[order], texts=[split.texts[row] for row in order])
    texts = []
    for part in (split, shuffled):
        encoded, vocabulary = encode_dataset(make_dataset(part), protocol="notebook")
        texts.append(sorted(vocabulary.decode(encoded.train.tokens)))
    assert texts[0] == texts[1]


@given(st.lists(st.integers(0, 9), min_size=20, max_size=60), st.integers(0, 3))
def test_equal_texts_of_a_class_stay_on_one_side(numbers, seed):
    texts = [f"text{n}" for n in numbers] + [f"pad{n}" for n in range(10)]
    labels = [n % 2 for n in numbers] + [0, 1] * 5
    split = make_split(labels, texts=texts)
    from unrolled.data.splitting import draw

    kept, drawn, _ = draw(split, ("a", "b"), fraction=0.3, seed=seed, purpose="test", where="made")
    assert not {texts[row] for row in kept} & {texts[row] for row in drawn}
    assert sorted([*kept, *drawn]) == list(range(len(texts)))
    for part in (kept, drawn):
        assert set(split.labels[part]) == {0, 1}


def test_equal_texts_under_two_labels_are_reported():
    texts = ["same text"] * 2 + [f"row{row}" for row in range(8)]
    notice = "1 of 4 texts in test stand in train too, under another label"
    found = set()
    for seed in range(30):
        dataset = make_dataset(make_split([0, 1] * 5, texts=texts))
        encoded, vocabulary = encode_dataset(dataset, protocol="notebook", seed=seed, test_fraction=0.4)
        found.add((vocabulary.decode(encoded.train.tokens).count("same text"), notice in encoded.notices))
    assert found == {(0, False), (1, True), (2, False)}


def test_texts_without_a_known_word_are_reported():
    test = make_split([0, 1], texts=["...", "film"])
    encoded, _ = encode_dataset(make_dataset(test=test, notices=("first",)), protocol="notebook")
    assert encoded.notices == ("first", "1 of 2 texts in test hold no word of the vocabulary")
    assert tokens_of(encoded.test)[0] == [1]


def test_a_rare_class_still_appears_and_is_reported():
    train = make_split([0] * 60 + [1] * 3)
    encoded, _ = encode_dataset(make_dataset(train, TEST), protocol="standard")
    assert np.bincount(encoded.validation.labels).tolist() == [6, 1]
    assert any("class 'good' has only 3 texts" in notice for notice in encoded.notices)


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (make_split([0] * 9 + [1]), TEST, "class 'good': too few different texts to draw a validation part"),
        (make_split([0, 1] * 9, texts=["same"] * 18), None, "too few different texts to draw a test part"),
        (make_split([0] * 10), TEST, "train part: no text of class 'good'"),
        (make_split([0, 1] * 5), make_split([1, 1]), "test part: no text of class 'bad'"),
        (make_split([0, 2] * 5), TEST, "a label has no class"),
        (make_split([0, -1] * 5), TEST, "a label has no class"),
        (make_split([0, 1] * 5, texts=list("!?.,;:-+*/")), TEST, "train part holds no word"),
        (
            make_split([0, 1] * 5),
            Split(np.array([0, 1], np.int32), tokens=Ragged.from_lists([[1], [1]])),
            "token ids where train brings texts",
        ),
        (
            Split(np.array([0, 1] * 5, np.int32), tokens=Ragged.from_lists([[1, 4, n] for n in range(10)])),
            TEST,
            "another part brings texts",
        ),
        (
            Split(np.array([0, 1] * 5, np.int32), tokens=Ragged.from_lists([[1, -4, n] for n in range(10)])),
            TEST,
            "a token id is negative",
        ),
    ],
)
def test_data_that_cannot_be_split_or_learnt_is_refused(train, test, words):
    with pytest.raises(DataError, match=words):
        encode_dataset(make_dataset(train, test), protocol="standard")


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "notbook"},
        {"protocol": "standard", "seed": -1},
        {"protocol": "standard", "seed": 0.5},
        {"protocol": "standard", "test_fraction": 0.0},
        {"protocol": "standard", "validation_fraction": 1.0},
        {"protocol": "standard", "validation_fraction": float("nan")},
    ],
)
def test_settings_out_of_range(options):
    with pytest.raises(UsageError):
        encode_dataset(make_dataset(), **options)


def test_token_ids_pass_through():
    train = Split(
        np.array([0, 1] * 10, np.int32), tokens=Ragged.from_lists([[1, 4, 5 + n] for n in range(20)])
    )
    test = Split(np.array([0, 1], np.int32), tokens=Ragged.from_lists([[1, 4], [1, 99]]))
    encoded, vocabulary = encode_dataset(make_dataset(train, test), protocol="notebook")
    assert vocabulary is None
    assert encoded.train.tokens is train.tokens
    assert encoded.vocabulary_size == 100
    index = {f"w{rank}": rank for rank in range(1, 201)}
    encoded, vocabulary = encode_dataset(make_dataset(train, test, word_index=index), protocol="standard")
    assert vocabulary.decode([[1, 4, 5]]) == ["w1 w2"]
    assert encoded.vocabulary_size == 204
    assert (len(encoded.train), len(encoded.validation)) == (18, 2)


@given(st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=5), st.integers(3, 50))
def test_clipping_replaces_ids_from_the_size_on(rows, size):
    ragged = Ragged.from_lists(rows)
    expected = [[2 if token >= size else token for token in row] for row in rows]
    clipped = clip_vocabulary(ragged, size)
    assert [clipped[row].tolist() for row in range(len(rows))] == expected
    padded = pad_sequences(ragged)
    assert clip_vocabulary(padded, size).tolist() == np.where(padded >= size, 2, padded).tolist()
    assert clipped.values.dtype == np.int32


def test_clipping_leaves_room_for_the_reserved_ids():
    with pytest.raises(UsageError, match="at least 3"):
        clip_vocabulary(Ragged.from_lists([[1]]), 2)


@given(st.integers(1, 9), st.integers(1, 7), st.permutations(range(8)), st.integers(0, 8))
def test_batches_deliver_every_row_once_in_order(batch_size, length, order, count):
    rows = [[1, *range(4, 4 + row)] for row in range(8)]
    split = EncodedSplit(Ragged.from_lists(rows), np.arange(8, dtype=np.int32))
    wanted = np.array(order[:count], np.int64)
    batches = list(
        iterate_batches(split, batch_size=batch_size, length=length, vocabulary_size=8, order=wanted)
    )
    assert len(batches) == -(-count // batch_size)
    real = [batch.weights > 0 for batch in batches]
    assert all(batch.tokens.shape == (batch_size, length) for batch in batches)
    assert all(mask.all() for mask in real[:-1])
    labels = [label for batch, mask in zip(batches, real, strict=True) for label in batch.labels[mask]]
    assert labels == order[:count]
    expected = pad_sequences([[2 if t >= 8 else t for t in rows[row]] for row in order[:count]], length)
    found = [row for batch, mask in zip(batches, real, strict=True) for row in batch.tokens[mask].tolist()]
    assert found == expected.tolist()
    for batch in batches:
        assert (batch.tokens[:, -1] > 0).all()
        assert batch.tokens.dtype == batch.labels.dtype == np.int32
        assert batch.weights.dtype == np.float32


def test_a_batch_size_of_zero_is_refused():
    split = EncodedSplit(Ragged.from_lists([[1]]), np.zeros(1, np.int32))
    with pytest.raises(UsageError, match="batch_size"):
        next(iterate_batches(split, batch_size=0, length=3, vocabulary_size=9, order=np.arange(1)))


@pytest.fixture
def encoded():
    return encode_dataset(make_dataset(test=TEST, notices=("über",), best_accuracy=0.9), protocol="standard")[
        0
    ]


def assert_same(left, right):
    for name in ("name", "classes", "vocabulary_size", "sha256", "notices", "best_accuracy"):
        assert getattr(left, name) == getattr(right, name)
    for name in ("train", "validation", "test"):
        one, other = getattr(left, name), getattr(right, name)
        assert tokens_of(one) == tokens_of(other)
        assert one.labels.tolist() == other.labels.tolist()
        assert other.tokens.values.dtype == other.labels.dtype == np.int32


def test_saved_and_loaded_are_equal(encoded, tmp_path):
    save_encoded(encoded, tmp_path / "new" / "folder")
    assert_same(encoded, load_encoded(tmp_path / "new" / "folder"))


def test_empty_sequences_survive(tmp_path):
    split = EncodedSplit(Ragged.from_lists([[], []]), np.array([0, 1], np.int32))
    encoded = encode_dataset(make_dataset(test=TEST), protocol="notebook")[0]
    encoded = replace(encoded, train=split)
    save_encoded(encoded, tmp_path)
    loaded = load_encoded(tmp_path)
    assert_same(encoded, loaded)
    assert loaded.validation is loaded.test


def test_saving_again_replaces_and_leaves_nothing_behind(encoded, tmp_path):
    save_encoded(encoded, tmp_path)
    other = encode_dataset(make_dataset(), protocol="standard", seed=5)[0]
    save_encoded(other, tmp_path)
    assert_same(other, load_encoded(tmp_path))
    listed = set(json.loads((tmp_path / "meta.json").read_text())["files"]["train"].values())
    assert len(listed) == 3
    assert len(list(tmp_path.iterdir())) <= 10


@pytest.mark.parametrize("broken_write", range(1, 11))
def test_a_failing_disk_leaves_the_former_data_set_whole(encoded, tmp_path, monkeypatch, broken_write):
    save_encoded(encoded, tmp_path)
    other = encode_dataset(make_dataset(make_split([0, 1] * 30, prefix="o")), protocol="standard")[0]
    calls = 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= broken_write:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(MachineError, match="No space left on device"):
            save_encoded(other, tmp_path)
    assert_same(encoded, load_encoded(tmp_path))
    assert not list(tmp_path.glob("*.tmp"))
    assert not list(tmp_path.glob(".*"))


def test_every_altered_byte_is_found(encoded, tmp_path):
    save_encoded(encoded, tmp_path)
    rng = np.random.Generator(np.random.PCG64(0))
    for path in sorted(tmp_path.glob("*.npy")):
        content = path.read_bytes()
        for position in rng.integers(0, len(content), 20):
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            with pytest.raises(DataError, match="the content has changed"):
                load_encoded(tmp_path)
        path.write_bytes(content[:-1])
        with pytest.raises(DataError, match="the content has changed"):
            load_encoded(tmp_path)
        path.write_bytes(content)
    load_encoded(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda meta: b"", "not JSON"),
        (lambda meta: b"[" * 100_000, "not JSON"),
        (lambda meta: b"[]", "not an encoded data set"),
        (lambda meta: json.dumps(meta | {"format": "other"}).encode(), "format='other'"),
        (lambda meta: json.dumps(meta | {"files": {}}).encode(), "a field is missing"),
        (lambda meta: json.dumps({k: v for k, v in meta.items() if k != "classes"}).encode(), "'classes'"),
        (
            lambda meta: json.dumps(meta | {"files": {"train": {"values": "../../etc/passwd"}}}).encode(),
            "not 64 hexadecimal digits",
        ),
        (lambda meta: json.dumps(meta | {"files": {"train": {"values": "a" * 64}}}).encode(), "is missing"),
    ],
)
def test_a_damaged_meta_file_is_refused(encoded, tmp_path, change, words):
    save_encoded(encoded, tmp_path)
    path = tmp_path / "meta.json"
    path.write_bytes(change(json.loads(path.read_text())))
    with pytest.raises(DataError, match=words):
        load_encoded(tmp_path)


def test_a_pickle_under_a_true_digest_is_not_run(encoded, tmp_path):
    save_encoded(encoded, tmp_path)
    payload = storage.io.BytesIO()
    np.save(payload, np.array([object], dtype=object), allow_pickle=True)
    digest = storage.hashlib.sha256(payload.getvalue()).hexdigest()
    (tmp_path / f"{digest}.npy").write_bytes(payload.getvalue())
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["files"]["train"]["values"] = digest
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match=r"not a \.npy array"):
        load_encoded(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere/meta\.json: the file does not exist"):
        load_encoded(tmp_path / "nowhere")
