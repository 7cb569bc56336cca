"""IMDb as Keras serves it: token ids in ``imdb.npz``, words in ``imdb_word_index.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data import limits
from unrolled.data.imdb.arrays import Member, read_integers, read_members
from unrolled.data.imdb.unpickle import unpickle_lists
from unrolled.data.tables.table import shorten, show_path
from unrolled.errors import DataError, UsageError
from unrolled.types import IntArray, LongArray, Ragged, Split

SHUFFLE_SEED = 113
START = 1
UNKNOWN = 2
INDEX_FROM = 3
MAX_WORD_INDEX_BYTES = 64 * 2**20


def load_imdb_npz(
    path: str | Path,
    *,
    num_words: int | None = None,
    skip_top: int = 0,
    seed: int = SHUFFLE_SEED,
    start: int | None = START,
    oov: int | None = UNKNOWN,
    index_from: int = INDEX_FROM,
) -> tuple[Split, Split]:
    """The train and test part of ``imdb.npz``, the same as ``keras.datasets.imdb.load_data`` gives them.

    The same also where that surprises: without ``num_words``, the highest id of all is replaced like an
    unknown word. The file is read by the safe reader, whatever it is.

    Args:
        path: the file.
        num_words: ids below this are kept; None keeps all below the highest.
        skip_top: ids below this are replaced too, the start token among them.
        seed: shuffles train, then test.
        start: id put before each review; None for none.
        oov: id that replaces what is not kept; None drops it instead.
        index_from: added to every id of the file.

    Returns:
        Two splits with tokens, labels 0 (negative) or 1 (positive).

    Raises:
        DataError: the file is not what Keras publishes in form.
    """
    for name, value in (("num_words", num_words), ("skip_top", skip_top), ("index_from", index_from)):
        if value is not None and value < 0:
            raise UsageError(
                "load_imdb_npz", f"{name} is negative (got {name}={value})", expected="0 or more"
            )
    train, test = read_parts(Path(path), is_known=False, seed=seed, start=start, index_from=index_from)
    highest = max(int(part.values.max(initial=0)) for part in (train[0], test[0]))
    limit = num_words or highest
    return (
        Split(train[1], tokens=_clip(train[0], skip_top, limit, oov)),
        Split(test[1], tokens=_clip(test[0], skip_top, limit, oov)),
    )


Part = tuple[Ragged, IntArray]


def read_parts(
    path: Path,
    *,
    is_known: bool,
    seed: int = SHUFFLE_SEED,
    start: int | None = START,
    index_from: int = INDEX_FROM,
) -> tuple[Part, Part]:
    """Tokens and labels of train and test, shuffled and shifted as Keras does, no word replaced.

    Args:
        path: the file.
        is_known: its digest is the published one.
        seed: shuffles train, then test.
        start: id put before each review; None for none.
        index_from: added to every id of the file.

    Raises:
        DataError: the file is not what Keras publishes in form.
    """
    members = read_members(path, ("x_train", "y_train", "x_test", "y_test"))
    # Keras draws both orders from one legacy generator; only the same one gives the same order.
    generator = np.random.RandomState(seed)
    parts = []
    for name in ("train", "test"):
        sequences, labels = members[f"x_{name}"], read_integers(members[f"y_{name}"])
        if len(labels) != sequences.num_items:
            raise DataError(
                sequences.place,
                f"x_{name} and y_{name} differ in length (got {sequences.num_items:,} and {len(labels):,})",
                expected="one label for each review",
                action="get the file again",
            )
        _check_labels(members[f"y_{name}"].place, labels)
        tokens = _read_tokens(sequences, is_known=is_known)
        order = np.arange(len(labels))
        generator.shuffle(order)
        parts.append((_shift(tokens.take(order), start, index_from), labels[order].astype(np.int32)))
    return parts[0], parts[1]


def read_word_index(path: Path) -> dict[str, int]:
    """Word to rank (from 1), out of Keras' ``imdb_word_index.json``.

    Raises:
        DataError: not a JSON object of words and distinct ranks.
    """
    where = show_path(path)
    if path.stat().st_size > MAX_WORD_INDEX_BYTES:
        raise _no_word_index(where, f"it is too large (got {path.stat().st_size:,} bytes)")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _no_word_index(where, f"it is not JSON ({shorten(str(error))})") from None
    if not isinstance(found, dict) or not found:
        raise _no_word_index(where, "it is not a JSON object of words")
    for word, rank in found.items():
        if type(rank) is not int or not 1 <= rank <= limits.MAX_TOKEN:
            raise _no_word_index(
                where, f"a rank is no positive integer (got {shorten(word)}: {shorten(rank)})"
            )
    if len(set(found.values())) != len(found):
        raise _no_word_index(where, "two words have the same rank")
    return found


def _read_tokens(member: Member, *, is_known: bool) -> Ragged:
    if member.dtype not in ("|O", "O", "=O", "<O", ">O"):
        raise DataError(
            member.place,
            f"it does not hold lists (got dtype={shorten(member.dtype)})",
            expected="an object array of lists of token ids",
            action="get the file from Keras again",
        )
    rows = unpickle_lists(member.payload, member.num_items, member.place, is_known=is_known)
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    # A list that is referred to twice counts twice, so the sum can exceed what the file could hold.
    if offsets[-1] > len(member.payload):
        raise DataError(
            member.place,
            f"it would unfold too much (got {offsets[-1]:,} tokens in {len(member.payload):,} bytes)",
            expected="each list once",
            action="get the file from Keras again",
        )
    try:
        values = np.fromiter(chain.from_iterable(rows), np.int64, count=int(offsets[-1]))
    except (TypeError, ValueError, OverflowError):
        raise _bad_token(member.place, rows) from None
    if values.size and (values.min() < 0 or values.max() > limits.MAX_TOKEN):
        raise _bad_token(member.place, rows)
    return Ragged(values.astype(np.int32), offsets)


def _bad_token(place: str, rows: Sequence[Sequence[Any]]) -> DataError:
    for number, row in enumerate(rows, 1):
        for token in row:
            if not isinstance(token, int) or not 0 <= token <= limits.MAX_TOKEN:
                return DataError(
                    f"{place}, row {number}",
                    f"a token id is out of range (got {shorten(token)})",
                    expected=f"integers from 0 to {limits.MAX_TOKEN:,}",
                    action="get the file from Keras again",
                )
    return DataError(place, "a token id is no integer", expected=f"integers from 0 to {limits.MAX_TOKEN:,}")


def _check_labels(place: str, labels: LongArray) -> None:
    wrong = np.flatnonzero((labels != 0) & (labels != 1))
    if wrong.size:
        raise DataError(
            f"{place}, row {wrong[0] + 1}",
            f"the label is unknown (got {labels[wrong[0]]})",
            expected="0 (negative) or 1 (positive)",
            action="get the file from Keras again",
        )


def _shift(tokens: Ragged, start: int | None, index_from: int) -> Ragged:
    values = tokens.values + np.int32(index_from)
    if start is None:
        return Ragged(values, tokens.offsets)
    offsets = tokens.offsets + np.arange(len(tokens) + 1)
    return Ragged(np.insert(values, tokens.offsets[:-1], np.int32(start)), offsets)


def _clip(tokens: Ragged, lowest: int, limit: int, oov: int | None) -> Ragged:
    kept = (tokens.values >= lowest) & (tokens.values < limit)
    if oov is not None:
        return Ragged(np.where(kept, tokens.values, np.int32(oov)), tokens.offsets)
    before = np.concatenate([[0], np.cumsum(kept)])
    return Ragged(tokens.values[kept], before[tokens.offsets])


def _no_word_index(where: str, what: str) -> DataError:
    return DataError(
        where,
        what,
        expected="Keras' imdb_word_index.json: words with distinct ranks from 1",
        action="get the file again, or move it away",
    )
