"""A finished run, loaded to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError
from unrolled.models import ModelSpec, parse_spec
from unrolled.models.linear import LinearModel, LinearSpec
from unrolled.training.batching import Batcher, padded_lengths
from unrolled.training.network import Network, State
from unrolled.training.record import TOKENIZER, WEIGHTS, RunPlan, read_plan, read_record
from unrolled.types import EncodedSplit, FloatArray, Ragged, digest


@dataclass(frozen=True, slots=True)
class FittedRun:
    """A trained model with the vocabulary and labels it was trained with.

    Args:
        plan: what was trained.
        spec: the architecture.
        vocabulary: None for data that came as token ids.
        weights: arrays by name.
    """

    plan: RunPlan
    spec: ModelSpec
    vocabulary: Vocabulary | None
    weights: dict[str, NDArray[Any]]
    _built: list[tuple[Network, State]] = field(default_factory=list, init=False, repr=False, compare=False)

    def predict_tokens(self, tokens: Ragged) -> FloatArray:
        """Class probabilities for token sequences, float32, shape (sequences, classes)."""
        if not self.spec.neural:
            model = LinearModel(cast(LinearSpec, self.spec), **self.weights)
            return model.predict_probabilities(tokens)
        split = EncodedSplit(tokens, np.zeros(len(tokens), np.int32))
        lengths = padded_lengths(self.spec, split, group=True)
        if not self._built:
            # Kept, so that the next call with batches of the same shape compiles nothing.
            network = Network(self.spec, seed=0, learning_rate=1e-3)
            state = network.load_weights(network.initial_state(), self.weights)
            self._built.append((network, state))
        network, state = self._built[0]
        return network.predict(state, split, Batcher(self.spec, min(256, max(1, len(tokens))), lengths))

    def predict_texts(self, texts: Sequence[str]) -> FloatArray:
        """Class probabilities for texts, float32, shape (texts, classes).

        Raises:
            DataError: the run was trained on token ids that came without words.
        """
        return self.predict_tokens(self.encode(texts))

    def encode(self, texts: Sequence[str]) -> Ragged:
        """The texts as token ids of the run's vocabulary."""
        if self.vocabulary is None:
            raise DataError(
                self.plan.run_id,
                "the run knows no words: its data came as token ids",
                expected="a run trained on texts",
                action="train on the raw reviews, in any form but imdb.npz",
            )
        return self.vocabulary.encode_ragged(texts)


def load_run(folder: Path) -> FittedRun:
    """The finished run in ``folder``.

    Raises:
        DataError: no run, not finished, or its weights have changed since they were written.
    """
    plan, record = read_plan(folder), read_record(folder)
    if record is None or record.status != "done":
        raise DataError(
            str(folder),
            f"the run is not finished (got status={record.status if record else 'pending'!r})",
            expected="a run that ended well",
            action="run the command that began it again: it goes on where it stopped",
        )
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / WEIGHTS
    try:
        weights = load(path.read_bytes())
    except (FileNotFoundError, SafetensorError) as error:
        raise _damaged(path, f"cannot be read ({error})") from None
    found = digest(*(part for name in sorted(weights) for part in (name, weights[name])))
    if found != record.weights_sha256:
        raise _damaged(path, f"has changed (got sha256={found[:12]}…)")
    tokenizer = folder / TOKENIZER
    vocabulary = Vocabulary.load(tokenizer) if tokenizer.exists() else None
    return FittedRun(plan, parse_spec(plan.model), vocabulary, weights)


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        str(path), what, expected="the weights as they were written", action="train the run again"
    )
