"""Integrated gradients over word embeddings, in as many steps as completeness asks for.

Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep Networks" (2017), equation 1: a word's attribution
is the gradient of the answer along the straight path from a text of empty words to the text, summed over the
word's embedding. The attributions of all words add up to what the text changes; by how much they miss it is
the error of the calculation, and known.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from unrolled.evidence.subjects import Logits
from unrolled.types import DoubleArray, FloatArray, IntArray

NODES = 16
TOLERANCE = 0.005
MOST_PANELS = 128
LEAST_CHANGE = 0.05
"""In log-odds. Where the text changes the answer by less, the error is held against this."""

VARIANTS = 32


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each position of a text adds to the log-odds of a class.

    Args:
        values: float64, shape (positions,).
        answer: log-odds of the class for the text.
        baseline: log-odds of the class for a text of empty words.
        num_steps: gradients that were taken; 0 for a model that is a sum.
    """

    values: DoubleArray
    answer: float
    baseline: float
    num_steps: int

    @property
    def completeness_error(self) -> float:
        """How far the sum of the attributions is from what the text changes, as a share of it."""
        change = self.answer - self.baseline
        return abs(float(self.values.sum()) - change) / max(abs(change), LEAST_CHANGE)


class Attributor:
    """Attributions of one network; compiled once for each padded length.

    Args:
        network: the architecture.
        weights: as :meth:`Logits.load` gives them.
    """

    def __init__(self, network: Logits, weights: list[Any]) -> None:
        import jax

        self._network, self._weights = network, weights
        layers = network.model.layers
        embeds = any(kind.__name__ == "Embedding" for kind in type(layers[0]).__mro__)
        # Without an embedding the path leads through the raw numbers.
        self._embedding = layers[0] if embeds else None
        self._layers = layers[1:-1] if embeds else layers[:-1]
        self._answer = jax.jit(self._answer_whole)
        self._follow = jax.jit(self._follow_path)
        self._hide = jax.jit(self._hide_positions)

    def answer(self, tokens: IntArray) -> DoubleArray:
        """Class probabilities for one padded text (int32, (positions,)), float64, shape (classes,)."""
        logits = np.asarray(self._answer(self._weights, tokens), np.float64)
        if len(logits) == 1:
            logits = np.array([0.0, logits[0]])
        raised = np.exp(logits - logits.max())
        return np.asarray(raised / raised.sum())

    def integrate(self, tokens: IntArray, target: int) -> Attribution:
        """Integrated gradients of the log-odds of class ``target`` for one padded text.

        The path is cut into panels of Gauss-Legendre nodes, and those halved whose part of the change is not
        met, until all of them together meet it.

        Args:
            tokens: int32, shape (positions,).
            target: index of the class.
        """
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        places, weights = (nodes + 1) / 2, weights / 2
        waiting, done = [(0.0, 1.0)], np.zeros(len(tokens))
        num_panels, answer, baseline = 0, 0.0, 0.0
        while waiting:
            start, stop = waiting.pop()
            at = np.concatenate([[start, stop], start + (stop - start) * places]).astype(np.float32)
            odds, slopes = (
                np.asarray(part, np.float64) for part in self._follow(self._weights, tokens, at, target)
            )
            num_panels += 1
            if num_panels == 1:
                baseline, answer = float(odds[0]), float(odds[1])
            values = (stop - start) * (weights @ slopes[2:])
            gap = abs(float(values.sum()) - float(odds[1] - odds[0]))
            allowed = TOLERANCE * max(abs(answer - baseline), LEAST_CHANGE)
            # A panel may miss its share of the error, or what its panels' float32 cannot resolve.
            if gap <= allowed * max(stop - start, 0.1) or num_panels + len(waiting) >= MOST_PANELS:
                done += values
            else:
                middle = (start + stop) / 2
                waiting += [(middle, stop), (start, middle)]
        return Attribution(done, answer, baseline, num_panels * NODES)

    def occlude(self, tokens: IntArray, target: int, positions: IntArray) -> DoubleArray:
        """How much the log-odds of ``target`` fall when each of ``positions`` is made an empty word.

        Args:
            tokens: int32, shape (positions,).
            target: index of the class.
            positions: int, the positions to occlude.

        Returns:
            float64, one figure for each of ``positions``.
        """
        keep: FloatArray = np.ones((len(positions) + 1, len(tokens)), np.float32)
        keep[np.arange(len(positions)), positions] = 0.0
        found = []
        for first in range(0, len(keep), VARIANTS):
            rows = keep[first : first + VARIANTS]
            filled = np.concatenate([rows, np.ones((VARIANTS - len(rows), len(tokens)), np.float32)])
            odds = self._hide(self._weights, tokens, filled, target)
            found.append(np.asarray(odds, np.float64)[: len(rows)])
        odds = np.concatenate(found)
        return np.asarray(odds[-1] - odds[:-1])

    def _inputs(self, tokens: Any) -> tuple[Any, Any]:
        """What the path leads to, (1, positions, features) or (1, positions), and the mask or None."""
        rows = tokens[None]
        if self._embedding is None:
            return rows.astype("float32"), None
        return self._embedding(rows), self._embedding.compute_mask(rows)

    def _scope(self, weights: list[Any]) -> Any:
        """A context in which every variable has a value: the seeds of dropout too, which nothing draws from.

        The network is an outline whose variables were never initialised, and none may be so while JAX traces.
        """
        import jax.numpy as jnp
        import keras

        model = self._network.model
        idle = [jnp.zeros(variable.shape, variable.dtype) for variable in model.non_trainable_variables]
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        return keras.StatelessScope(
            state_mapping=list(zip(variables, [*weights, *idle], strict=True)), initialize_variables=False
        )

    def _logits(self, inputs: Any, mask: Any) -> Any:
        """Logits (rows, outputs) for inputs (rows, positions[, features])."""
        import jax.numpy as jnp

        outputs = inputs
        if mask is not None:
            mask = jnp.broadcast_to(mask, (len(inputs), mask.shape[1]))
        for layer in self._layers:
            known = signature(layer.call).parameters
            options = {"training": False} if "training" in known else {}
            if mask is not None and "mask" in known:
                options["mask"] = mask
            arriving, outputs = outputs, layer(outputs, **options)
            mask = layer.compute_mask(arriving, mask)
        last = self._network.model.layers[-1]
        return outputs @ last.kernel.value + last.bias.value

    def _log_odds(self, inputs: Any, mask: Any, target: Any) -> Any:
        """Log-odds of class ``target``, shape (rows,)."""
        import jax
        import jax.numpy as jnp

        logits = self._logits(inputs, mask)
        if logits.shape[1] == 1:
            return jnp.where(target == 1, logits[:, 0], -logits[:, 0])
        chosen = jnp.arange(logits.shape[1]) == target
        others = jax.nn.logsumexp(jnp.where(chosen, -jnp.inf, logits), axis=1)
        return logits[:, target] - others

    def _answer_whole(self, weights: list[Any], tokens: Any) -> Any:
        with self._scope(weights):
            return self._logits(*self._inputs(tokens))[0]

    def _follow_path(self, weights: list[Any], tokens: Any, places: Any, target: Any) -> tuple[Any, Any]:
        """Log-odds at ``places`` of the path, and each position's share of the slope there."""
        import jax
        import jax.numpy as jnp

        with self._scope(weights):
            whole, mask = self._inputs(tokens)
            points = places.reshape((-1,) + (1,) * (whole.ndim - 1)) * whole
            odds, back = jax.vjp(lambda inputs: self._log_odds(inputs, mask, target), points)
            (gradients,) = back(jnp.ones_like(odds))
        slopes = gradients * whole
        return odds, slopes.sum(axis=2) if slopes.ndim == 3 else slopes

    def _hide_positions(self, weights: list[Any], tokens: Any, keep: Any, target: Any) -> Any:
        with self._scope(weights):
            whole, mask = self._inputs(tokens)
            kept = keep if whole.ndim == 2 else keep[:, :, None]
            return self._log_odds(whole * kept, mask, target)
