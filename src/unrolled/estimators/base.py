"""What the estimators share: labels in, a trained network, probabilities out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from unrolled.errors import UsageError
from unrolled.estimators.fitted import FittedNetwork
from unrolled.estimators.inputs import read_labels
from unrolled.models import Architecture, ModelSpec
from unrolled.types import EncodedDataset, EncodedSplit, FloatArray, IntArray, LongArray, Ragged

FEWEST_PER_CLASS = 10
MONITORED = 256


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Fits one architecture of the zoo, in this process, with the engine that studies use.

    Sub-classes name their parameters in ``__init__``, as scikit-learn reads them from its signature, and say
    how input becomes sequences.
    """

    def predict_proba(self, X: Any) -> FloatArray:  # noqa: N803 - scikit-learn's name
        """Class probabilities, float32, shape (samples, classes), columns in the order of ``classes_``.

        Raises:
            sklearn.exceptions.NotFittedError: ``fit`` was not called.
        """
        check_is_fitted(self)
        return self.network_.predict_probabilities(self._read(X))

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """The most probable class of every sample, of the type that ``fit`` was given."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def save(self, path: str | Path) -> None:
        """Writes the fitted estimator into a folder: JSON and safetensors, no pickle.

        Raises:
            sklearn.exceptions.NotFittedError: ``fit`` was not called.
            MachineError: the disk refuses.
        """
        from unrolled.estimators.folder import save_estimator

        check_is_fitted(self)
        save_estimator(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The estimator that :meth:`save` wrote; it predicts the same probabilities.

        Raises:
            DataError: the folder holds none of this class, or a file has changed.
        """
        from unrolled.estimators.folder import load_estimator

        return load_estimator(cls, Path(path))

    def _read(self, X: Any) -> Ragged:  # noqa: N803
        """Input as sequences, with what ``fit`` learnt about reading it."""
        raise NotImplementedError

    def _start(self, num_samples: int, y: Any) -> tuple[IntArray, int]:
        """Label indices and the seed of this fit; sets ``classes_``."""
        self.classes_, labels = read_labels(y, num_samples, type(self).__name__)
        return labels, int(check_random_state(self.random_state).randint(2**31 - 1))

    def _settings(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The spec's fields that were set as parameters, ``model_settings`` included."""
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {**chosen, **(self.model_settings or {})}

    def _architecture(self) -> Architecture:
        from unrolled.models import architectures

        return architectures().get(self.model)

    def _divide(
        self, labels: IntArray, seed: int, draw: Callable[[float, int], tuple[LongArray, LongArray]]
    ) -> tuple[LongArray, LongArray]:
        """Rows to train on and rows to choose the epoch on; none of the latter where a class is too small."""
        fraction = self.validation_fraction
        if fraction is not None and not 0 < fraction < 1:
            raise UsageError(
                type(self).__name__,
                f"validation_fraction is out of range (got validation_fraction={fraction!r})",
                expected="None, or a share above 0 and below 1",
            )
        if fraction is None or np.bincount(labels).min() < FEWEST_PER_CLASS:
            return np.arange(len(labels)), np.arange(0)
        return draw(fraction, seed)

    def _train(self, data: EncodedDataset, spec: ModelSpec, seed: int) -> None:
        """Trains on ``data`` and sets the fitted attributes."""
        from unrolled.training.engine import Engine
        from unrolled.training.settings import TrainingSettings, plan_settings

        validated = len(data.validation) > 0
        planned = plan_settings(self._architecture(), "standard", num_train=len(data.train))
        changes: dict[str, Any] = {
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "patience": self.patience if validated else None,
            "seed": seed,
            # Without rows to choose on, all epochs are trained and the last one counts.
            "protocol": "standard" if validated else "notebook",
            "class_weights": self._class_weights(data.train.labels),
        }
        if self.batch_size is not None:
            changes["batch_size"] = self.batch_size
        settings = _checked(TrainingSettings, {**planned.model_dump(), **changes}, type(self).__name__)
        if not validated:
            data = _with_validation(data, data.train.take(np.arange(min(MONITORED, len(data.train)))))
        with _own_randomness():
            engine = Engine(None, spec, settings, data)
            trained = engine.run()
        self.validation_size_ = len(data.validation) if validated else 0
        self.history_ = [epoch.model_dump() for epoch in trained.progress.history]
        self.n_iter_ = len(self.history_)
        self.best_epoch_ = trained.progress.best_epoch
        self.spec_ = spec
        self.network_ = FittedNetwork(
            spec, engine.network.weights(trained.state), engine.batcher.lengths, engine.network
        )

    def _class_weights(self, labels: IntArray) -> tuple[float, ...] | None:
        from unrolled.training.settings import balanced_weights

        wanted = self.class_weight
        if wanted is None:
            return None
        if isinstance(wanted, str) and wanted == "balanced":
            return balanced_weights(labels, len(self.classes_))
        if not isinstance(wanted, Mapping):
            raise UsageError(
                type(self).__name__,
                f"class_weight does not fit (got class_weight={wanted!r})",
                expected='None, "balanced", or a dict of label to weight',
            )
        return tuple(float(wanted.get(label, 1.0)) for label in self.classes_.tolist())


def make_dataset(
    classes: tuple[str, ...],
    train: EncodedSplit,
    validation: EncodedSplit,
    *,
    vocabulary_size: int,
    sha256: str,
) -> EncodedDataset:
    """An encoded data set without a test part: an estimator is tested from outside."""
    test = train.take(np.arange(0))
    return EncodedDataset("fit", classes, train, validation, test, vocabulary_size, sha256)


def _with_validation(data: EncodedDataset, validation: EncodedSplit) -> EncodedDataset:
    from dataclasses import replace

    return replace(data, validation=validation)


def _checked(kind: type[Any], values: dict[str, Any], where: str) -> Any:
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UsageError(
            where,
            f"{name} does not fit (got {name}={first['input']!r})",
            expected=first["msg"][0].lower() + first["msg"][1:],
            action=f"another value for {name}",
        ) from None


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Leaves the global generators as they were: building a network seeds them, and they are the user's."""
    before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)  # noqa: NPY002
