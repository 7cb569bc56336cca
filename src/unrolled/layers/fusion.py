"""A model computed the cheap way: the same function of the same variables, with less work.

What is found and replaced, in a chain of layers on JAX on a CPU:

- Embedding → recurrent layer: the embedding is never gathered into an array. Each distinct token of a batch
  is projected through the input kernel once.
- Padding that is no mask (the ``notebook`` protocol): while every sequence reads nothing but padding, all of
  them are in the same state, so that stretch is computed once, and each sequence leaves it where its first
  word stands. Under input dropout the stretch differs by sequence, but its input does not change: it is
  projected once, and the state comes to rest.
- Embedding → Conv1D → MaxPooling1D: each distinct token meets the convolution's taps once, and a position
  adds up finished rows. Nothing is stored between the layers.
- … → recurrent layer: the stretch of padding that pooling leaves is computed once, as above.
- Embedding → Flatten → Dense: a product for each position over the sequences that have begun there; padding
  that is no mask is one further row of it.

Everything else runs as Keras runs it.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import keras
from keras.src.backend.common.masking import set_keras_mask

from unrolled.layers.front import is_front, is_plain_embedding, keeps_time, pools, read_front
from unrolled.layers.positions import is_positions, read_positions
from unrolled.layers.recurrent import FusedLoop

Tensor = Any
# Switched off to measure what it is worth.
PADDING_AT_ONCE = True


def accelerate(model: Any, enabled: bool = True) -> Any:
    """A model that shares all variables with ``model`` and computes the same outputs and gradients, faster.

    Args:
        model: a ``keras.Sequential`` over token ids, such as ``build_model`` gives.
        enabled: False hands ``model`` back as it is.

    Returns:
        keras.Model for (batch, time) token ids; time may be shorter than the model was built for if no layer
        depends on it.
    """
    return _Chain(model, fused=True) if enabled else model


def loosen_length(model: Any) -> Any:
    """The same model, with the same variables, for token ids of any length; nothing is computed together.

    A model from ``build_model`` insists on the length it was built for, as Keras users expect. Padding that
    is masked changes nothing, so a batch of short sequences may be cut to its longest one and cost less.
    """
    return _Chain(model, fused=False)


def fusion_of(layers: list[Any], place: int) -> str | None:
    """What starts at ``place`` of a chain of layers and is computed together.

    "tokens", "phrases" (with a recurrent layer), "front" (without), "positions", or None.
    """
    embedding = layers[place]
    if not is_plain_embedding(embedding):
        return None
    following = layers[place + 1 : place + 4]
    if following and _takes_tokens(following[0]):
        return "tokens"
    if (
        len(following) == 3
        and keeps_time(following[0])
        and pools(following[1])
        and _takes_tokens(following[2])
        # There is no kernel of the other form that runs after padding.
        and getattr(following[2], "reset_after", True)
        and not following[2].return_sequences
        and not embedding.mask_zero
    ):
        return "phrases"
    three = layers[place : place + 3]
    if is_front(three):
        return "front"
    return "positions" if is_positions(three) else None


def _takes_tokens(layer: Any) -> bool:
    return (
        isinstance(layer, FusedLoop)
        and not getattr(layer, "stateful", False)
        and not getattr(layer, "return_state", False)
        and not getattr(layer, "zero_output_for_mask", False)
        and not getattr(layer, "go_backwards", False)
        and layer.kernel_obstacle() is None
    )


class _Chain(keras.Model):  # type: ignore[misc]
    """Layer by layer, since a functional graph keeps the mask's shape of the length it was traced at."""

    def __init__(self, model: Any, *, fused: bool) -> None:
        super().__init__(name=model.name)
        self.fused = fused
        self.parts = list(model.layers)
        self.built = True

    def call(self, tokens: Any, training: bool = False) -> Any:
        """Token ids (batch, time) → the model's outputs."""
        outputs, place = tokens, 0
        while place < len(self.parts):
            kind = fusion_of(self.parts, place) if self.fused else None
            if kind == "tokens":
                outputs = _read_tokens(self.parts[place], self.parts[place + 1], outputs, training)
                place += 2
            elif kind == "phrases":
                outputs = _read_phrases(self.parts[place : place + 4], outputs, training)
                place += 4
            elif kind == "front":
                outputs = read_front(self.parts[place : place + 3], outputs)
                place += 3
            elif kind == "positions":
                outputs = read_positions(self.parts[place : place + 3], outputs)
                place += 3
            else:
                layer = self.parts[place]
                # The mask travels with the tensor; the phase does not, as a stateless call opens no context.
                phase = {"training": training} if "training" in signature(layer.call).parameters else {}
                outputs = layer(outputs, **phase)
                place += 1
        return outputs


