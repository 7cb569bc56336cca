"""Recall: over how many steps each cell can learn to keep one bit.

A sequence shows a bit, then words that mean nothing, then asks. Small networks of the zoo learn that, each
distance from scratch, with and without clipped gradients, from an orthogonal and from a Glorot-uniform
recurrent matrix, and cells with gates also from gates that start open for as long as the task may take.
(Hochreiter & Schmidhuber, "Long short-term memory", 1997, experiment 2; Pascanu, Mikolov & Bengio, "On the
difficulty of training recurrent neural networks", 2013, sec. 3.2 on clipping; Tallec & Ollivier, "Can
recurrent neural networks warp time?", 2018, eq. 16 on gates that start open.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from unrolled.evidence.behaviour.intervals import Interval, pool_share, to_curve
from unrolled.evidence.findings import Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy
from unrolled.models import build_model, make_spec
from unrolled.types import BoolArray, IntArray

Clipping = Literal["clipped", "unclipped"]
Initialisation = Literal["orthogonal", "glorot", "open"]

CLIPPINGS: tuple[Clipping, ...] = ("unclipped", "clipped")
INITIALISATIONS: dict[str, tuple[Initialisation, ...]] = {
    "simple_rnn": ("orthogonal", "glorot"),
    "gru": ("orthogonal", "glorot", "open"),
    "lstm": ("orthogonal", "glorot", "open"),
}
DISTANCES = (5, 20, 50, 150, 500)

UNITS = 16
EMBEDDING_SIZE = 8
BATCH = 16
MOST_UPDATES = 300
NUM_SEEDS = 3
UPDATES_PER_LOOK = 20
LEARNING_RATE = 0.005
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
        right: bool, shape (sequences,); whether it answered each fresh sequence right.
        updates: steps of training.
        diverged: whether the loss stopped being a number.
        largest_norm: of the gradient in any update, before clipping.
    """

    right: BoolArray
    updates: int
    diverged: bool
    largest_norm: float


@dataclass(frozen=True, slots=True)
class Recall:
    """What all starts of one setting made of one distance."""

    distance: int
    accuracy: Interval
    updates: float
    num_diverged: int


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
    """Networks of one cell, compiled once for all distances, since masked steps cost nothing.

    Args:
        cell: registry name of a plain recurrent model.
        longest: the farthest distance it will be asked for.
    """

    def __init__(self, cell: str, longest: int) -> None:
        import jax

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
        # Only now: the layers choose Keras' backend before Keras is loaded.
        import keras

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
        updates, diverged, largest = 0, False, 0.0
        while updates < MOST_UPDATES and not diverged:
            right, losses, norms = [], [], []
            for _ in range(UPDATES_PER_LOOK):
                tokens, bits = make_sequences(BATCH, distance, self.length, random)
                weights, state, loss, share, norm = self._step(weights, state, tokens, bits, threshold)
                losses.append(loss)
                right.append(share)
                norms.append(norm)
            updates += UPDATES_PER_LOOK
            largest = max(largest, *(float(norm) for norm in norms))
            diverged = not np.isfinite([float(loss) for loss in losses]).all()
            if np.mean([float(share) for share in right]) >= LEARNED:
                break
        tokens, bits = make_sequences(NUM_PROBES, distance, self.length, random)
        answers = np.asarray(self._answer(weights, tokens))[:, 0] > 0.5
        # A network of NaNs says no to everything, which is right half the time by chance.
        return Probe(answers == (bits == 1), updates, diverged, largest)

    def _initial(self, initialisation: Initialisation, random: np.random.Generator) -> list[Any]:
        import jax.numpy as jnp

        found = []
        for variable in self.model.trainable_variables:
            shape = tuple(variable.shape)
            if variable.name == "bias":
                # Zeros, but for the LSTM's forget gate, which Keras starts half open.
                values = np.array(variable.value)
                if initialisation == "open":
                    self._open(values, random)
            elif variable.name == "recurrent_kernel" and initialisation != "glorot":
                values = _orthogonal(shape, random)
            elif variable.name == "embeddings":
                values = random.uniform(-0.05, 0.05, shape)
            else:
                values = _glorot(shape, random)
            found.append(jnp.asarray(values, jnp.float32))
        return found

    def _open(self, bias: Any, random: np.random.Generator) -> None:
        """Sets a recurrent layer's gate biases so that units forget at all rates up to the longest."""
        rates = np.log(random.uniform(1.0, max(self.length - 1.0, 2.0), UNITS))
        if bias.ndim == 2:
            bias[0, :UNITS] = rates
        elif len(bias) == 4 * UNITS:
            bias[UNITS : 2 * UNITS] = rates
            bias[:UNITS] = -rates

    def _probabilities(self, weights: list[Any], tokens: Any) -> Any:
        return self.model.stateless_call(weights, self._fixed, tokens, training=False)[0]

    def _update(
        self, weights: list[Any], state: list[Any], tokens: Any, bits: Any, threshold: Any
    ) -> tuple[list[Any], list[Any], Any, Any, Any]:
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
        return weights, state, loss, right, norm


