"""Recall: over how many steps each cell can learn to keep one bit.

A sequence shows a bit, then words that mean nothing, then asks. Small networks of the zoo are trained on that,
each distance from scratch, with and without clipped gradients, from an orthogonal and from a Glorot-uniform
recurrent matrix. (Hochreiter & Schmidhuber, "Long short-term memory", 1997, experiment 2; Pascanu, Mikolov &
Bengio, "On the difficulty of training recurrent neural networks", 2013, sec. 3.2 on clipping.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unrolled.evidence.behaviour.intervals import Interval, pool_share, to_curve
from unrolled.evidence.behaviour.sampling import generator
from unrolled.evidence.findings import Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy
from unrolled.models import build_model, make_spec
from unrolled.types import IntArray

Clipping = Literal["clipped", "unclipped"]
Initialisation = Literal["orthogonal", "glorot"]

CELLS = ("simple_rnn", "gru", "lstm")
CLIPPINGS: tuple[Clipping, ...] = ("clipped", "unclipped")
INITIALISATIONS: tuple[Initialisation, ...] = ("orthogonal", "glorot")
DISTANCES = (5, 20, 50, 100, 200, 500)

UNITS = 16
EMBEDDING_SIZE = 8
BATCH = 32
MOST_UPDATES = 240
UPDATES_PER_LOOK = 20
LEARNING_RATE = 0.01
CLIP_NORM = 1.0
NUM_PROBES = 256
CHANCE = 0.5
# A run whose last look was this good has learned the task and is stopped.
LEARNED = 0.995
# Recalled: better than halfway between chance and certainty.
RECALLED = 0.75

# Ids 0 to 3 are reserved; two say the bit, one asks, the others mean nothing.
BITS = 4
QUESTION = 6
DISTRACTORS = 7
NUM_DISTRACTORS = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What one network made of one distance.

    Args:
        accuracy: on fresh sequences, with its 95% interval.
        updates: steps of training.
        diverged: whether the loss stopped being a number.
    """

    accuracy: Interval
    updates: int
    diverged: bool


