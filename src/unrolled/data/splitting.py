"""Drawing one part of a corpus from another: stratified, repeatable, twins kept together."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import DataError, UsageError
from unrolled.types import LongArray, Ragged, Split


def content_keys(split: Split, *, seed: int = 0, purpose: str = "") -> NDArray[np.uint64]:
    """A 64-bit hash of every text or token sequence, uint64, shape (n,); equal content, equal key.

    Args:
        split: what to hash; labels do not count.
        seed: mixed into every key.
        purpose: mixed in as well, so that two draws with one seed are independent.
    """
    secret = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=32).digest()
    payloads = (
        (text.encode("utf-8", "surrogatepass") for text in split.texts)
        if split.texts is not None
        else (_bytes(split.tokens, row) for row in range(len(split)))
    )
    keys = [hashlib.blake2b(payload, digest_size=8, key=secret).digest() for payload in payloads]
    return np.frombuffer(b"".join(keys), "<u8").astype(np.uint64)


def draw(
    split: Split, classes: tuple[str, ...], *, fraction: float, seed: int, purpose: str, where: str
) -> tuple[LongArray, LongArray, list[str]]:
    """Rows that stay and rows that are drawn, each in rising order, and what a reader must know.

    Within each class the rows with the smallest hash of content and seed are drawn. That needs no random
    generator, so the same rows come out on every machine and version, in whatever order they stand in the
    file; and equal texts of one class end on one side, so that none is learnt and then asked for. Where
    the split has groups, whole groups are drawn: see :func:`_draw_groups`.

    Args:
        split: the part to divide.
        classes: label names in index order.
        fraction: share of each class to draw, between 0 and 1.
        seed: which draw.
        purpose: name of the part drawn ("test").
        where: the data set's name, for messages.

    Returns:
        int64 row numbers kept, int64 row numbers drawn, sentences for ``notices``.

    Raises:
        UsageError: ``fraction`` or ``seed`` is out of its range.
        DataError: a class has fewer than two different texts, or stands in a single group.
    """
    _check(fraction, seed, purpose)
    if split.groups is not None:
        taken = _draw_groups(split, classes, fraction, f"{purpose}:{seed}", f"{where}, {purpose} part")
        return np.flatnonzero(~taken), np.flatnonzero(taken), []
    keys = content_keys(split, seed=seed, purpose=purpose)
    drawn: list[LongArray] = []
    notices = []
    for label, name in enumerate(classes):
        rows = np.flatnonzero(split.labels == label)
        rows = rows[np.argsort(keys[rows], kind="stable")]
        # Cuts may only fall between two different texts.
        cuts = np.flatnonzero(np.diff(keys[rows])) + 1
        if not len(cuts):
            raise DataError(
                f"{where}, class {name!r}",
                f"too few different texts to draw a {purpose} part (got rows={len(rows)})",
                expected="every class in every part, so at least one text of its own for each",
                action=f"add texts of this class, drop it, or bring a {purpose} part",
            )
        wanted = fraction * len(rows)
        count = int(cuts[np.argmin(np.abs(cuts - wanted))])
        if wanted < 0.5:
            notices.append(
                f"class {name!r} has only {len(rows)} texts to draw a {purpose} part from: {count} drawn "
                f"where its share would be {wanted:.1f}"
            )
        drawn.append(rows[:count])
    taken = np.zeros(len(split), np.bool_)
    taken[np.concatenate(drawn)] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken), notices


def _draw_groups(
    split: Split, classes: tuple[str, ...], fraction: float, secret: str, where: str
) -> NDArray[np.bool_]:
    """Which rows are drawn when groups stay whole, bool, shape (n,).

    Groups are asked in the order of a hash of their names; each is drawn if that brings the drawn share of
    the classes closer to ``fraction``. One pass, no random generator, no order of the file.
    """
    names, members = np.unique(np.asarray(split.groups), return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (members, split.labels), 1)
    shares = counts / counts.sum(axis=0)
    key = hashlib.blake2b(secret.encode(), digest_size=32).digest()
    hashes = [hashlib.blake2b(name.encode("utf-8", "surrogatepass"), key=key).digest() for name in names]
    missing = np.full(len(classes), fraction)
    drawn = np.zeros(len(names), np.bool_)
    for group in sorted(range(len(names)), key=hashes.__getitem__):
        share = shares[group]
        # Drawing moves the missing shares by `share`: closer to zero, in squares, exactly when this holds.
        if 2 * float(share @ missing) > float(share @ share):
            drawn[group] = True
            missing = missing - share
    inside = counts[drawn].sum(axis=0)
    for label, name in enumerate(classes):
        if not 0 < inside[label] < counts[:, label].sum():
            raise DataError(
                where,
                f"no part of class {name!r} can be set aside without breaking a group (got "
                f"groups={int((counts[:, label] > 0).sum())} with this class, {len(names)} in all)",
                expected="every class in several groups, none of which holds most of it",
                action="a column with finer groups (--group-column), or parts of your own (--split-column)",
            )
    return np.asarray(drawn[members])


def take(split: Split, rows: LongArray) -> Split:
    """The rows of a part, in that order."""
    return Split(
        split.labels[rows],
        None if split.texts is None else [split.texts[row] for row in rows],
        None if split.tokens is None else split.tokens.take(rows),
        None if split.annotations is None else [split.annotations[row] for row in rows],
        None if split.groups is None else [split.groups[row] for row in rows],
        None if split.rows is None else [split.rows[row] for row in rows],
    )


def _bytes(tokens: Ragged | None, row: int) -> bytes:
    return b"" if tokens is None else tokens[row].astype("<i4").tobytes()


def _check(fraction: float, seed: int, purpose: str) -> None:
    if not 0 < fraction < 1:
        raise UsageError(
            f"{purpose}_fraction",
            f"out of range (got {purpose}_fraction={fraction})",
            expected="a share above 0 and below 1",
            action=f"{purpose}_fraction=0.1",
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(
            "seed", f"out of range (got seed={seed!r})", expected="a whole number from 0", action="seed=0"
        )
