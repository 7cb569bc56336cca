"""Embedding, Flatten and Dense as one kernel call: no embedding of a position is ever stored."""

from __future__ import annotations

from typing import Any

import keras

from unrolled.layers.front import is_plain_embedding
from unrolled.layers.masking import Flatten
from unrolled.layers.recurrent import device_obstacle

Tensor = Any


def is_positions(layers: list[Any]) -> bool:
    """Whether three layers are an embedding, its flattening and a dense layer that the kernel computes."""
    if len(layers) != 3:
        return False
    embedding, flatten, dense = layers
    # Keras' own Flatten drops the mask; ours keeps padding out.
    classes = (Flatten,) if getattr(embedding, "mask_zero", False) else (Flatten, keras.layers.Flatten)
    return (
        is_plain_embedding(embedding)
        and type(flatten) in classes
        and flatten.data_format == "channels_last"
        and type(dense) is keras.layers.Dense
        and flatten.compute_dtype == dense.compute_dtype == "float32"
        and not getattr(dense, "lora_enabled", False)
        and getattr(dense, "quantization_mode", None) is None
        and device_obstacle() is None
    )


def read_positions(layers: list[Any], tokens: Tensor) -> Tensor:
    """What the dense layer answers to the embeddings of token ids (batch, time) side by side."""
    from unrolled.kernels.feedforward import positions

    embedding, flatten, dense = layers
    table = keras.ops.convert_to_tensor(embedding.embeddings)
    kernel = keras.ops.convert_to_tensor(dense.kernel)
    batch, time = tokens.shape
    if not batch or time * table.shape[1] != kernel.shape[0]:
        return dense(flatten(embedding(tokens)))
    found = positions(table, kernel, tokens.astype("int32"), masked=embedding.mask_zero)
    if dense.bias is not None:
        found = found + keras.ops.convert_to_tensor(dense.bias)
    return found if dense.activation is None else dense.activation(found)
