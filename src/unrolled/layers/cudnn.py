"""An LSTM over masked steps by a routine that takes real steps first: cuDNN's, on a GPU.

cuDNN's fast path wants every sequence to begin at its first step and to end before its padding. Reviews are
padded on the left, so Keras leaves that path as soon as there is a mask. Since a masked step carries the
states on, a sequence equals that of its real steps alone: they are moved to the front, and outputs are put
back to where they belong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tensor = Any
#: inputs, h and c with an axis of one layer, flat weights, lengths → outputs, h, c.
Routine = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def cudnn_routine(features: int, units: int) -> Routine:
    """JAX's door to cuDNN for one layer in one direction."""
    from jax.experimental.rnn import lstm

    def call(inputs: Tensor, h: Tensor, c: Tensor, weights: Tensor, lengths: Tensor) -> Any:
        sizes = {"input_size": features, "hidden_size": units, "num_layers": 1}
        return lstm(inputs, h, c, weights, lengths, **sizes, dropout=0.0, bidirectional=False)

    return call


def run_real_steps(
    routine: Routine,
    inputs: Tensor,
    weights: tuple[Tensor, ...],
    states: tuple[Tensor, ...],
    kept: Tensor,
    *,
    backwards: bool,
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The last states, and the output of every step, of an LSTM over the steps that are not masked.

    Args:
        routine: computes sequences that begin at their first step.
        inputs: float32, shape (batch, time, features).
        weights: kernel (features, 4 units), recurrent kernel (units, 4 units), bias (4 units,), gates in
            Keras' order, which is cuDNN's too.
        states: h and c before the first step, each (batch, units).
        kept: bool, shape (batch, time).
        backwards: from the last step to the first; outputs then come in the order computed.

    Returns:
        h and c after the last step, each (batch, units); outputs (batch, time, units), where a masked step
        repeats what stood before it.
    """
    import jax.numpy as jnp

    kernel, recurrent, bias = weights
    h, c = states
    if backwards:
        inputs, kept = inputs[:, ::-1], kept[:, ::-1]
    # A stable sort keeps real steps in their order.
    order = jnp.argsort(~kept, axis=1, stable=True)
    lengths = kept.sum(1).astype("int32")
    flat = jnp.concatenate([kernel.T.ravel(), recurrent.T.ravel(), bias, jnp.zeros_like(bias)])
    # No sequence may be empty for cuDNN; the answer of one that is gets thrown away.
    outputs, last_h, last_c = routine(
        jnp.take_along_axis(inputs, order[:, :, None], axis=1),
        h[None],
        c[None],
        flat,
        jnp.maximum(lengths, 1),
    )
    begun = (lengths > 0)[:, None]
    # How many real steps there were up to a step says where its output stands.
    places = jnp.cumsum(kept, axis=1)[:, :, None]
    every = jnp.take_along_axis(jnp.concatenate([h[:, None], outputs], axis=1), places, axis=1)
    return (jnp.where(begun, last_h[0], h), jnp.where(begun, last_c[0], c)), every
