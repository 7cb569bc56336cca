"""Sequences of numbers in, labels out: any sequential data, not only text."""

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from unrolled.data.steps import Steps
from unrolled.errors import UsageError
from unrolled.estimators.base import Classifier, make_dataset
from unrolled.estimators.inputs import read_sequences
from unrolled.types import EncodedSplit, IntArray, LongArray, digest


class SequenceClassifier(Classifier):
    """The zoo's recurrent and convolutional networks on numeric sequences, without an embedding.

    X is an array (batch, time, features), an array or table (batch, time) of one feature, or a list of arrays
    (time, features), each of its own length; padding is masked and never changes a prediction. Features are
    standardised with the mean and deviation of all training steps. A part of X is set aside to choose the
    best epoch on, unless some class has fewer than ten sequences (``validation_size_`` is 0 then).

    More than seven parameters: scikit-learn clones and searches over what ``__init__`` names.

    Args:
        model: an architecture that reads steps: all of the zoo but ``linear`` and ``dense``.
        length: steps per sequence, counted from the end; None for the longest training sequence.
        units: hidden units of a recurrent layer.
        filters: filters of a convolution.
        dropout: share of a recurrent layer's inputs switched off.
        model_settings: further fields of the spec, such as ``{"num_layers": 2}``.
        standardize: whether features are brought to mean 0 and deviation 1.
        epochs: passes over the training sequences, at most.
        batch_size: sequences per step; None for 128, or 32 for few sequences.
        learning_rate: Adam's.
        patience: epochs without improvement before stopping; None trains them all.
        validation_fraction: share of X to choose the epoch on; None for none.
        class_weight: None, "balanced", or a weight for each label.
        random_state: fixes weights, shuffling, dropout and the validation part.

    Attributes:
        classes_: the labels, sorted; the columns of ``predict_proba``.
        n_features_in_: numbers in each step.
        mean_: of every feature over the training steps; ``scale_`` is its deviation, 1 where that is 0.
        spec_: the architecture as it was built.
        network_: the trained model.
        history_: a dict for each epoch; ``n_iter_`` is their number and ``best_epoch_`` the one kept.
        validation_size_: sequences that were set aside.
    """

    def __init__(
        self,
        model: str = "gru",
        *,
        length: int | None = None,
        units: int | None = None,
        filters: int | None = None,
        dropout: float | None = None,
        model_settings: dict[str, Any] | None = None,
        standardize: bool = True,
        epochs: int = 10,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        patience: int | None = 3,
        validation_fraction: float | None = 0.1,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.length = length
        self.units = units
        self.filters = filters
        self.dropout = dropout
        self.model_settings = model_settings
        self.standardize = standardize
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Three-dimensional input, or two dimensions of one feature."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Trains on sequences ``X`` and labels ``y``, one each.

        Raises:
            UsageError: a parameter, or the form of X or y, does not fit.
            DataError: a single class, an empty sequence, NaN, a missing label.
        """
        from unrolled.models import make_spec

        steps = read_sequences(X, type(self).__name__)
        labels, seed = self._start(len(steps), y)
        self._check_architecture()
        kept, drawn = self._divide(labels, seed, lambda fraction, number: _draw(labels, fraction, number))
        self.n_features_in_ = steps.num_features
        values = cast(Any, steps.take(kept)).values
        self.mean_ = np.zeros(self.n_features_in_)
        self.scale_ = np.ones(self.n_features_in_)
        if self.standardize:
            self.mean_ = values.mean(axis=0, dtype=np.float64)
            deviation = values.std(axis=0, dtype=np.float64)
            # What float32 cannot tell from a constant is one.
            constant = deviation <= 1e-7 * np.maximum(np.abs(self.mean_), 1e-30)
            self.scale_ = np.where(constant, 1.0, deviation)
        scaled = self._scaled(steps)
        data = make_dataset(
            tuple(map(str, self.classes_)),
            EncodedSplit(scaled.take(kept), labels[kept]),
            EncodedSplit(scaled.take(drawn), labels[drawn]),
            vocabulary_size=4,
            sha256=digest(labels, steps.values, steps.offsets),
        )
        self.data_sha256_ = data.sha256
        longest = int(data.train.tokens.lengths.max())
        chosen = self._settings(("length", "units", "filters", "dropout"))
        spec = make_spec(
            self.model,
            **{"classes": len(self.classes_), "features": self.n_features_in_, "length": longest, **chosen},
        )
        self._train(data, spec, seed)
        return self

    def _check_architecture(self) -> None:
        from unrolled.models import architectures

        zoo = architectures()
        if "features" not in zoo.get(self.model).spec.model_fields:
            able = [name for name in zoo.names() if "features" in zoo.get(name).spec.model_fields]
            raise UsageError(
                type(self).__name__,
                f"the architecture reads token ids alone (got model={self.model!r})",
                expected=f"one of {', '.join(able)}",
                action='model="gru"',
            )

    def _scaled(self, steps: Steps) -> Steps:
        values = (np.asarray(steps.values, np.float64) - self.mean_) / self.scale_
        return Steps(cast(Any, values.astype(np.float32)), steps.offsets)

    def _read(self, X: Any) -> Steps:  # noqa: N803
        return self._scaled(read_sequences(X, type(self).__name__, num_features=self.n_features_in_))


def _draw(labels: IntArray, fraction: float, seed: int) -> tuple[LongArray, LongArray]:
    """Rows kept and rows drawn: the same share of every class, at least one of each."""
    generator = np.random.Generator(np.random.PCG64(seed))
    taken = np.zeros(len(labels), np.bool_)
    for label in range(int(labels.max()) + 1):
        rows = generator.permutation(np.flatnonzero(labels == label))
        taken[rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)