def _glorot(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    limit = np.sqrt(6.0 / (shape[0] + shape[1]))
    return random.uniform(-limit, limit, shape)


def _orthogonal(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Orthogonal rows, as Keras' default for recurrent matrices (Saxe et al., 2014)."""
    square, triangle = np.linalg.qr(random.normal(size=(max(shape), min(shape))))
    square = square * np.sign(np.diag(triangle))
    return square.T if shape[0] < shape[1] else square


@register_measure(
    "recall", "How far back each cell can learn to keep one bit, by clipping and initialisation"
)
def measure_recall(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for the study: the probe does not depend on its data."""
    del study
    yield probe_recall(DISTANCES)


def probe_recall(distances: tuple[int, ...], cells: tuple[str, ...] = tuple(INITIALISATIONS)) -> Finding:
    """The probe over rising ``distances``; a setting that fails at one is not asked for farther ones."""
    found: dict[str, list[Recall]] = {}
    rows: list[tuple[Value, ...]] = []
    for cell in cells:
        trainer = Trainer(cell, distances[-1])
        known: dict[tuple[Initialisation, int, int], Probe] = {}
        for clipping in CLIPPINGS:
            for initialisation in INITIALISATIONS[cell]:
                recalls = ask(trainer, distances, clipping, initialisation, known)
                found[f"{cell}.{clipping}.{initialisation}"] = recalls
                for recall in recalls:
                    accuracy = recall.accuracy
                    row = (cell, clipping, initialisation, recall.distance)
                    rows.append((*row, accuracy.mean, accuracy.low, accuracy.high, recall.updates))
    reached = {setting: _reach(recalls) for setting, recalls in found.items()}
    values: dict[str, Value] = {
        f"reach_{cell}": max(reach for name, reach in reached.items() if name.split(".")[0] == cell)
        for cell in cells
    }
    values |= {f"reach_{name.replace('.', '_')}": reach for name, reach in reached.items()}
    values |= {
        "chance": CHANCE,
        "recalled_from": RECALLED,
        "num_probes": NUM_PROBES,
        "longest_distance": distances[-1],
        "most_updates": MOST_UPDATES,
        "num_diverged": sum(recall.num_diverged for recalls in found.values() for recall in recalls),
    }
    columns = ("cell", "clipping", "initialisation", "distance", "accuracy", "low", "high", "updates")
    return Finding(
        measure="recall",
        model="",
        num_seeds=NUM_SEEDS,
        values=values,
        curves={
            setting: to_curve(
                "steps between the bit and the question",
                "accuracy",
                [recall.distance for recall in recalls],
                [recall.accuracy for recall in recalls],
            )
            for setting, recalls in found.items()
        },
        tables={"probes": Table(columns=columns, rows=tuple(rows))},
        reference=(
            f"Guessing scores {CHANCE}. {NUM_SEEDS} networks of {UNITS} units for each setting and distance, "
            f"at most {MOST_UPDATES} updates of {BATCH} sequences each, judged on {NUM_PROBES} fresh ones; "
            f"95% intervals over sequences and starts. A setting whose mean is below {RECALLED} is not "
            "asked for farther distances; with more training some would reach them."
        ),
    )


def ask(
    trainer: Trainer,
    distances: tuple[int, ...],
    clipping: Clipping,
    initialisation: Initialisation,
    known: dict[tuple[Initialisation, int, int], Probe],
) -> list[Recall]:
    """One setting over rising ``distances``, up to the first at which it fails.

    ``known`` takes the probes without clipping. Where none of their gradients was long enough to be clipped,
    clipping gives the same network bit for bit, and it is not trained twice.
    """
    found = []
    for distance in distances:
        probes = []
        for seed in range(NUM_SEEDS):
            place = (initialisation, distance, seed)
            probe = known.get(place)
            if probe is None or not probe.largest_norm <= CLIP_NORM:
                random = np.random.Generator(np.random.PCG64([seed, distance]))
                probe = trainer.probe(distance, clipping, initialisation, random)
            if clipping == "unclipped":
                known[place] = probe
            probes.append(probe)
        accuracy = pool_share(np.stack([probe.right for probe in probes]))
        updates = float(np.mean([probe.updates for probe in probes]))
        found.append(Recall(distance, accuracy, updates, sum(probe.diverged for probe in probes)))
        if accuracy.mean < RECALLED:
            break
    return found


def _reach(recalls: list[Recall]) -> int:
    """The farthest distance recalled; 0 for none."""
    return max((recall.distance for recall in recalls if recall.accuracy.mean >= RECALLED), default=0)
