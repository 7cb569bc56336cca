"""A trained network as an estimator holds it: weights that pickle, and programs that are compiled once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.models import ModelSpec
from unrolled.training.batching import Batcher
from unrolled.training.network import Network, State
from unrolled.types import EncodedSplit, FloatArray, Ragged

BATCH_SIZES = (1, 32, 256)


class FittedNetwork:
    """Answers for one trained network.

    Args:
        spec: the architecture.
        weights: by name, as :meth:`unrolled.training.network.Network.weights` gives them.
        lengths: the padded lengths in use.
        network: already compiled, right after training; otherwise built at the first call.
    """

    def __init__(
        self,
        spec: ModelSpec,
        weights: dict[str, NDArray[Any]],
        lengths: tuple[int, ...],
        network: Network | None = None,
    ) -> None:
        self.spec, self.weights, self.lengths = spec, weights, lengths
        self._network, self._state = network, None if network is None else self._load(network)

    def predict_probabilities(self, tokens: Ragged) -> FloatArray:
        """Class probabilities, float32, shape (sequences, classes)."""
        if self._network is None or self._state is None:
            self._network = Network(self.spec, seed=0, learning_rate=1e-3)
            self._state = self._load(self._network)
        size = next((size for size in BATCH_SIZES if size >= len(tokens)), BATCH_SIZES[-1])
        split = EncodedSplit(tokens, np.zeros(len(tokens), np.int32))
        return self._network.predict(self._state, split, Batcher(self.spec, size, self.lengths))

    def weights_by_name(self) -> dict[str, NDArray[Any]]:
        """The arrays that make the model, for storage."""
        return self.weights

    def _load(self, network: Network) -> State:
        return network.load_weights(network.initial_state(), self.weights)

    def __getstate__(self) -> dict[str, Any]:
        return {"spec": self.spec, "weights": self.weights, "lengths": self.lengths}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