def make_sequences(
    count: int, distance: int, length: int, random: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Padded tokens (count, length) and bits (count,): ``distance`` steps from the bit to the question."""
    bits = random.integers(0, 2, count).astype(np.int32)
    tokens = np.zeros((count, length), np.int32)
    tokens[:, -1] = QUESTION
    tokens[:, length - distance : -1] = random.integers(
        DISTRACTORS, DISTRACTORS + NUM_DISTRACTORS, (count, distance - 1)
    )
    tokens[:, length - distance - 1] = BITS + bits
    return tokens, bits


class Trainer:
    """Networks of one cell, compiled once for all distances: padding is masked, and masked steps cost nothing.

    Args:
        cell: registry name of a plain recurrent model.
        longest: the farthest distance it will be asked for.
    """

    def __init__(self, cell: str, longest: int) -> None:
        import jax
        import keras

        self.length = longest + 1
        self.spec = make_spec(
            cell,
            vocabulary_size=DISTRACTORS + NUM_DISTRACTORS,
            length=self.length,
            embedding_size=EMBEDDING_SIZE,
            units=UNITS,
            dropout=0.0,
            padding="masked",
        )
        self.model = build_model(self.spec, seed=0)
        self.optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self.optimizer.build(self.model.trainable_variables)
        self._fixed = [variable.value for variable in self.model.non_trainable_variables]
        self._step = jax.jit(self._update)
        self._answer = jax.jit(self._probabilities)

    def probe(
        self, distance: int, clipping: Clipping, initialisation: Initialisation, random: np.random.Generator
    ) -> Probe:
        """Trains one network at ``distance`` until it has learned, or for a fixed number of updates."""
        import jax.numpy as jnp

        weights = self._initial(initialisation, random)
        state = [jnp.zeros_like(variable.value) for variable in self.optimizer.variables]
        state[1] = self.optimizer.variables[1].value
        threshold = CLIP_NORM if clipping == "clipped" else np.inf
        updates, diverged = 0, False
        while updates < MOST_UPDATES and not diverged:
            right, losses = [], []
            for _ in range(UPDATES_PER_LOOK):
                tokens, bits = make_sequences(BATCH, distance, self.length, random)
                weights, state, loss, share = self._step(weights, state, tokens, bits, threshold)
                losses.append(loss)
                right.append(share)
            updates += UPDATES_PER_LOOK
            diverged = not np.isfinite([float(loss) for loss in losses]).all()
            if np.mean([float(share) for share in right]) >= LEARNED:
                break
        tokens, bits = make_sequences(NUM_PROBES, distance, self.length, random)
        answers = np.asarray(self._answer(weights, tokens))[:, 0] > 0.5
        # A network of NaNs says no to everything, which is right half the time by chance.
        return Probe(pool_share((answers == (bits == 1))[None]), updates, diverged)

    def _initial(self, initialisation: Initialisation, random: np.random.Generator) -> list[Any]:
        import jax.numpy as jnp

        found = []
        for variable in self.model.trainable_variables:
            shape = tuple(variable.shape)
            if variable.name == "bias":
                # Zeros, but for the LSTM's forget gate, which Keras starts open.
                values = np.asarray(variable.value)
            elif variable.name == "recurrent_kernel" and initialisation == "orthogonal":
                values = _orthogonal(shape, random)
            elif variable.name == "embeddings":
                values = random.uniform(-0.05, 0.05, shape)
            else:
                values = _glorot(shape, random)
            found.append(jnp.asarray(values, jnp.float32))
        return found

    def _probabilities(self, weights: list[Any], tokens: Any) -> Any:
        return self.model.stateless_call(weights, self._fixed, tokens, training=False)[0]

    def _update(
        self, weights: list[Any], state: list[Any], tokens: Any, bits: Any, threshold: Any
    ) -> tuple[list[Any], list[Any], Any, Any]:
        import jax
        import jax.numpy as jnp
        from keras import ops

        def loss_of(values: list[Any]) -> tuple[Any, Any]:
            outputs = self._probabilities(values, tokens)[:, 0]
            right = (outputs > 0.5) == (bits > 0)
            return ops.binary_crossentropy(bits.astype("float32"), outputs).mean(), right.mean()

        (loss, right), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        norm = jnp.sqrt(sum((gradient**2).sum() for gradient in gradients))
        scale = jnp.minimum(1.0, threshold / jnp.maximum(norm, 1e-12))
        gradients = [gradient * scale for gradient in gradients]
        weights, state = self.optimizer.stateless_apply(state, gradients, weights)
        return weights, state, loss, right


def _glorot(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    limit = np.sqrt(6.0 / (shape[0] + shape[1]))
    return random.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Orthogonal rows, as Keras' default for recurrent matrices (Saxe et al., 2014)."""
    square, triangle = np.linalg.qr(random.normal(size=(max(shape), min(shape))))
    square = square * np.sign(np.diag(triangle))
    return square.T if shape[0] < shape[1] else square


@register_measure("recall", "How far back each cell can learn to keep one bit, by clipping and initialisation")
def measure_recall(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for the study: the probe does not depend on its data."""
    del study
    yield probe_recall(DISTANCES)


def probe_recall(distances: tuple[int, ...], cells: tuple[str, ...] = CELLS) -> Finding:
    """The probe over ``distances``, rising. A setting that fails at one distance is not asked for farther ones."""
    found: dict[str, list[tuple[int, Probe]]] = {}
    rows: list[tuple[Value, ...]] = []
    for cell in cells:
        trainer = Trainer(cell, distances[-1])
        for clipping in CLIPPINGS:
            for initialisation in INITIALISATIONS:
                random = generator(f"recall {cell}")
                setting = f"{cell}.{clipping}.{initialisation}"
                for distance in distances:
                    probe = trainer.probe(distance, clipping, initialisation, random)
                    accuracy = probe.accuracy
                    found.setdefault(setting, []).append((distance, probe))
                    row = (cell, clipping, initialisation, distance, accuracy.mean, accuracy.low, accuracy.high)
                    rows.append((*row, probe.updates))
                    if accuracy.mean < RECALLED:
                        break
    values: dict[str, Value] = {
        f"reach_{cell}": max(
            (
                distance
                for setting, probes in found.items()
                for distance, probe in probes
                if setting.split(".")[0] == cell and probe.accuracy.mean >= RECALLED
            ),
            default=0,
        )
        for cell in cells
    }
    values |= {
        "chance": CHANCE,
        "recalled_from": RECALLED,
        "num_probes": NUM_PROBES,
        "longest_distance": distances[-1],
        "most_updates": MOST_UPDATES,
        "num_diverged": sum(probe.diverged for probes in found.values() for _, probe in probes),
    }
    return Finding(
        measure="recall",
        model="",
        num_seeds=1,
        values=values,
        curves={
            setting: to_curve(
                "steps between the bit and the question",
                "accuracy",
                [distance for distance, _ in probes],
                [probe.accuracy for _, probe in probes],
            )
            for setting, probes in found.items()
        },
        tables={
            "probes": Table(
                columns=(
                    "cell",
                    "clipping",
                    "initialisation",
                    "distance",
                    "accuracy",
                    "low",
                    "high",
                    "updates",
                ),
                rows=tuple(rows),
            )
        },
        reference=(
            f"Guessing scores {CHANCE}. One network of {UNITS} units for each setting and distance, at most "
            f"{MOST_UPDATES} updates of {BATCH} sequences, judged on {NUM_PROBES} fresh ones (95% intervals "
            f"over these; another start may learn where this one does not). A setting below {RECALLED} is not "
            "asked for farther distances."
        ),
    )
