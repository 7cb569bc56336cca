"""Keras' file read safely, and to the same arrays that Keras' own loader makes of it."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imdb_files import npy, object_array, pickle_like_python_2, small_parts, write_npz, write_raw_npz
from keras.src.datasets import imdb as keras_imdb

from unrolled.data import load_dataset
from unrolled.data.imdb import cache
from unrolled.data.imdb.npz import load_imdb_npz, read_parts, read_word_index
from unrolled.data.imdb.pins import TOKENS
from unrolled.errors import DataError, UsageError
from unrolled.types import Split

REVIEWS = st.lists(st.lists(st.integers(1, 400), min_size=1, max_size=6), min_size=1, max_size=8)


@st.composite
def parts(draw: st.DrawFn) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("train", "test"):
        reviews = draw(REVIEWS)
        found[f"x_{name}"] = reviews
        found[f"y_{name}"] = draw(st.lists(st.integers(0, 1), min_size=len(reviews), max_size=len(reviews)))
    return found


def check_same(ours: Split, theirs: tuple[np.ndarray, np.ndarray]) -> None:
    assert ours.tokens is not None
    assert [ours.tokens[i].tolist() for i in range(len(ours))] == [list(row) for row in theirs[0]]
    assert ours.labels.tolist() == theirs[1].tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    content=parts(),
    num_words=st.none() | st.integers(0, 420),
    skip_top=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1) | st.just(113),
    start=st.none() | st.integers(0, 5),
    oov=st.none() | st.integers(0, 5),
    index_from=st.integers(0, 5),
)
def test_the_same_as_keras_under_every_option(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: dict[str, object],
    num_words: int | None,
    skip_top: int,
    seed: int,
    start: int | None,
    oov: int | None,
    index_from: int,
) -> None:
    path = write_npz(tmp_path / "imdb.npz", content)
    # Keras would compare the digest and fetch the published file instead.
    monkeypatch.setattr(keras_imdb, "get_file", lambda **_: str(path))
    options = {"num_words": num_words, "skip_top": skip_top, "seed": seed, "index_from": index_from}
    theirs = keras.datasets.imdb.load_data(**options, start_char=start, oov_char=oov)
    ours = load_imdb_npz(path, **options, start=start, oov=oov)
    for mine, other in zip(ours, theirs, strict=True):
        # Keras makes a matrix of reviews that happen to be of one length.
        check_same(mine, other)


def test_keras_reads_the_old_pickle_as_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[1, 14, 22], [70_000, 2], [5]] * 40
    path = write_raw_npz(
        tmp_path / "imdb.npz",
        {
            "x_train": npy(pickle_like_python_2(rows), (120,)),
            "y_train": npy(np.tile(np.int64([0, 1]), 60).tobytes(), (120,), "<i8"),
        },
    )
    monkeypatch.setattr(keras_imdb, "get_file", lambda **_: str(path))
    for mine, other in zip(load_imdb_npz(path), keras.datasets.imdb.load_data(), strict=True):
        check_same(mine, other)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_protocol_without_python_2s_detour_for_bytes(protocol: int, tmp_path: Path) -> None:
    program = pickle.dumps(object_array([[1, 2**30], [300]]), protocol)
    path = write_raw_npz(tmp_path / "a.npz", {"x_train": npy(program)})
    if protocol == 2:
        # Python 3 writes bytes in protocol 2 through codecs.encode, which no published file needs.
        with pytest.raises(DataError, match="the pickle holds more than lists"):
            load_imdb_npz(path)
        return
    with pytest.raises(DataError, match="a token id is out of range"):
        load_imdb_npz(path)
    sound = write_raw_npz(
        tmp_path / "b.npz", {"x_train": npy(pickle.dumps(object_array([[1], [300]]), protocol))}
    )
    train, _ = load_imdb_npz(sound, num_words=1000)
    assert train.tokens is not None
    assert sorted(train.tokens[i].tolist() for i in range(2)) == [[1, 4], [1, 303]]


def test_a_known_file_skips_the_check_of_opcodes_but_not_the_stand_ins(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return os.getcwd, ()

    path = write_raw_npz(tmp_path / "a.npz", {"x_train": npy(pickle.dumps(Payload(), 4))})
    with pytest.raises(DataError, match=r"the pickle names posix\.getcwd|the pickle names nt\.getcwd"):
        read_parts(path, is_known=True)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_altered_pickles_are_read_or_refused_and_never_anything_else(
    tmp_path: Path, data: st.DataObject
) -> None:
    program = bytearray(pickle.dumps(object_array([[1, 300], [70_000]]), data.draw(st.sampled_from([3, 4]))))
    for _ in range(data.draw(st.integers(1, 3))):
        program[data.draw(st.integers(0, len(program) - 1))] = data.draw(st.integers(0, 255))
    path = write_raw_npz(tmp_path / "a.npz", {"x_train": npy(bytes(program))})
    with suppress(DataError):
        read_parts(path, is_known=False)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", small_parts())
    with pytest.raises(UsageError, match="num_words is negative"):
        load_imdb_npz(path, num_words=-1)


def test_as_a_data_set_no_word_is_replaced(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "imdb.npz", small_parts())
    (tmp_path / "imdb_word_index.json").write_text('{"the": 1, "film": 5}')
    dataset = load_dataset(path)
    assert (dataset.name, dataset.classes) == ("imdb", ("negative", "positive"))
    assert dataset.word_index == {"the": 1, "film": 5}
    assert dataset.notices == ()
    assert dataset.train.tokens is not None
    order = np.arange(2)
    np.random.RandomState(113).shuffle(order)
    expected = [[[1, 4, 8, 303], [1, 4, 70_003]][i] for i in order]
    assert [dataset.train.tokens[i].tolist() for i in range(2)] == expected
    assert dataset.train.labels.tolist() == order.tolist()
    assert dataset.train.tokens.values.dtype == np.int32
    assert load_dataset(tmp_path).sha256 == dataset.sha256


def test_without_the_words_a_notice_says_so(tmp_path: Path) -> None:
    dataset = load_dataset(write_npz(tmp_path / "mine.npz", small_parts()))
    assert dataset.word_index is None
    assert dataset.notices == ("imdb_word_index.json is not here: token ids cannot be shown as words.",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "not a JSON object"),
        ("{", "it is not JSON"),
        ('{"a": 0}', "no positive integer"),
        ('{"a": "1"}', "no positive integer"),
        ('{"a": true}', "no positive integer"),
        ('{"a": 1, "b": 1}', "two words have the same rank"),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_list_of_words_is_checked(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "imdb_word_index.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_word_index(tmp_path / "imdb_word_index.json")


def test_the_second_start_reads_plain_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    path = write_npz(tmp_path / "imdb.npz", small_parts())
    first = load_dataset(path)
    (folder,) = (tmp_path / "cache" / "imdb").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == [
        "meta.json",
        *(f"{part}_{kind}.npy" for part in ("test", "train") for kind in ("labels", "offsets", "values")),
    ]
    assert np.load(folder / "train_values.npy", allow_pickle=False).dtype == np.int32

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the pickle was read again")

    monkeypatch.setattr(cache, "read_parts", fail)
    assert load_dataset(path).sha256 == first.sha256


@pytest.mark.parametrize("fault", ["flip", "cut", "remove", "meta", "foreign meta", "swap"])
def test_an_altered_copy_is_noticed_before_it_is_parsed(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    path = write_npz(tmp_path / "imdb.npz", small_parts())
    first = load_dataset(path)
    (folder,) = (tmp_path / "cache" / "imdb").iterdir()
    file = folder / "train_values.npy"
    content = file.read_bytes()
    if fault == "flip":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif fault == "cut":
        file.write_bytes(content[:-4])
    elif fault == "remove":
        file.unlink()
    elif fault == "meta":
        (folder / "meta.json").write_text("{")
    elif fault == "foreign meta":
        (folder / "meta.json").write_text(json.dumps({"format": "another/1", "sha256": {}}))
    else:
        file.write_bytes((folder / "test_values.npy").read_bytes())
    second = load_dataset(path)
    assert second.sha256 == first.sha256
    assert bool([n for n in second.notices if "the cached copy was made anew" in n]) == (fault != "remove")
    assert load_dataset(path).notices == first.notices


def test_a_cache_that_cannot_be_written_costs_only_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "file"))
    dataset = load_dataset(write_npz(tmp_path / "imdb.npz", small_parts()))
    assert any("the next start parses the file again" in notice for notice in dataset.notices)
    assert len(dataset.train) == 2


def published_file() -> Path | None:
    root = os.environ.get("UNROLLED_DATA")
    places = [Path(root) / TOKENS.name, Path(root) / "imdb" / TOKENS.name] if root else []
    return next((place for place in places if place.is_file()), None)


@pytest.mark.skipif(published_file() is None, reason="UNROLLED_DATA holds no imdb.npz")
def test_the_published_file_has_the_published_facts() -> None:
    dataset = load_dataset("imdb")
    assert dataset.test is not None
    tokens = dataset.train.tokens
    assert tokens is not None
    assert (len(dataset.train), len(dataset.test)) == (25_000, 25_000)
    assert tokens.lengths[[0, 4]].tolist() == [218, 147]
    assert tokens[0][:8].tolist() == [1, 14, 22, 16, 43, 530, 973, 1622]
    assert dataset.train.labels[0] == 1
    assert np.bincount(dataset.train.labels).tolist() == [12_500, 12_500]
