"""Embedding, Conv1D and MaxPooling1D as one kernel call, wherever the three stand at the head of a model."""

from __future__ import annotations

from typing import Any

import keras
from keras.src.backend.common.masking import set_keras_mask

from unrolled.kernels.flags import MOST_SIZE
from unrolled.layers.masking import Conv1D, MaxPooling1D
from unrolled.layers.recurrent import device_obstacle

Tensor = Any


def is_plain_embedding(layer: Any) -> bool:
    """Whether a layer looks rows up in a float32 table and does nothing else."""
    return (
        type(layer) is keras.layers.Embedding
        and layer.compute_dtype == "float32"
        and not getattr(layer, "lora_enabled", False)
        and getattr(layer, "quantization_mode", None) is None
    )


def keeps_time(layer: Any) -> bool:
    """Whether a layer is a convolution whose every output stands in the middle of what it reads."""
    return (
        isinstance(layer, keras.layers.Conv1D)
        and layer.padding == "same"
        and layer.strides == (1,)
        and layer.dilation_rate == (1,)
        and layer.kernel_size[0] % 2 == 1
        and layer.data_format == "channels_last"
    )


def pools(layer: Any) -> bool:
    """Whether a layer takes the largest of windows that do not overlap."""
    return (
        isinstance(layer, keras.layers.MaxPooling1D)
        and layer.strides == layer.pool_size
        and layer.padding == "valid"
        and layer.pool_size[0] <= MOST_SIZE
        and layer.data_format == "channels_last"
    )


def is_front(layers: list[Any]) -> bool:
    """Whether three layers are an embedding, a convolution and a pooling that the kernel computes."""
    if len(layers) != 3:
        return False
    embedding, convolution, pooling = layers
    if not (is_plain_embedding(embedding) and keeps_time(convolution) and pools(pooling)):
        return False
    # Keras' own drop the mask; ours keep padding out.
    classes = [(Conv1D, MaxPooling1D)]
    if not embedding.mask_zero:
        classes.append((keras.layers.Conv1D, keras.layers.MaxPooling1D))
    return (
        (type(convolution), type(pooling)) in classes
        and convolution.activation in (keras.activations.relu, keras.activations.linear)
        and convolution.groups == 1
        and convolution.compute_dtype == pooling.compute_dtype == "float32"
        and not getattr(convolution, "lora_enabled", False)
        and getattr(convolution, "quantization_mode", None) is None
        and device_obstacle() is None
    )


def read_front(layers: list[Any], tokens: Tensor) -> Tensor:
    """The pooled phrases of token ids (batch, time) as the three layers compute them, with their mask."""
    import jax.numpy as jnp

    from unrolled.kernels.feedforward import phrases

    embedding, convolution, pooling = layers
    size, masked = pooling.pool_size[0], embedding.mask_zero
    batch, time = tokens.shape
    if not batch or time < size:
        return pooling(convolution(embedding(tokens)))
    tokens = tokens.astype("int32")
    bias = jnp.zeros(convolution.filters, "float32") if convolution.bias is None else convolution.bias
    found = phrases(
        keras.ops.convert_to_tensor(embedding.embeddings),
        keras.ops.convert_to_tensor(convolution.kernel),
        keras.ops.convert_to_tensor(bias),
        tokens,
        size=size,
        relu=convolution.activation is keras.activations.relu,
        masked=masked,
    )
    if masked:
        real = jnp.pad(tokens != 0, ((0, 0), (-time % size, 0))).reshape(batch, -1, size).any(2)
        # Keras has no public way to say that a tensor made outside a layer is masked.
        set_keras_mask(found, real)
    return found