def _draw_factors(layer: Any, batch: int, features: int, training: bool) -> Tensor | None:
    """The input dropout's factors, (batch, features), drawn as keras.layers.RNN draws them; None without."""
    import jax.numpy as jnp

    if not training or not layer.cell.dropout:
        return None
    factors = layer.cell.get_dropout_mask(jnp.ones((batch, features), "float32"))
    layer.cell.reset_dropout_mask()
    return factors


def _start(layer: Any, batch: int) -> tuple[Tensor, ...]:
    state = layer.get_initial_state(batch)
    return tuple(state) if isinstance(state, (list, tuple)) else (state,)


def _read_tokens(embedding: Any, layer: Any, tokens: Tensor, training: bool) -> Tensor:
    """What the recurrent layer answers over the embedding of ``tokens``, int32 (batch, time)."""
    import jax.numpy as jnp

    from unrolled.kernels.recurrent import Lookup, mode, run
    from unrolled.kernels.repeated import KERNELS, run_after_padding

    table = keras.ops.convert_to_tensor(embedding.embeddings)
    tokens = tokens.astype("int32")
    batch, time = tokens.shape
    kernel, weights = layer._kernel_call()
    factors = _draw_factors(layer, batch, table.shape[1], training)
    lookup, every = Lookup(tokens, factors), layer.return_sequences
    if PADDING_AT_ONCE and not (embedding.mask_zero or every) and kernel in KERNELS:
        num_pads = jnp.where((tokens != 0).any(1), (tokens != 0).argmax(1), time)
        padding = (table[:1] if factors is None else table[:1] * factors)[:, None]
        return run_after_padding(kernel, padding, num_pads, table, weights, time, lookup)[0]
    real = tokens != 0 if embedding.mask_zero else jnp.ones(tokens.shape, bool)
    flags = mode(every_output=every, backwards=False)
    last, outputs = run(kernel, flags, table, weights, _start(layer, batch), real, lookup)
    if not every:
        return last[0]
    result = outputs[0]
    if embedding.mask_zero:
        # Keras has no public way to say that a tensor made outside a layer is masked.
        set_keras_mask(result, real)
    return result


def _read_phrases(parts: list[Any], tokens: Tensor, training: bool) -> Tensor:
    """What the last of Embedding, Conv1D, MaxPooling1D and recurrent layer answers; padding is a word."""
    import jax.numpy as jnp

    from unrolled.kernels.repeated import run_after_padding

    embedding, convolution, pooling, layer = parts
    front = parts[:3]
    whole = is_front(front)
    phrases = read_front(front, tokens) if whole else pooling(convolution(embedding(tokens)))
    batch, time, features = phrases.shape
    kernel, weights = layer._kernel_call()
    factors = _draw_factors(layer, batch, features, training)
    if factors is not None:
        phrases = phrases * factors[:, None, :]
    # A pooled step is padding through and through if no word stands in reach of its windows.
    reach, size = convolution.kernel_size[0] // 2, pooling.pool_size[0]
    real = tokens != 0
    num_pads = jnp.where(real.any(1), real.argmax(1), tokens.shape[1])
    num = jnp.clip((num_pads - reach) // size, 0, time) * PADDING_AT_ONCE
    # The first steps see the sequence's edge; after them all windows of padding are alike.
    edge = min(-(-reach // size), time - 1)
    padding = phrases[:, : edge + 1]
    if factors is None:
        padding = padding[num.argmax()][None]
    return run_after_padding(kernel, padding, num, phrases, weights, time)[0]
