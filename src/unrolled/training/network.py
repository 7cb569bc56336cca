"""A network with its optimizer as pure functions over explicit state, compiled by JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.models import ModelSpec, build_model
from unrolled.models.build import chain_layers
from unrolled.training.batching import Batcher
from unrolled.types import EncodedSplit, FloatArray, SequenceBatch


@dataclass(slots=True)
class State:
    """All numbers that training changes, as JAX arrays in the order of Keras' variables.

    Args:
        trainable: the weights.
        fixed: variables that no gradient reaches, the dropout seeds among them.
        optimizer: Adam's moments and step count.
    """

    trainable: list[Any]
    fixed: list[Any]
    optimizer: list[Any]


class Network:
    """One architecture, ready to be trained step by step without side effects.

    Args:
        spec: what to build.
        seed: fixes initial weights and dropout.
        learning_rate: Adam's.
        fused: whether layers are computed together where that gives the same function for less work.
    """

    def __init__(self, spec: ModelSpec, *, seed: int, learning_rate: float, fused: bool = True) -> None:
        model = build_model(spec, seed=seed)
        import jax
        import keras

        from unrolled.layers import Adam

        if keras.backend.backend() != "jax":
            raise RuntimeError(
                f"training: Keras runs on {keras.backend.backend()!r}. Expected the JAX backend. "
                "Try: unset KERAS_BACKEND, or KERAS_BACKEND=jax."
            )
        self.spec = spec
        self.model = model
        self._callable = chain_layers(model, fused=fused)
        self._optimizer = (Adam if fused else keras.optimizers.Adam)(learning_rate)
        self._optimizer.build(self._callable.trainable_variables)
        self._train = jax.jit(self.train_step, donate_argnums=(0, 1, 2))
        self._predict = jax.jit(self._probabilities)

    @property
    def num_parameters(self) -> int:
        """Weights, counted as numbers."""
        return int(self.model.count_params())

    def initial_state(self) -> State:
        """The state before the first step, in buffers of its own: a step consumes what it is given."""
        import jax.numpy as jnp

        def values(variables: list[Any]) -> list[Any]:
            return [jnp.array(variable.value, copy=True) for variable in variables]

        return State(
            values(self._callable.trainable_variables),
            values(self._callable.non_trainable_variables),
            values(self._optimizer.variables),
        )

    def weights(self, state: State) -> dict[str, NDArray[Any]]:
        """The model's weights by name, as NumPy arrays; dropout seeds are no weights and left out."""
        return {name: np.asarray(value) for name, value in zip(self._names(), state.trainable, strict=True)}

    def load_weights(self, state: State, weights: dict[str, NDArray[Any]]) -> State:
        """``state`` with the weights of :meth:`weights` in their places."""
        import jax.numpy as jnp

        return State([jnp.asarray(weights[name]) for name in self._names()], state.fixed, state.optimizer)

    def _names(self) -> list[str]:
        return weight_names(self.model)

    def step(self, state: State, batch: SequenceBatch) -> tuple[State, Any, Any]:
        """One step of Adam: the new state, the batch's mean loss (nats) and its number of right answers.

        The loss and the count are JAX scalars; reading them waits for the step.
        """
        *parts, loss, right = self._train(
            state.trainable, state.fixed, state.optimizer, batch.tokens, batch.labels, batch.weights
        )
        return State(*parts), loss, right

    def compile_kernels(self, state: State, batch: SequenceBatch) -> None:
        """Makes the kernels of a step ready; another process compiles what this machine lacks."""
        from unrolled.layers.compile import compile_missing_kernels

        given = (state.trainable, state.fixed, state.optimizer, batch.tokens, batch.labels, batch.weights)
        compile_missing_kernels(self._train, *given)

    def predict(self, state: State, split: EncodedSplit, batcher: Batcher) -> FloatArray:
        """Class probabilities for every item of a split, float32, shape (items, classes)."""
        found = np.empty((len(split), self.spec.classes), np.float32)
        for rows, batch in batcher.batches(split):
            found[rows] = self.probabilities(state, batch.tokens)[: len(rows)]
        return found

    def probabilities(self, state: State, tokens: NDArray[np.int32]) -> FloatArray:
        """Class probabilities for padded tokens (batch, time), float32, shape (batch, classes)."""
        outputs = np.asarray(self._predict(state.trainable, state.fixed, tokens))
        if self.spec.classes == 2:
            outputs = np.concatenate([1.0 - outputs, outputs], axis=1)
        return np.asarray(outputs, np.float32)

    def _probabilities(self, trainable: list[Any], fixed: list[Any], tokens: Any) -> Any:
        outputs, _ = self._callable.stateless_call(trainable, fixed, self._cast(tokens), training=False)
        return outputs

    def train_step(
        self,
        trainable: list[Any],
        fixed: list[Any],
        optimizer: list[Any],
        tokens: Any,
        labels: Any,
        weights: Any,
    ) -> tuple[Any, ...]:
        """The arithmetic of :meth:`step`, to be traced: new lists of a state, loss and right answers."""
        loss, fixed, right, gradients = self.gradients(trainable, fixed, tokens, labels, weights)
        trainable, optimizer = self._optimizer.stateless_apply(optimizer, gradients, trainable)
        return trainable, fixed, optimizer, loss, right

    def gradients(
        self, trainable: list[Any], fixed: list[Any], tokens: Any, labels: Any, weights: Any
    ) -> tuple[Any, list[Any], Any, list[Any]]:
        """A batch's mean loss (nats), what it makes of ``fixed``, its right answers and the loss's gradients.

        To be traced. Gradients come in the order of ``trainable``.
        """
        import jax

        tokens = self._cast(tokens)

        def loss_of(values: list[Any]) -> tuple[Any, tuple[list[Any], Any]]:
            outputs, moved = self._callable.stateless_call(values, fixed, tokens, training=True)
            losses, right = self._judge(outputs, labels)
            loss = (losses * weights).sum() / weights.sum()
            # Weights may count classes differently; a right answer counts 1, a filling row 0.
            return loss, (moved, (right * (weights > 0)).sum())

        (loss, (fixed, right)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        return loss, fixed, right, gradients

    def _judge(self, outputs: Any, labels: Any) -> tuple[Any, Any]:
        """Cross-entropy (nats) and rightness (0 or 1) of each row, by Keras' own definition of both."""
        from keras import ops

        if self.spec.classes == 2:
            target = ops.cast(labels, "float32")
            losses = ops.binary_crossentropy(target, outputs[:, 0])
            return losses, ops.cast((outputs[:, 0] > 0.5) == (target > 0.5), "float32")
        losses = ops.sparse_categorical_crossentropy(labels, outputs)
        return losses, ops.cast(ops.argmax(outputs, axis=1) == labels, "float32")

    def _cast(self, tokens: Any) -> Any:
        return tokens.astype(self.model.inputs[0].dtype)


def weight_names(model: Any) -> list[str]:
    """A name for every trainable weight of a Keras model that depends on the architecture alone.

    Keras' own paths count how many layers of a kind the process has made so far.
    """
    return [
        f"{place}.{type(layer).__name__}/{number}.{variable.name}"
        for place, layer in enumerate(model.layers)
        for number, variable in enumerate(layer.trainable_variables)
    ]


def score(
    probabilities: FloatArray, labels: NDArray[np.int32], weights: Sequence[float] | None = None
) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy of probabilities (items, classes) against labels (items,).

    ``weights``, one for each class, make both a weighted mean; balanced ones turn accuracy into balanced
    accuracy, the mean over classes of the share found.
    """
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = None if weights is None else np.asarray(weights, np.float64)[labels]
    # Keras' clip, so that training and validation losses are on one scale.
    loss = float(np.average(-np.log(np.clip(chosen, 1e-7, 1.0)), weights=counts))
    return loss, float(np.average(probabilities.argmax(axis=1) == labels, weights=counts))
