"""Attributions of the linear baseline: it is a sum, so they are exact."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from unrolled.evidence.words.gradients import Attribution
from unrolled.models.linear import OUT_OF_VOCABULARY, LinearModel
from unrolled.types import DoubleArray, IntArray


def attribute_linear(model: LinearModel, tokens: IntArray, target: int) -> Attribution:
    """What each token adds to the score of class ``target``, which for two classes is its log-odds.

    An n-gram counts once, however often it occurs: its weight is shared among its occurrences, and by each of
    them among its tokens. The baseline is a text that holds no known n-gram.

    Args:
        model: the fitted baseline.
        tokens: int32, shape (tokens,), not padded.
        target: index of the class.
    """
    values: DoubleArray = np.zeros(len(tokens))
    column = 0 if model.spec.classes == 2 else target
    sign = -1.0 if model.spec.classes == 2 and target == 0 else 1.0
    places: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for order in range(1, model.spec.ngrams + 1):
        for start in range(max(len(tokens) - model.spec.length, 0), len(tokens) - order + 1):
            places[_code(model, tokens[start : start + order])].append((start, order))
    for code, occurrences in places.items():
        place = int(np.searchsorted(model.codes, code))
        if place == len(model.codes) or model.codes[place] != code:
            continue
        weight = sign * float(model.weights[place, column]) / len(occurrences)
        for start, order in occurrences:
            values[start : start + order] += weight / order
    baseline = sign * float(model.intercepts[column])
    return Attribution(values, baseline + float(values.sum()), baseline, 0)


def _code(model: LinearModel, ngram: IntArray) -> int:
    size, code = model.spec.vocabulary_size, 0
    for token in ngram.tolist():
        code = code * size + (OUT_OF_VOCABULARY if token >= size else token)
    return code
