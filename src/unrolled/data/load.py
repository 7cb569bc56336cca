"""A labelled corpus by its name or from its file: the one door through which data comes in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from unrolled.data.assemble import PARTS, assemble, assemble_tokens, split_table
from unrolled.data.tables.columns import ColumnRequest
from unrolled.data.tables.folder import find_classes, read_class_folder
from unrolled.data.tables.read import is_table_file, read_table
from unrolled.data.tables.table import SPLIT_NAMES, Table, show_path
from unrolled.errors import DataError, MachineError, UsageError, nearest
from unrolled.registry import Registry
from unrolled.types import Dataset


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the user asked for beside the source; see :func:`load_dataset`."""

    columns: ColumnRequest
    test: Path | None
    seed: int
    size: int | None


Source: TypeAlias = Callable[[LoadRequest], Dataset]

SOURCES: Registry[Source] = Registry("data source")
"""Corpora that go by a name. A new one is one function and one decorator."""


def load_dataset(
    source: str | Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    test: str | Path | None = None,
    seed: int = 0,
    size: int | None = None,
) -> Dataset:
    """A labelled corpus, in the order of its source, with what was odd about it as notices.

    ``source`` is "demo", "imdb" or a path: a CSV, TSV, JSONL or Parquet file; a folder with a folder per
    class; a folder with train and test files, or train and test folders; IMDb as ``imdb.npz``,
    ``aclImdb_v1.tar.gz``, the unpacked ``aclImdb`` or train and test tables. A column named ``split`` is
    honoured. Labels stay the strings they are; a source with one part leaves splitting to the encoding.

    Args:
        source: a name, or where the data lies; "./demo" is a path.
        text_column: holds the texts; found by name or content when None.
        label_column: holds the labels; likewise.
        group_column: names what rows belong together (an author, a product): no group on both sides of a
            split that is drawn. Never guessed.
        split_column: says train, validation or test; a column called ``split`` when None.
        test: a file or class folder with the test part, for a source without one.
        seed: of the generated corpus.
        size: training reviews to generate; only for "demo".

    Returns:
        The corpus.

    Raises:
        UsageError: options that do not go together, or an unclear use of them.
        DataError: the data is not there, broken, dangerous, or no classification corpus.
        MachineError: the disk, the memory or the network failed.
    """
    request = LoadRequest(
        ColumnRequest(text_column, label_column, group_column, split_column),
        None if test is None else Path(test).expanduser(),
        seed,
        size,
    )
    try:
        if isinstance(source, str) and source in SOURCES:
            return SOURCES.get(source)(request)
        return _load_path(Path(source).expanduser(), request)
    except OSError as error:
        if isinstance(error, MachineError):
            raise
        raise MachineError(
            str(error.filename or source),
            f"it cannot be read ({error.strerror or error})",
            expected="files that may be read, on a working disk",
            action="mend the permissions or copy the data elsewhere",
        ) from error
    except MemoryError as error:
        raise MachineError(
            str(source), "memory ran out while it was read", action="a sample of the rows, or more memory"
        ) from error


@SOURCES.register("demo")
def load_demo(request: LoadRequest) -> Dataset:
    """The generated corpus; ``size`` sets its training part, and the others in proportion."""
    _refuse_options("demo", request, *_COLUMNS, "test")
    if request.size is not None and request.size < 12:
        raise UsageError("demo", f"too few reviews (got size={request.size})", expected="12 or more")
    from unrolled.data.demo import generate_demo

    if request.size is None:
        return generate_demo(seed=request.seed)
    return generate_demo(
        train=request.size, validation=request.size // 6, test=request.size // 3, seed=request.seed
    )


@SOURCES.register("imdb")
def load_imdb(request: LoadRequest) -> Dataset:
    """IMDb's reviews, from wherever they lie on this machine, or from the network."""
    from unrolled.data.imdb.locate import locate

    _refuse_options("imdb", request, *_OPTIONS)
    location = locate()
    if location.form != "tables":
        return _load_location(location.form, location.path, is_known=True)
    dataset = _load_path(location.path, request)
    if dataset.name != "imdb":
        raise DataError(
            show_path(location.path),
            "train.parquet and test.parquet are not IMDb's reviews",
            expected="columns id, text, label, rating, and the labels pos and neg",
            action="give the folder by its path (--data PATH) to use it as it is",
        )
    return dataset


