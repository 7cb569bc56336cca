"""Where IMDb lies on this machine, in whichever form; fetched when it lies nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unrolled.cache import cache_folder
from unrolled.data.imdb.cache import KIND
from unrolled.data.imdb.pins import ARCHIVE, TOKENS, WORDS, check_pin
from unrolled.data.imdb.reviews import FOLDER, is_review_folder
from unrolled.data.tables.table import show_path
from unrolled.errors import DataError

VARIABLE = "UNROLLED_DATA"

Form = Literal["tokens", "folder", "archive", "tables"]


@dataclass(frozen=True, slots=True)
class Location:
    """One copy of IMDb: its form, and the file or folder that holds it."""

    form: Form
    path: Path


def find_in(folder: Path) -> Location | None:
    """The copy of IMDb that ``folder`` holds or is; None when there is none.

    Keras' file comes first, since its order and ids are the ones that published figures rest on.
    """
    if (folder / TOKENS.name).is_file():
        return Location("tokens", folder / TOKENS.name)
    for place in (folder, folder / FOLDER):
        if is_review_folder(place):
            return Location("folder", place)
    if (folder / ARCHIVE.name).is_file():
        return Location("archive", folder / ARCHIVE.name)
    return None


def locate() -> Location:
    """The copy that "imdb" stands for: from ``UNROLLED_DATA``, the caches, or the network.

    Published files are held against their digests before anything reads them.

    Returns:
        The copy.

    Raises:
        DataError: ``UNROLLED_DATA`` names no folder, or a published file is altered.
        MachineError: there is no copy and it cannot be fetched.
    """
    location = find_copy()
    if location is not None:
        _check(location)
        return location
    from unrolled.data.imdb.download import download

    return Location("tokens", download(cache_folder(KIND)))


def find_copy() -> Location | None:
    """The copy that :func:`locate` would check and use, without the network; None when there is none.

    Raises:
        DataError: ``UNROLLED_DATA`` names no folder.
    """
    for folder in _folders():
        location = find_in(folder)
        if location is None and all((folder / f"{part}.parquet").is_file() for part in ("train", "test")):
            location = Location("tables", folder)
        if location is not None:
            return location
    return None


def find_word_index(tokens: Path) -> Path | None:
    """Keras' list of words beside ``tokens`` or in the caches; None when there is none."""
    for folder in (tokens.parent, cache_folder(KIND), _keras_folder()):
        if (folder / WORDS.name).is_file():
            return folder / WORDS.name
    return None


def _folders() -> Iterator[Path]:
    given = os.environ.get(VARIABLE, "")
    if given:
        root = Path(given).expanduser()
        if not root.is_dir():
            raise DataError(
                VARIABLE,
                f"there is no such folder (got {VARIABLE}={show_path(root)})",
                expected="a folder that holds IMDb in one of its forms",
                action=f"correct or unset {VARIABLE}",
            )
        yield root
        yield root / "imdb"
    yield cache_folder(KIND)
    yield _keras_folder()


def _keras_folder() -> Path:
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def _check(location: Location) -> None:
    pins = {"tokens": TOKENS, "archive": ARCHIVE}
    if location.form in pins:
        check_pin(location.path, pins[location.form])
