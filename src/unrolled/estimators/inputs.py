"""What users hand to an estimator, checked and brought into one form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.steps import Steps
from unrolled.errors import DataError, UsageError
from unrolled.types import IntArray


def read_texts(texts: Any, where: str) -> list[str]:
    """The texts as a list: from a list, a tuple, a one-dimensional array, or a pandas or polars series.

    Args:
        texts: what the user passed.
        where: the estimator's name, for messages.

    Raises:
        UsageError: not a collection of texts at all (one text, a table, a sparse matrix).
        DataError: no text, or an item that is none.
    """
    _refuse_sparse(texts, where, "texts")
    if isinstance(texts, str | bytes):
        raise UsageError(
            where,
            "a single text instead of several",
            expected="a list of str",
            action="put it in a list: [text]",
        )
    if len(getattr(texts, "shape", (0,))) != 1:
        raise UsageError(
            where,
            f"texts in a table (got shape={tuple(texts.shape)})",
            expected="one text per sample, in one dimension. Reshape your data",
            action='one column: X["text"], or X.ravel()',
        )
    found = texts.tolist() if isinstance(texts, np.ndarray) else list(texts)
    if not found:
        raise DataError(where, "Found array with 0 sample(s)", expected="a minimum of 1 is required")
    for row, text in enumerate(found):
        if not isinstance(text, str):
            kind = "a missing value" if text is None or text != text else type(text).__name__
            raise DataError(
                f"{where}, sample {row}",
                f"not a text (got {kind})",
                expected="a str in every sample",
                action='drop the sample, or fill it in: X.fillna("")',
            )
    return found


def read_sequences(sequences: Any, where: str, *, num_features: int | None = None) -> Steps:
    """The sequences, packed as float32 steps.

    Args:
        sequences: numbers, (batch, time, features); (batch, time) for one feature; or a list of arrays
            (time, features) or (time,), each of its own length.
        where: the estimator's name, for messages.
        num_features: as many as there were in fitting; None while fitting.

    Raises:
        UsageError: no such thing, or another number of features than in fitting.
        DataError: no sample, a sequence without steps, NaN or infinity.
    """
    _refuse_sparse(sequences, where, "sequences")
    if isinstance(sequences, str | bytes | dict) or not (
        hasattr(sequences, "__len__") or hasattr(sequences, "__array__")
    ):
        raise _no_sequences(where, f"got {type(sequences).__name__}")
    items: Any = sequences
    if not isinstance(sequences, list | tuple):
        items = np.asarray(sequences)
        if items.dtype != object and items.ndim not in (2, 3):
            raise _no_sequences(where, f"got shape={items.shape}")
    if len(items) == 0 or getattr(items, "size", 1) == 0:
        shape = getattr(items, "shape", (0,))
        what = "sample(s)" if len(items) == 0 else "feature(s)"
        raise DataError(
            where,
            f"Found array with 0 {what} (shape={shape}) while a minimum of 1 is required",
            action="add data",
        )
    rows = [_read_sequence(item, f"{where}, sample {row}") for row, item in enumerate(items)]
    widths = sorted({row.shape[1] for row in rows})
    if len(widths) > 1:
        raise _no_sequences(where, f"got sequences of {widths[0]} and of {widths[-1]} features")
    if num_features is not None and widths[0] != num_features:
        raise UsageError(
            where,
            f"X has {widths[0]} features, but {where} is expecting {num_features} features as input",
            expected="the features of fitting, in their order",
        )
    return Steps.from_arrays(rows)


def _read_sequence(item: Any, where: str) -> NDArray[np.float32]:
    try:
        found = np.asarray(item)
        if np.iscomplexobj(found):
            raise UsageError(where, "Complex data not supported", expected="real numbers")
        # Text that looks like a number is a mistake in the making, in whatever it is wrapped.
        if found.dtype.kind in "USMm":
            raise _no_sequences(where, f"got dtype={found.dtype}")
        numbers = found.astype(np.float32)
    except (TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise _no_sequences(where, f"argument must be real numbers, {error}") from None
    if numbers.ndim == 1:
        numbers = numbers[:, None]
    if numbers.ndim != 2 or numbers.shape[1] == 0:
        raise _no_sequences(where, f"got shape={numbers.shape}")
    if not len(numbers):
        raise DataError(where, "the sequence has no steps", expected="at least one", action="drop the sample")
    if not np.isfinite(numbers).all():
        kind = "NaN" if np.isnan(numbers).any() else "infinity (inf)"
        raise DataError(
            where,
            f"Input X contains {kind}",
            expected="finite numbers that fit float32",
            action="fill in or drop what is missing",
        )
    return np.asarray(numbers, np.float32)


def read_labels(labels: Any, num_samples: int, where: str) -> tuple[NDArray[Any], IntArray]:
    """The classes in order, and the index of every label among them, int32, shape (samples,).

    Args:
        labels: strings, integers or booleans, one for each sample; a list, array or series.
        num_samples: how many there must be.
        where: the estimator's name, for messages.

    Raises:
        UsageError: no labels, or of the wrong kind or number.
        DataError: a single class.
    """
    from sklearn.utils import column_or_1d
    from sklearn.utils.multiclass import check_classification_targets

    if labels is None:
        raise UsageError(
            where,
            f"{where} requires y to be passed, but the target y is None",
            expected="one label per sample",
        )
    given = column_or_1d(labels, warn=True)
    if len(given) != num_samples:
        raise UsageError(
            where,
            f"inconsistent numbers of samples (got {num_samples} samples and {len(given)} labels)",
            expected="one label per sample",
        )
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise DataError(where, "Input y contains NaN or infinity", expected="a label for every sample")
    if given.dtype.kind == "O":
        wrong = next((row for row, label in enumerate(given) if label is None or label != label), None)
        if wrong is not None:
            raise DataError(
                f"{where}, sample {wrong}",
                "Input y contains NaN or None",
                expected="a label for every sample",
            )
    check_classification_targets(given)
    classes, indices = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise DataError(
            where,
            f"there is one class (got label={classes[0]!r} for every sample)",
            expected="two classes or more",
        )
    return classes, indices.astype(np.int32)


def _refuse_sparse(values: Any, where: str, kind: str) -> None:
    from scipy.sparse import issparse

    if issparse(values):
        raise UsageError(
            where,
            "a sparse matrix was passed",
            expected=f"{kind} themselves: sparse input is not supported",
            action="X.toarray(), or the texts before they were counted",
        )


def _no_sequences(where: str, what: str) -> UsageError:
    return UsageError(
        where,
        f"not sequences of numbers ({what})",
        expected="an array (batch, time, features) or (batch, time), or a list of arrays (time, features)",
        action="Reshape your data with X.reshape(batch, time, features)",
    )