def _load_path(path: Path, request: LoadRequest) -> Dataset:
    _refuse_options(show_path(path), request, "size")
    name = path.resolve().name
    if path.is_dir():
        from unrolled.data.imdb.locate import find_in

        location = find_in(path)
        if location is not None:
            _refuse_options(show_path(path), request, *_OPTIONS)
            return _load_location(location.form, location.path, is_known=False)
        tables = _read_folder(path, request)
    elif path.suffix.lower() == ".npz" or path.name.lower().endswith((".tar.gz", ".tgz")):
        _refuse_options(show_path(path), request, *_OPTIONS)
        form = "tokens" if path.suffix.lower() == ".npz" else "archive"
        if not path.is_file():
            raise _missing(path)
        return _load_location(form, path, is_known=False)
    elif path.exists():
        name = path.stem
        tables = split_table(read_table(path, request.columns))
    else:
        raise _missing(path)
    if request.test is not None:
        if "test" in tables:
            raise UsageError(
                "test",
                f"the source has a test part of its own (got test={show_path(request.test)})",
                expected="one test part",
                action="leave one of the two out",
            )
        tables["test"] = _read_single(request.test, request.columns)
    return assemble(name, tables)


def _load_location(form: str, path: Path, *, is_known: bool) -> Dataset:
    """One of IMDb's own forms; ``is_known`` says that the file's digest is the published one."""
    if form == "tokens":
        return assemble_tokens(path, is_known=is_known)
    from unrolled.data.imdb.reviews import read_archive, read_review_folder

    return assemble("imdb", read_archive(path) if form == "archive" else read_review_folder(path))


def _read_folder(folder: Path, request: LoadRequest) -> dict[str, Table]:
    """Part by part: files named after parts, folders named after parts, or classes alone."""
    files = _by_part(folder, [p for p in folder.iterdir() if p.is_file() and is_table_file(p)])
    if "train" in files:
        return {part: read_table(file, request.columns) for part, file in files.items()}
    _refuse_options(show_path(folder), request, *_COLUMNS)
    folders = find_classes(folder)
    parts = _by_part(folder, [p for p in folders if p.name.lower() in SPLIT_NAMES])
    if "train" in parts and len(parts) == len(folders):
        return {part: read_class_folder(place) for part, place in parts.items()}
    if not folders or files or parts:
        shown = sorted(p.name for p in folder.iterdir())
        raise DataError(
            show_path(folder),
            f"the layout is unknown (got {', '.join(shown[:8]) or 'nothing'})",
            expected="train.* and test.* files, or a folder of .txt files per class (in train and test too)",
            action="give the path of a file, or rename the parts",
        )
    return {"train": read_class_folder(folder)}


def _by_part(folder: Path, paths: list[Path]) -> dict[str, Path]:
    """Files or folders by the part that their name says, in the order of ``PARTS``."""
    found: dict[str, list[Path]] = {}
    for path in sorted(paths):
        part = SPLIT_NAMES.get((path.stem if path.is_file() else path.name).lower())
        if part is not None:
            found.setdefault(part, []).append(path)
    for part, same in found.items():
        if len(same) > 1:
            raise DataError(
                show_path(folder),
                f"it is not clear which is the {part} part (candidates: {', '.join(p.name for p in same)})",
                expected="one file or folder for each part",
                action="move the others away",
            )
    return {part: found[part][0] for part in PARTS if part in found}


def _read_single(path: Path, columns: ColumnRequest) -> Table:
    if path.is_dir():
        return read_class_folder(path)
    if not path.exists():
        raise _missing(path)
    return read_table(path, columns)


_COLUMNS = ("text_column", "label_column", "group_column", "split_column")
_OPTIONS = (*_COLUMNS, "test", "size")


def _refuse_options(where: str, request: LoadRequest, *options: str) -> None:
    """Refuses options that would otherwise be passed over without a word."""
    given: Mapping[str, object] = {
        "text_column": request.columns.text,
        "label_column": request.columns.label,
        "group_column": request.columns.group,
        "split_column": request.columns.split,
        "test": request.test,
        "size": request.size,
    }
    for option in options:
        if given[option] is not None:
            raise UsageError(
                where,
                f"{option} does not apply here (got {option}={str(given[option])!r})",
                expected="columns with tables, test with a source that has none, size with demo",
                action=f"leave {option} out",
            )


def _missing(path: Path) -> DataError:
    near = nearest(path.name, SOURCES.names())
    return DataError(
        show_path(path),
        "there is no such file or folder",
        expected=f"{' or '.join(SOURCES.names())}, or a path",
        action=f"check the path, or: {near}",
    )
