"""Keras' two files from the network, with a progress bar on standard error."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from unrolled.data.imdb.pins import ARCHIVE, TOKENS, WORDS, KnownFile
from unrolled.data.tables.table import one_line
from unrolled.errors import DataError, MachineError

TIMEOUT_SECONDS = 30


def download(folder: Path) -> Path:
    """Fetches ``imdb.npz`` and its word list into ``folder``; gives back the path of the former.

    Each file lands under its name only when its digest is right.

    Raises:
        MachineError: no network, or no room.
        DataError: what came is not the published file.
    """
    _fetch(WORDS, folder)
    return _fetch(TOKENS, folder)


def _fetch(known: KnownFile, folder: Path) -> Path:
    import pooch
    import requests

    # The bar says what is going on; log lines would break it.
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        with _Bar(known) as bar:
            fetched = pooch.retrieve(
                known.url,
                known_hash=f"{known.algorithm}:{known.digest}",
                fname=known.name,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT_SECONDS),
            )
    except (requests.RequestException, OSError) as error:
        response = getattr(error, "response", None)
        if response is not None:
            response.close()
        raise MachineError(
            "imdb",
            f"{known.name} is not on this machine and cannot be fetched ({_reason(error)})",
            expected="the network, or a copy of IMDb here",
            action=ways_to_bring(folder),
        ) from None
    except ValueError:
        raise DataError(
            known.name,
            "what came over the network is not the published file",
            expected=f"{known.algorithm} {known.digest}",
            action="again later, or " + ways_to_bring(folder),
        ) from None
    return Path(fetched)


def ways_to_bring(folder: Path) -> str:
    """How a person gets IMDb onto a machine without network, in one sentence."""
    return (
        f"put {TOKENS.name} and {WORDS.name} (Keras), {ARCHIVE.name}, the unpacked aclImdb, or train.parquet "
        f"and test.parquet into {folder} or into a folder that UNROLLED_DATA names; or give their path "
        "(--data PATH); or use --data demo, which needs no file"
    )


def _reason(error: Exception) -> str:
    """The innermost cause, on one line: outer ones repeat addresses and object names."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return one_line(cause, 120) or type(error).__name__


class _Bar:
    """A rich progress bar behind the four methods of tqdm that pooch calls."""

    def __init__(self, known: KnownFile) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(f"Fetching {known.name}", total=known.num_bytes)
        self.total: float = known.num_bytes

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def update(self, num_bytes: int) -> None:
        """``num_bytes`` more have come."""
        self._progress.update(self._task, advance=num_bytes, total=self.total or None)

    def reset(self) -> None:
        """Starts again from nothing: pooch does so at the end, to fill the bar in one step."""
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        """Nothing is left to do: leaving the context ends the bar."""
