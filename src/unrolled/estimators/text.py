"""Texts in, labels out, by scikit-learn's conventions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from unrolled.data.encoding import INDEX_FROM, OOV, START
from unrolled.data.splitting import draw, take
from unrolled.data.units import Units
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError
from unrolled.estimators.base import Classifier, make_dataset
from unrolled.estimators.inputs import read_texts
from unrolled.types import EncodedDataset, EncodedSplit, LongArray, Ragged, Split, digest


class TextClassifier(Classifier):
    """Any architecture of the zoo, the linear baseline included, as a scikit-learn classifier of texts.

    X is a list, tuple, one-dimensional array, or pandas or polars series of str; y holds strings, integers or
    booleans. A part of X is set aside to choose the best epoch on, unless some class has fewer than ten
    texts: then all epochs are trained on all of X, and ``validation_size_`` is 0.

    More than seven parameters: scikit-learn clones and searches over what ``__init__`` names.

    Args:
        model: a name that ``unrolled models`` lists.
        vocabulary_size: token ids that a network knows; None for the architecture's default.
        length: tokens per text; None for the longest training text, at most 500.
        embedding_size: numbers per word.
        units: hidden units of a recurrent layer.
        dropout: share of a recurrent layer's inputs switched off.
        model_settings: further fields of the spec, such as ``{"filters": 64}``.
        token_units: what a token is, as in :class:`unrolled.Vocabulary`.
        epochs: passes over the training texts, at most.
        batch_size: texts per step; None for 128, or 32 for a small corpus.
        learning_rate: Adam's.
        patience: epochs without improvement before stopping; None trains them all.
        validation_fraction: share of X to choose the epoch on; None for none.
        class_weight: None, "balanced", or a weight for each label.
        random_state: fixes weights, shuffling, dropout and the validation part.

    Attributes:
        classes_: the labels, sorted; the columns of ``predict_proba``.
        vocabulary_: of the texts that were trained on.
        spec_: the architecture as it was built.
        network_: the trained model.
        history_: a dict for each epoch; ``n_iter_`` is their number and ``best_epoch_`` the one kept.
        validation_size_: texts that were set aside.

    >>> texts = ["good film", "bad film"] * 8
    >>> TextClassifier("linear").fit(texts, ["yes", "no"] * 8).predict(["a good one"]).tolist()
    ['yes']
    """

    def __init__(
        self,
        model: str = "lstm",
        *,
        vocabulary_size: int | None = None,
        length: int | None = None,
        embedding_size: int | None = None,
        units: int | None = None,
        dropout: float | None = None,
        model_settings: dict[str, Any] | None = None,
        token_units: Units = "words",
        epochs: int = 10,
        batch_size: int | None = None,
        learning_rate: float = 1e-3,
        patience: int | None = 3,
        validation_fraction: float | None = 0.1,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.vocabulary_size = vocabulary_size
        self.length = length
        self.embedding_size = embedding_size
        self.units = units
        self.dropout = dropout
        self.model_settings = model_settings
        self.token_units = token_units
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """One-dimensional input of strings."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, False
        tags.input_tags.string = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Trains on texts ``X`` and labels ``y``, one each.

        Raises:
            UsageError: a parameter, or the form of X or y, does not fit.
            DataError: no words, a single class, a missing text or label.
        """
        from unrolled.training.settings import plan_spec

        texts = read_texts(X, type(self).__name__)
        labels, seed = self._start(len(texts), y)
        split = Split(labels, texts=texts)
        neural = self._architecture().spec.neural
        # The baseline has no epochs to choose among, and learns from every text.
        everything = np.arange(len(texts)), np.arange(0)
        rows = self._divide(labels, seed, lambda *how: self._draw(split, *how)) if neural else everything
        train, validation = (take(split, part) for part in rows)
        self.vocabulary_ = Vocabulary.fit(
            train.texts or (), start=START, oov=OOV, index_from=INDEX_FROM, units=self.token_units
        )
        if not self.vocabulary_.index:
            raise DataError(
                type(self).__name__, "the texts hold no word", expected="words between separators"
            )
        data = make_dataset(
            tuple(map(str, self.classes_)),
            EncodedSplit(self._read(train.texts), train.labels),
            EncodedSplit(self._read(validation.texts, empty=True), validation.labels),
            vocabulary_size=self.vocabulary_.size,
            sha256=digest(labels, *texts),
        )
        names = ("vocabulary_size", "length", "embedding_size", "units", "dropout")
        spec = plan_spec(self._architecture(), "standard", data, **self._settings(names))
        self.data_sha256_ = data.sha256
        if neural:
            self._train(data, spec, seed)
        else:
            self._fit_baseline(data, spec)
        return self

    def _fit_baseline(self, data: EncodedDataset, spec: Any) -> None:
        from unrolled.models.linear import fit_linear

        labels = data.train.labels
        self.spec_, self.history_, self.n_iter_, self.best_epoch_ = spec, [], 1, 1
        self.validation_size_ = 0
        self.network_: Any = fit_linear(
            spec, data.train.tokens, labels, class_weights=self._class_weights(labels)
        )

    def _draw(self, split: Split, fraction: float, seed: int) -> tuple[LongArray, LongArray]:
        name = type(self).__name__
        classes = tuple(map(str, self.classes_))
        try:
            kept, drawn, _ = draw(
                split, classes, fraction=fraction, seed=seed, purpose="validation", where=name
            )
        except DataError:
            # Ten texts of a class, and all of them the same: there is nothing to choose on.
            return np.arange(len(split)), np.arange(0)
        return kept, drawn

    def _read(self, X: Any, *, empty: bool = False) -> Ragged:  # noqa: N803
        if empty and not X:
            return Ragged(np.zeros(0, np.int32), np.zeros(1, np.int64))
        return self.vocabulary_.encode_ragged(read_texts(X, type(self).__name__))
