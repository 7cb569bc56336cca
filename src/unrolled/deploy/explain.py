"""One answer of an export explained: word by word, from left to right, and back through time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.backward import BackwardThroughTime
from unrolled.deploy.graph import READING
from unrolled.deploy.predictor import Predictor
from unrolled.errors import UsageError, nearest
from unrolled.types import DoubleArray, FloatArray

#: More words than this are switched off in groups of neighbours.
MAX_GROUPS = 160
#: Points on the way from left to right where each prefix is a text of its own.
MAX_PREFIXES = 64
_CLOSE_TO_CERTAIN = 1e-7


@dataclass(frozen=True, slots=True)
class WordPart:
    """One word of the text.

    Args:
        text: as written.
        start: first character's place in the text, counted in Unicode code points.
        end: the place behind its last character.
        read: whether the model is long enough to read it.
        contribution: what its presence adds to the log-odds of the label; None where it is not read.
    """

    text: str
    start: int
    end: int
    read: bool
    contribution: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer, and what it rests on.

    Args:
        model: name of the export.
        label: the class that is explained.
        probability: of that class.
        probabilities: of all classes, by label.
        words: the text's words in order.
        group_size: neighbouring words that were switched off together and share their part equally.
        empty_probability: of the label for a text without words.
        log_odds_of_parts: sum of all contributions.
        log_odds_of_whole: how far the answer's log-odds are from the empty text's. Words interact, so parts
            and whole differ; the difference is what no list of single words can say.
        reading: pairs of (number of words read so far, probability of the label).
        reading_by: "state" where one pass of a recurrent state gave them, else "prefixes".
        gradient: for each step of the recurrence, the norm of ∂logit/∂state; None where there is none.
        gradient_words: number of words read when each of these steps ends.
        gradient_reason: why there is no gradient; empty otherwise.
    """

    model: str
    label: str
    probability: float
    probabilities: dict[str, float]
    words: list[WordPart]
    group_size: int
    empty_probability: float
    log_odds_of_parts: float
    log_odds_of_whole: float
    reading: list[tuple[int, float]]
    reading_by: str
    gradient: list[float] | None
    gradient_words: list[int]
    gradient_reason: str


class TextExplainer:
    """Explains the answers of one export; safe to share between threads.

    Args:
        predictor: the export.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.backward = BackwardThroughTime(predictor)

    def explain(self, text: str, label: str | None = None) -> Explanation:
        """The answer to ``text`` explained.

        Args:
            text: any text.
            label: the class to explain; None for the most likely one.

        Raises:
            UsageError: there is no such label.
            DataError: the model knows no words, or ``text`` is no text.
        """
        predictor = self.predictor
        if label is not None and label not in predictor.labels:
            raise UsageError(
                "label",
                f"unknown class (got label={label!r})",
                expected=f"one of {', '.join(predictor.labels)}",
                action=nearest(label, predictor.labels),
            )
        encoding = predictor.tokenize([text])[0]
        ids = np.array(encoding.ids, np.int64)
        is_word = np.array(encoding.special_tokens_mask, np.int64) == 0
        whole = predictor.predict_tokens([ids])[0]
        target = int(whole.argmax()) if label is None else predictor.labels.index(label)
        places = np.flatnonzero(is_word)
        length = predictor.manifest.length or len(ids)
        read = places[places >= len(ids) - length]
        parts, group_size = self._occlude(ids, read, target, float(log_odds(whole)[target]))
        by_place = dict(zip(read.tolist(), parts.tolist(), strict=True))
        empty = predictor.predict_tokens([ids[~is_word]])[0]
        reading, reading_by = self._read(ids, is_word, read, target)
        gradient, gradient_words = self._gradient(ids, is_word, target)
        words = []
        for place in places.tolist():
            start, end = encoding.offsets[place]
            words.append(WordPart(text[start:end], start, end, place in by_place, by_place.get(place)))
        return Explanation(
            model=predictor.name,
            label=predictor.labels[target],
            probability=float(whole[target]),
            probabilities={name: float(p) for name, p in zip(predictor.labels, whole, strict=True)},
            words=words,
            group_size=group_size,
            empty_probability=float(empty[target]),
            log_odds_of_parts=float(parts.sum()),
            log_odds_of_whole=float(log_odds(whole)[target] - log_odds(empty)[target]),
            reading=reading,
            reading_by=reading_by,
            gradient=gradient,
            gradient_words=gradient_words,
            gradient_reason=self.backward.reason or ("" if gradient else "no word to read"),
        )

    def _occlude(
        self, ids: NDArray[np.int64], read: NDArray[np.int64], target: int, full: float
    ) -> tuple[DoubleArray, int]:
        """How far the log-odds fall when a word is taken out of the text, for each word that is read."""
        if not len(read):
            return np.zeros(0), 1
        size = -(-len(read) // MAX_GROUPS)
        groups = [read[start : start + size] for start in range(0, len(read), size)]
        without = self.predictor.predict_tokens([np.delete(ids, group) for group in groups])
        falls = full - log_odds(without)[:, target]
        return np.concatenate(
            [np.full(len(group), fall / len(group)) for group, fall in zip(groups, falls, strict=True)]
        ), size

    def _read(
        self, ids: NDArray[np.int64], is_word: NDArray[np.bool_], read: NDArray[np.int64], target: int
    ) -> tuple[list[tuple[int, float]], str]:
        if not len(read):
            return [], "prefixes"
        seen, cut, front = self._steps(ids, is_word)
        if self.predictor.manifest.window is not None:
            found = self.predictor.outputs(cut[None], [READING])[0][0, :, target]
            answers = found[front : front + len(seen)].tolist()
            return list(zip(seen, answers, strict=True)), "state"
        count = min(len(read), MAX_PREFIXES)
        chosen = np.unique(np.linspace(0, len(read) - 1, count).round().astype(np.int64))
        start = max(0, len(ids) - (self.predictor.manifest.length or len(ids)))
        answers = self.predictor.predict_tokens([ids[start : read[place] + 1] for place in chosen])
        numbers = np.cumsum(is_word)[read[chosen]].tolist()
        return list(zip(numbers, answers[:, target].tolist(), strict=True)), "prefixes"

    def _gradient(
        self, ids: NDArray[np.int64], is_word: NDArray[np.bool_], target: int
    ) -> tuple[list[float] | None, list[int]]:
        if self.backward.reason or not len(ids):
            return None, []
        seen, cut, front = self._steps(ids, is_word)
        norms = self.backward.norms(cut, target)
        return norms[front : front + len(seen)].tolist(), seen

    def _steps(
        self, ids: NDArray[np.int64], is_word: NDArray[np.bool_]
    ) -> tuple[list[int], NDArray[np.int64], int]:
        """Words read at the end of each step that belongs to the text, the tokens read, steps before them."""
        manifest = self.predictor.manifest
        length, window = manifest.length or len(ids), manifest.window or 1
        cut = ids[-length:]
        words = np.cumsum(is_word)[-len(cut) :]
        # Masked: pooling windows end where the text does. Else padding is read first, up to the length.
        front = -len(cut) % window if manifest.masked else length - len(cut)
        last = np.arange(window - 1, front + len(cut), window) - front
        first = int(np.searchsorted(last, 0))
        return words[last[first:]].tolist(), cut, first


def log_odds(probabilities: FloatArray) -> DoubleArray:
    """Log-odds of each class, float64, with float32's rounding near certainty kept finite."""
    clipped = np.clip(np.asarray(probabilities, np.float64), _CLOSE_TO_CERTAIN, 1.0 - _CLOSE_TO_CERTAIN)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
