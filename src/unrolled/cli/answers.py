"""A trained model that answers, whether it lives in a run's folder or in an export's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unrolled.errors import DataError

if TYPE_CHECKING:
    from unrolled.deploy.predictor import Predictor
    from unrolled.types import FloatArray, Split


@dataclass(frozen=True, slots=True)
class Answerer:
    """What a command needs of a model.

    Args:
        name: the run's.
        classes: label names, in the order of the probabilities.
        probabilities: of texts, float32, shape (texts, classes).
        token_probabilities: the same of token ids, :class:`unrolled.types.Ragged`.
    """

    name: str
    classes: tuple[str, ...]
    probabilities: Callable[[Sequence[str]], FloatArray]
    token_probabilities: Callable[[Any], FloatArray]

    def of_split(self, split: Split) -> FloatArray:
        """Probabilities of every item of a split, by its texts where it has some.

        Raises:
            DataError: it is empty, or holds texts and the model knows no words.
        """
        if not len(split):
            raise DataError(self.name, "there are no items", expected="at least one labelled item")
        if split.texts is not None:
            return self.probabilities(split.texts)
        return self.token_probabilities(split.tokens)


def open_export(folder: Path) -> Predictor | None:
    """The predictor for an export folder; None where ``folder`` looks like something else.

    Raises:
        DataError: an export that is damaged, or in a format that needs Keras.
        MachineError: onnxruntime is not installed.
    """
    from unrolled.deploy.manifest import is_export

    if not is_export(folder):
        return None
    from unrolled.deploy.predictor import Predictor

    return Predictor(folder)


def open_answerer(folder: Path) -> Answerer:
    """The model in ``folder``: an export, which needs neither Keras nor JAX, or a finished run.

    Raises:
        DataError: neither of both, not finished, or damaged.
        MachineError: a package is not installed.
    """
    predictor = open_export(folder)
    if predictor is not None:
        import numpy as np

        def by_tokens(tokens: Any) -> FloatArray:
            return predictor.predict_tokens([np.asarray(tokens[i], np.int64) for i in range(len(tokens))])

        return Answerer(predictor.name, predictor.labels, predictor.predict_proba, by_tokens)
    from unrolled.training.fitted import load_run

    fitted = load_run(folder)
    return Answerer(
        fitted.plan.run_id, tuple(fitted.plan.classes), fitted.predict_texts, fitted.predict_tokens
    )
