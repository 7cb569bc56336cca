"""The linear baseline as an ONNX graph: n-grams are found by the standard ``TfIdfVectorizer`` operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.graph import PROBABILITIES, TOKENS, Graph
from unrolled.deploy.onnx_network import OUT_OF_VOCABULARY
from unrolled.models import ModelSpec


def ngrams_of_codes(codes: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """The n-grams behind the baseline's codes, one array (count, order) for each order from 1.

    A code is the n-gram read as a number with ``size`` digits to a place; codes rise, so orders come one
    after the other and their columns keep their places.

    >>> [found.tolist() for found in ngrams_of_codes(np.array([4, 7, 407]), 100)]
    [[[4], [7]], [[4, 7]]]
    """
    found = []
    rest = np.asarray(codes, np.int64)
    order = 1
    while len(rest):
        # The first token of an n-gram is at least 1, so an order's codes start where the last one's end.
        count = int(np.searchsorted(rest, size**order)) if order < 3 else len(rest)
        own, rest = rest[:count], rest[count:]
        found.append(np.stack([own // size**place % size for place in reversed(range(order))], axis=1))
        order += 1
    return found


def linear_to_onnx(spec: ModelSpec, weights: Mapping[str, NDArray[Any]], *, doc: str) -> Any:
    """The fitted baseline as an onnx.ModelProto; see :func:`unrolled.deploy.onnx_network.network_to_onnx`.

    Padding needs no care: the id 0 stands in no n-gram.
    """
    graph = Graph()
    beyond = graph.add("GreaterOrEqual", [TOKENS, graph.integer(spec.vocabulary_size)])
    tokens = graph.add("Where", [beyond, graph.integer(OUT_OF_VOCABULARY), TOKENS])
    orders = ngrams_of_codes(weights["codes"], spec.vocabulary_size)
    sizes = [part.size for part in orders]
    present = graph.add(
        "TfIdfVectorizer",
        [tokens],
        # "IDF" counts an n-gram once however often it stands in a text, as the baseline does.
        mode="IDF",
        min_gram_length=1,
        max_gram_length=len(orders),
        max_skip_count=0,
        ngram_counts=np.cumsum([0, *sizes[:-1]]).tolist(),
        ngram_indexes=list(range(len(weights["codes"]))),
        pool_int64s=np.concatenate([part.ravel() for part in orders]).tolist(),
    )
    scores = graph.add(
        "Gemm",
        [
            present,
            graph.weight("ngrams.weights", weights["weights"]),
            graph.weight("ngrams.intercepts", weights["intercepts"]),
        ],
    )
    opinions = graph.add("Sigmoid", [scores])
    if spec.classes == 2:
        first = graph.add("Sub", [graph.number(1.0), opinions])
        graph.add("Concat", [first, opinions], outputs=[PROBABILITIES], axis=-1)
    else:
        # One against the rest: separate opinions, made to add up to one.
        total = graph.add("ReduceSum", [opinions, graph.integers(1)], keepdims=1)
        least = graph.add("Max", [total, graph.number(float(np.finfo(np.float32).tiny))])
        graph.add("Div", [opinions, least], outputs=[PROBABILITIES])
    return graph.build([(PROBABILITIES, ["batch", spec.classes])], name=spec.architecture, doc=doc)
