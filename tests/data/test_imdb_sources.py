"""Where "imdb" is found, that published files match their digests, and what is said when it is nowhere."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from imdb_files import review_members, small_parts, write_archive, write_npz, write_review_folder
from keras.src.datasets import imdb as keras_imdb

from unrolled.data import load_dataset
from unrolled.data.imdb import download, locate, pins
from unrolled.data.imdb.pins import ARCHIVE, TOKENS, WORDS, KnownFile
from unrolled.errors import DataError, MachineError

WORD_LIST = b'{"the": 1, "film": 2}'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing lies yet, and a network that does not answer."""
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("UNROLLED_DATA", raising=False)
    for name in ("TOKENS", "WORDS"):
        known = replace(getattr(pins, name), url="http://127.0.0.1:1/" + getattr(pins, name).name)
        pin(monkeypatch, name, known)
    return tmp_path


def pin(monkeypatch: pytest.MonkeyPatch, name: str, known: KnownFile) -> None:
    """Puts another published file in the place of the real one."""
    for module in (pins, locate, download):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, known)


def pin_file(monkeypatch: pytest.MonkeyPatch, name: str, path: Path) -> None:
    """Pins the content that ``path`` has now."""
    known = getattr(pins, name)
    content = path.read_bytes()
    digest = hashlib.new(known.algorithm, content).hexdigest()
    pin(monkeypatch, name, replace(known, num_bytes=len(content), digest=digest))


def write_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small imdb.npz and list of words, both pinned."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_npz(folder / TOKENS.name, small_parts())
    (folder / WORDS.name).write_bytes(WORD_LIST)
    pin_file(monkeypatch, "TOKENS", path)
    pin_file(monkeypatch, "WORDS", folder / WORDS.name)
    return path


def test_the_pins_are_those_of_keras() -> None:
    source = Path(keras_imdb.__file__).read_text()
    for known in (TOKENS, WORDS):
        assert known.digest in source
        assert known.url.removesuffix(known.name) in source
    assert len(ARCHIVE.digest) == 64


@pytest.mark.parametrize("place", ["data", "data/imdb", "cache/imdb", "keras/datasets"])
def test_it_is_found_wherever_it_lies(place: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "data").mkdir()
    monkeypatch.setenv("UNROLLED_DATA", str(home / "data"))
    write_tokens(home / place, monkeypatch)
    dataset = load_dataset("imdb")
    assert dataset.train.tokens is not None
    assert dataset.word_index == {"the": 1, "film": 2}
    assert dataset.notices == ()


def test_texts_are_found_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = home / "data"
    data.mkdir()
    monkeypatch.setenv("UNROLLED_DATA", str(data))
    archive = write_archive(data / ARCHIVE.name, review_members())
    pin_file(monkeypatch, "ARCHIVE", archive)
    first = load_dataset("imdb")
    archive.unlink()
    write_review_folder(data / "aclImdb")
    assert load_dataset("imdb").sha256 == first.sha256


@pytest.mark.parametrize("name", ["TOKENS", "WORDS", "ARCHIVE"])
@pytest.mark.parametrize("fault", ["flip", "cut", "append"])
def test_an_altered_file_is_refused_before_it_is_parsed(
    name: str, fault: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "cache" / "imdb"
    if name == "ARCHIVE":
        folder.mkdir(parents=True)
        path = write_archive(folder / ARCHIVE.name, review_members())
        pin_file(monkeypatch, "ARCHIVE", path)
    else:
        write_tokens(folder, monkeypatch)
        path = folder / getattr(pins, name).name
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "cut": content[:-1],
            "append": content + b"x",
        }[fault]
    )

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    for parser in ("unrolled.data.imdb.npz.read_word_index", "unrolled.data.imdb.reviews.read_archive"):
        monkeypatch.setattr(parser, fail)
    if name == "TOKENS":
        monkeypatch.setattr("unrolled.data.imdb.cache.read_parts", fail)
    with pytest.raises(DataError, match=r"altered \(got .*Expected the published") as caught:
        load_dataset("imdb")
    assert caught.value.exit_code == 3
    assert str(caught.value).isprintable()


def test_by_its_path_an_unknown_file_is_read_but_only_safely(home: Path) -> None:
    path = write_npz(home / TOKENS.name, small_parts())
    assert len(load_dataset(path).train) == 2


def test_tables_under_the_variable_must_be_imdb(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for part in ("train", "test"):
        parquet.write_table(
            pyarrow.table({"text": ["a", "b"], "label": ["x", "y"]}), home / f"{part}.parquet"
        )
    monkeypatch.setenv("UNROLLED_DATA", str(home))
    with pytest.raises(DataError, match="are not IMDb's reviews"):
        load_dataset("imdb")


def test_a_variable_that_names_no_folder_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_DATA", str(home / "none"))
    with pytest.raises(DataError, match="UNROLLED_DATA: there is no such folder"):
        load_dataset("imdb")


def test_without_file_and_network_one_line_names_the_ways(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MachineError) as caught:
        load_dataset("imdb")
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert message.isprintable()
    for way in (
        TOKENS.name,
        WORDS.name,
        ARCHIVE.name,
        "train.parquet",
        "UNROLLED_DATA",
        "--data demo",
        str(home),
    ):
        assert way in message
    assert capsys.readouterr().out == ""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An address, and the folder that is served there."""
    folder = tmp_path / "served"
    folder.mkdir()

    def handler(*arguments: object) -> _Quiet:
        return _Quiet(*arguments, directory=str(folder))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()


def serve_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKENS", "WORDS"):
        known = getattr(pins, name)
        pin(monkeypatch, name, replace(known, url=address + known.name))


def test_it_is_fetched_once(
    home: Path,
    server: tuple[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address, folder = server
    write_tokens(folder, monkeypatch)
    serve_at(address, monkeypatch)
    dataset = load_dataset("imdb")
    assert dataset.word_index == {"the": 1, "film": 2}
    assert sorted(path.name for path in (home / "cache" / "imdb").iterdir() if path.is_file()) == [
        "imdb.npz",
        "imdb_word_index.json",
    ]
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(requests, "get", None)
    assert load_dataset("imdb").sha256 == dataset.sha256


@pytest.mark.parametrize("fault", ["other content", "cut", "missing"])
def test_a_bad_download_leaves_nothing_behind(
    fault: str, home: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    path = write_tokens(folder, monkeypatch)
    serve_at(address, monkeypatch)
    if fault == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-9] if fault == "cut" else b"x" + content[1:])
    error = MachineError if fault == "missing" else DataError
    with pytest.raises(error, match=r"imdb\.npz") as caught:
        load_dataset("imdb")
    assert str(caught.value).isprintable()
    assert not (home / "cache" / "imdb" / "imdb.npz").exists()
