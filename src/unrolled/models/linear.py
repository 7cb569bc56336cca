"""The honest baseline: naive-Bayes-weighted n-grams under logistic regression.

Wang & Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification" (ACL 2012): every
n-gram that occurs in a text weighs as much as its log-count ratio between the classes, and a logistic
regression learns what to make of that. No recurrent network should be taken without this comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from unrolled.errors import DataError
from unrolled.models.spec import ModelSpec, register_architecture
from unrolled.types import FloatArray, IntArray, LongArray, Ragged

OUT_OF_VOCABULARY = 2


@register_architecture("linear", "Naive-Bayes-weighted n-grams up to 3 words, logistic regression")
class LinearSpec(ModelSpec):
    """Reads each text as the set of its n-grams; word order counts only within them.

    Args:
        vocabulary_size: ids that count as words of their own. The default keeps them all, as whoever uses
            such a baseline does: rare n-grams cost it nothing.
        length: tokens kept, counted from the end. The default keeps every token.
        ngrams: longest n-gram, in words.
        min_count: an n-gram must occur this often in training.
        inverse_regularization: C of the logistic regression.
        smoothing: added to every n-gram count before the log ratio.
    """

    vocabulary_size: int = Field(1_000_000, ge=4, le=2_000_000)
    length: int = Field(1_000_000, ge=1)
    ngrams: int = Field(3, ge=1, le=3)
    min_count: int = Field(2, ge=1)
    inverse_regularization: float = Field(1.0, gt=0.0)
    smoothing: float = Field(1.0, gt=0.0)

    neural: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class LinearModel:
    """A fitted baseline: one weight per n-gram and output.

    Args:
        spec: the settings it was fitted with.
        codes: int64, shape (features,), rising; each n-gram as one number.
        weights: float32, shape (features, outputs); one output for two classes, else one per class.
        intercepts: float32, shape (outputs,).
    """

    spec: LinearSpec
    codes: LongArray
    weights: FloatArray
    intercepts: FloatArray

    @property
    def num_parameters(self) -> int:
        """Weights and intercepts together."""
        return int(self.weights.size + self.intercepts.size)

    def weights_by_name(self) -> dict[str, NDArray[Any]]:
        """The arrays that make the model, for storage."""
        return {"codes": self.codes, "weights": self.weights, "intercepts": self.intercepts}

    def predict_probabilities(self, tokens: Ragged) -> FloatArray:
        """Class probabilities, float32, shape (sequences, classes)."""
        features = _matrix(tokens, self.spec, self.codes)
        scores = np.asarray(features @ self.weights + self.intercepts, np.float64)
        positive = 1.0 / (1.0 + np.exp(-scores))
        if self.spec.classes == 2:
            return np.concatenate([1.0 - positive, positive], axis=1).astype(np.float32)
        # One against the rest: the outputs are separate opinions, made to add up to one.
        totals = positive.sum(axis=1, keepdims=True)
        return np.asarray(positive / np.maximum(totals, np.finfo(np.float64).tiny), np.float32)


def fit_linear(
    spec: LinearSpec, tokens: Ragged, labels: IntArray, *, class_weights: Sequence[float] | None = None
) -> LinearModel:
    """The baseline fitted to ``tokens`` and their ``labels`` (int32, shape (sequences,)). Deterministic.

    Args:
        spec: the settings.
        tokens: the texts.
        labels: their classes.
        class_weights: what a text of each class counts in the regression; None counts all alike.

    Raises:
        DataError: no n-gram occurs often enough to learn from.
    """
    from sklearn.linear_model import LogisticRegression

    codes = _frequent_codes(tokens, spec)
    if not len(codes):
        raise DataError(
            "linear",
            f"no n-gram occurs {spec.min_count} times in training (got {len(tokens)} texts)",
            expected="texts that share words",
            action="min_count=1, or more texts",
        )
    features = _matrix(tokens, spec, codes)
    counts = None if class_weights is None else np.asarray(class_weights, np.float64)[labels]
    outputs = [1] if spec.classes == 2 else list(range(spec.classes))
    weights = np.empty((len(codes), len(outputs)), np.float32)
    intercepts = np.empty(len(outputs), np.float32)
    for column, label in enumerate(outputs):
        target = labels == label
        ratio = _log_count_ratio(features, target, spec.smoothing)
        regression = LogisticRegression(C=spec.inverse_regularization, solver="liblinear", random_state=0)
        regression.fit(features.multiply(ratio).tocsr(), target, sample_weight=counts)
        weights[:, column] = regression.coef_[0] * ratio
        intercepts[column] = regression.intercept_[0]
    return LinearModel(spec, codes, weights, intercepts)


def _log_count_ratio(features: Any, target: NDArray[np.bool_], smoothing: float) -> NDArray[np.float64]:
    """Per n-gram, log of its share among texts of the class over its share among the others."""
    inside = np.asarray(features[target].sum(axis=0), np.float64).ravel() + smoothing
    outside = np.asarray(features[~target].sum(axis=0), np.float64).ravel() + smoothing
    return np.asarray(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))


def _occurrences(tokens: Ragged, spec: LinearSpec) -> tuple[LongArray, LongArray]:
    """Row and code of every n-gram occurrence, both int64, shape (occurrences,).

    The n-gram a, b, c is the number (a · V + b) · V + c with V the vocabulary size. Ids start at 1, so
    n-grams of different orders never meet; V is capped so that three of them fit 63 bits.
    """
    size = spec.vocabulary_size
    values = np.where(tokens.values >= size, OUT_OF_VOCABULARY, tokens.values).astype(np.int64)
    lengths = tokens.lengths
    rows = np.repeat(np.arange(len(tokens)), lengths)
    # How many tokens stand from here to the end of the text, this one included.
    ahead = np.repeat(tokens.offsets[1:], lengths) - np.arange(len(values))
    found_rows, found_codes = [], []
    codes = np.zeros_like(values)
    for order in range(1, spec.ngrams + 1):
        count = max(len(values) - order + 1, 0)
        codes = codes[:count] * size + values[order - 1 :]
        whole = (ahead[:count] >= order) & (ahead[:count] <= spec.length)
        found_rows.append(rows[:count][whole])
        found_codes.append(codes[whole])
    return np.concatenate(found_rows), np.concatenate(found_codes)


def _frequent_codes(tokens: Ragged, spec: LinearSpec) -> LongArray:
    """The codes that occur at least ``min_count`` times, int64, rising."""
    _, codes = _occurrences(tokens, spec)
    codes = np.sort(codes)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    counts = np.diff(starts, append=len(codes))
    return codes[starts[counts >= spec.min_count]]


def _matrix(tokens: Ragged, spec: LinearSpec, known: LongArray) -> Any:
    """Which text holds which known n-gram: a sparse matrix of ones, shape (sequences, features), float32."""
    from scipy.sparse import csr_matrix

    rows, codes = _occurrences(tokens, spec)
    columns = np.searchsorted(known, codes)
    hit = known[np.minimum(columns, len(known) - 1)] == codes
    # Sorting one combined number is several times faster than sorting pairs.
    cells = np.sort(rows[hit] * len(known) + columns[hit])
    cells = cells[np.diff(cells, prepend=-1) > 0]
    rows, columns = np.divmod(cells, len(known))
    starts = np.searchsorted(rows, np.arange(len(tokens) + 1))
    return csr_matrix((np.ones(len(cells), np.float32), columns, starts), shape=(len(tokens), len(known)))
