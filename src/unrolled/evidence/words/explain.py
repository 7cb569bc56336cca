"""An answer explained word by word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from unrolled.data.encoding import START, clip_vocabulary
from unrolled.data.padding import pad_sequences
from unrolled.data.vocabulary import split_words
from unrolled.errors import UsageError, nearest
from unrolled.evidence.subjects import Logits
from unrolled.evidence.words.gradients import Attribution, Attributor
from unrolled.evidence.words.linear import attribute_linear
from unrolled.models.linear import LinearModel, LinearSpec
from unrolled.training.fitted import FittedRun
from unrolled.types import DoubleArray, IntArray, Ragged

START_WORD = "<start>"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which words speak for an answer, and which against it.

    Args:
        label: the class that is explained.
        probability: of that class.
        tokens: the words in the order read, lower-cased, after the mark that starts every text.
        attributions: for each token, what it adds to the log-odds of ``label``; below 0 speaks against it.
        known: whether the model knows the word; it reads all others as the same unknown word.
        padding: what the padding adds, where a model reads it as words.
        baseline_probability: of the class for a text of empty words.
        completeness_error: how far attributions and padding miss the change from baseline to answer, as a
            share of it.
        num_unread: words before the first token, which the model is too short to read.
    """

    label: str
    probability: float
    tokens: tuple[str, ...]
    attributions: tuple[float, ...]
    known: tuple[bool, ...]
    padding: float
    baseline_probability: float
    completeness_error: float
    num_unread: int


class Explainer:
    """Explains the answers of one run; keeps what is compiled for the next text.

    Args:
        run: a finished run.
    """

    def __init__(self, run: FittedRun) -> None:
        self.run = run
        self._attributor: Attributor | None = None
        self._linear: LinearModel | None = None
        if run.spec.neural:
            network = Logits(run.spec)
            self._attributor = Attributor(network, network.load(run.weights))
        else:
            self._linear = LinearModel(cast(LinearSpec, run.spec), **run.weights)

    def attribute(self, tokens: IntArray, target: int) -> tuple[Attribution, DoubleArray]:
        """The attribution of a text's every position, padding included, and that of the tokens read alone.

        Args:
            tokens: int32, shape (tokens,); ids of the run's vocabulary.
            target: index of the class.
        """
        if self._attributor is None:
            found = attribute_linear(cast(LinearModel, self._linear), tokens, target)
            return found, found.values
        found = self._attributor.integrate(self.pad(tokens), target)
        return found, found.values[len(found.values) - min(len(tokens), len(found.values)) :]

    def occlude(self, tokens: IntArray, target: int) -> DoubleArray:
        """How far the log-odds fall without each of the tokens that are read, float64, shape (tokens read,).

        Raises:
            UsageError: the run is no network.
        """
        if self._attributor is None:
            raise UsageError("occlude", "the linear baseline is a sum of words", expected="a network")
        padded = self.pad(tokens)
        first = len(padded) - min(len(tokens), len(padded))
        return self._attributor.occlude(padded, target, np.arange(first, len(padded), dtype=np.int32))

    def pad(self, tokens: IntArray) -> IntArray:
        """The tokens as the network reads them, int32, shape (spec.length,)."""
        spec = self.run.spec
        row = Ragged(np.asarray(tokens, np.int32), np.array([0, len(tokens)], np.int64))
        padded: IntArray = pad_sequences(clip_vocabulary(row, spec.vocabulary_size), spec.length)[0]
        return padded

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """The answer to ``text`` explained; see :func:`explain`."""
        classes = self.run.plan.classes
        if label is not None and label not in classes:
            raise UsageError(
                "label",
                f"unknown class (got label={label!r})",
                expected=f"one of {', '.join(classes)}",
                action=nearest(label, classes),
            )
        encoded = self.run.encode([text])
        tokens = encoded[0]
        if self._attributor is None:
            probabilities = self.run.predict_tokens(encoded)[0].astype(np.float64)
        else:
            probabilities = self._attributor.answer(self.pad(tokens))
        target = int(probabilities.argmax()) if label is None else classes.index(label)
        found, of_tokens = self.attribute(tokens, target)
        words = [word for word in split_words(text) if word]
        shown = [START_WORD] * (len(tokens) - len(words)) + words
        unread = len(tokens) - len(of_tokens)
        ids = clip_vocabulary(tokens, self.run.spec.vocabulary_size)[unread:]
        oov = None if self.run.vocabulary is None else self.run.vocabulary.oov
        return Explanation(
            label=classes[target],
            probability=float(probabilities[target]),
            tokens=tuple(shown[unread:]),
            attributions=tuple(float(value) for value in of_tokens),
            known=tuple(bool(number == START or number != oov) for number in ids),
            padding=float(found.values.sum() - of_tokens.sum()),
            baseline_probability=float(1 / (1 + np.exp(-np.clip(found.baseline, -700, 700)))),
            completeness_error=found.completeness_error,
            num_unread=unread,
        )


def explain(run: FittedRun, text: str, label: str | None = None) -> Explanation:
    """Which words of ``text`` speak for the run's answer, and which against it.

    Args:
        run: a finished run that was trained on texts.
        text: any text; an empty one is explained by what starts every text.
        label: explain this class; the answer of the run when None.

    Raises:
        UsageError: the run knows no such class.
        DataError: the run was trained on token ids that came without words.
    """
    return Explainer(run).explain(text, label)
