"""The Keras network of a run, as the reference that exports are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.encoding import clip_vocabulary
from unrolled.data.padding import pad_sequences
from unrolled.deploy.onnx_network import weights_by_layer
from unrolled.deploy.source import RunSource
from unrolled.models import build_model
from unrolled.models.build import chain_layers
from unrolled.models.linear import LinearModel
from unrolled.types import FloatArray, Ragged

BATCH_ROWS = 128


def build_network(source: RunSource) -> Any:
    """The run's ``keras.Model`` with its trained weights."""
    network = build_model(source.spec)
    layers = [layer for layer in network.layers if layer.trainable_variables]
    for layer, arrays in zip(layers, weights_by_layer(source.weights), strict=True):
        for variable, array in zip(layer.trainable_variables, arrays, strict=True):
            variable.assign(array)
    return network


def fits_length(source: RunSource) -> bool:
    """Whether the network reads nothing but its trained length."""
    return bool(source.spec.neural and (source.spec.fixed_length or source.spec.padding != "masked"))


def reference(source: RunSource) -> Callable[[Ragged], FloatArray]:
    """A function from token sequences to the run's class probabilities, by the code that trained it.

    Sequences are read whole where the network can; cutting them to the trained length is up to the caller.
    """
    if not source.spec.neural:
        model = LinearModel(source.spec, **source.weights)  # type: ignore[arg-type]
        return model.predict_probabilities
    network = build_network(source)
    callable_ = network if fits_length(source) else chain_layers(network, fused=False)
    return lambda tokens: predict(source, callable_, tokens)


def predict(source: RunSource, network: Callable[[Any], Any], tokens: Ragged) -> FloatArray:
    """Class probabilities of a Keras network for token sequences, float32, shape (sequences, classes)."""
    length = source.spec.length if fits_length(source) else int(tokens.lengths.max(initial=1))
    dtype = np.int32 if "embedding_size" in type(source.spec).model_fields else np.float32
    found = np.empty((len(tokens), source.spec.classes), np.float32)
    for start in range(0, len(tokens), BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, len(tokens)))
        # Every batch is as large as the first one, so that each operation is compiled for one shape.
        filled = np.resize(rows, min(BATCH_ROWS, len(tokens)))
        batch = pad_sequences(tokens.take(filled), length)
        outputs = np.asarray(network(clip_vocabulary(batch, source.spec.vocabulary_size).astype(dtype)))
        found[rows] = _all_classes(outputs)[: len(rows)]
    return found


def _all_classes(outputs: NDArray[Any]) -> FloatArray:
    if outputs.shape[1] == 1:
        outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
    return np.asarray(outputs, np.float32)
