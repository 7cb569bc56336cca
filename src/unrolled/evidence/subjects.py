"""A study's finished runs, loaded to be questioned: logits for any tokens, compiled once per architecture."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from unrolled.data.encoding import clip_vocabulary
from unrolled.data.padding import pad_sequences
from unrolled.data.storage import load_encoded
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError
from unrolled.models import ModelSpec
from unrolled.models.build import build_model, chain_layers, outline_model
from unrolled.models.linear import LinearModel, LinearSpec
from unrolled.training.fitted import FittedRun, load_run
from unrolled.training.network import weight_names
from unrolled.training.record import PLAN, PREDICTIONS, read_history, read_plan, read_record
from unrolled.training.study import CONFIG, DATA, RUNS, Run, check_study
from unrolled.types import BoolArray, DoubleArray, EncodedDataset, EncodedSplit, FloatArray, IntArray, Ragged

BATCH = 128


class Logits:
    """An architecture without its last activation, as a function of weights and padded tokens.

    Logits and not probabilities, because a confident model's probabilities are rounded to 1 in float32 long
    before its logits stop moving.

    Args:
        spec: a neural architecture.
    """

    def __init__(self, spec: ModelSpec) -> None:
        import jax

        self.spec = spec
        # Weights come from the runs: a network that makes its own first is slow to build.
        self.model = outline_model(spec)
        import keras

        self.model.layers[-1].activation = keras.activations.linear
        self._chain = chain_layers(self.model, fused=True)
        self._initial: dict[int, list[Any]] = {}
        self._call = jax.jit(self._compute)

    def load(self, weights: Mapping[str, NDArray[Any]]) -> list[Any]:
        """Weights by name, as a run stores them, in the order that :meth:`__call__` takes."""
        import jax.numpy as jnp

        return [jnp.asarray(weights[name]) for name in weight_names(self.model)]

    def variables(self) -> dict[str, Any]:
        """Keras' variables by the names that runs store them under; they have shapes, but no values."""
        return dict(zip(weight_names(self.model), self.model.trainable_variables, strict=True))

    def __call__(self, trainable: list[Any], tokens: IntArray) -> DoubleArray:
        """Logits (rows, classes), float64, of padded tokens (rows, time); their softmax is the answer.

        Two classes share one output unit; its logit stands in the second column beside a 0.
        """
        found = []
        for start in range(0, len(tokens), BATCH):
            rows = tokens[start : start + BATCH]
            # Every batch has one shape, since each new shape would be compiled.
            filled = np.concatenate([rows, np.repeat(rows[:1], BATCH - len(rows), axis=0)])
            found.append(np.asarray(self._call(trainable, filled), np.float64)[: len(rows)])
        logits = np.concatenate(found) if found else np.empty((0, 1 if self.spec.classes == 2 else 0))
        if self.spec.classes == 2:
            return np.concatenate([np.zeros_like(logits), logits], axis=1)
        return logits

    def initial(self, seed: int) -> list[Any]:
        """The weights with which a run of ``seed`` began."""
        if seed not in self._initial:
            model = build_model(self.spec, seed=seed)
            self._initial[seed] = [variable.value for variable in model.trainable_variables]
        return self._initial[seed]

    def before(self, outputs: Any, layers: Sequence[Any], mask: Any = None) -> tuple[Any, Any]:
        """What ``layers`` make of ``outputs``, and the mask that arrives behind them (None without one)."""
        for layer in layers:
            phase = {"training": False} if "training" in signature(layer.call).parameters else {}
            arriving, outputs = outputs, layer(outputs, **phase)
            mask = layer.compute_mask(arriving, mask)
        return outputs, mask

    def scope(self, trainable: list[Any]) -> Any:
        """A context in which the network's weights have these values."""
        import keras

        pairs = list(zip(self.model.trainable_variables, trainable, strict=True))
        # Seeds of dropout, which is switched off; without values they would be drawn while a call is traced.
        pairs += [
            (variable, np.zeros(tuple(variable.shape), variable.dtype))
            for variable in self.model.non_trainable_variables
        ]
        return keras.StatelessScope(state_mapping=pairs)

    def _compute(self, trainable: list[Any], tokens: Any) -> Any:
        with self.scope(trainable):
            return self._chain(tokens.astype(self.model.inputs[0].dtype), training=False)


@dataclass
class Subject:
    """One model of a study with all its finished runs.

    Args:
        name: registry name.
        spec: the architecture.
        runs: where they live and how they ended.
        fitted: the same runs, loaded.
        data: the study's corpus.
    """

    name: str
    spec: ModelSpec
    runs: tuple[Run, ...]
    fitted: tuple[FittedRun, ...]
    data: EncodedDataset
    _loaded: dict[int, list[Any]] = field(default_factory=dict)

    @cached_property
    def logits_function(self) -> Logits:
        """The network, compiled on first use and shared by all runs."""
        return Logits(self.spec)

    def weights(self, run: int) -> list[Any]:
        """A run's weights as :class:`Logits` takes them."""
        if run not in self._loaded:
            self._loaded[run] = self.logits_function.load(self.fitted[run].weights)
        return self._loaded[run]

    def pad(self, tokens: Ragged) -> IntArray:
        """The tokens as the network was trained to read them: clipped, cut and padded on the left."""
        return pad_sequences(clip_vocabulary(tokens, self.spec.vocabulary_size), self.spec.length)

    def logits(self, tokens: Ragged) -> DoubleArray:
        """Logits of every run, float64, shape (runs, sequences, classes)."""
        if self.spec.neural:
            return self.logits_of_padded(self.pad(tokens))
        found = []
        for run in self.fitted:
            model = LinearModel(cast(LinearSpec, run.spec), **run.weights)
            found.append(to_logits(model.predict_probabilities(tokens)))
        return np.stack(found)

    def logits_of_padded(self, tokens: IntArray) -> DoubleArray:
        """The same for padded tokens (rows, spec.length), networks only."""
        return np.stack([self.logits_function(self.weights(run), tokens) for run in range(len(self.fitted))])

    def right(self, split: EncodedSplit) -> BoolArray:
        """Whether each run gets each item right, bool, shape (runs, items)."""
        found: BoolArray = self.logits(split.tokens).argmax(axis=2) == split.labels
        return found

    def test_probabilities(self) -> FloatArray:
        """What the runs said of the test part when they were trained, shape (runs, items, classes).

        Raises:
            DataError: stored predictions do not fit the test part.
        """
        expected = (len(self.data.test), len(self.data.classes))
        found = []
        for run in self.runs:
            path = run.folder / PREDICTIONS
            probabilities = np.load(path, allow_pickle=False)
            if probabilities.shape != expected:
                raise DataError(
                    str(path),
                    f"does not fit the test part (got shape={probabilities.shape})",
                    expected=str(expected),
                    action="delete the run's folder and run again",
                )
            found.append(probabilities)
        return np.stack(found)


@dataclass(frozen=True, slots=True)
class FinishedStudy:
    """A study's data and every model that has a finished run.

    Args:
        folder: the study's.
        data: the encoded corpus.
        vocabulary: None for data that came as token ids without words.
        subjects: models in the order of the study.
    """

    folder: Path
    data: EncodedDataset
    vocabulary: Vocabulary | None
    subjects: tuple[Subject, ...]


def open_study(folder: Path) -> FinishedStudy:
    """The finished runs of a study, or of the single run that `unrolled train` left in ``folder``.

    Raises:
        DataError: no study, no finished run in it, or a damaged file.
    """
    check_study(folder)
    if (folder / PLAN).exists():
        folders = [folder]
    else:
        try:
            planned = tomllib.loads((folder / CONFIG).read_text("utf-8"))["runs"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
            raise DataError(
                str(folder / CONFIG),
                f"cannot be read ({error})",
                expected="the file that `unrolled lab` wrote",
                action="the command that began the study, which writes it anew",
            ) from None
        folders = [folder / RUNS / run_id for run_id in planned]
    by_name: dict[str, list[Run]] = {}
    for place in folders:
        record = read_record(place) if place.exists() else None
        if record is not None and record.status == "done":
            plan = read_plan(place)
            by_name.setdefault(record.architecture, []).append(Run(place, plan, record, read_history(place)))
    if not by_name:
        raise DataError(
            str(folder),
            "no run has finished",
            expected="at least one finished run",
            action="the command that began the study: it goes on where it stopped",
        )
    data = load_encoded(folder / DATA)
    subjects = []
    for name, runs in by_name.items():
        fitted = tuple(load_run(run.folder) for run in runs)
        subjects.append(Subject(name, fitted[0].spec, tuple(runs), fitted, data))
    return FinishedStudy(folder, data, subjects[0].fitted[0].vocabulary, tuple(subjects))


def to_logits(probabilities: NDArray[Any]) -> DoubleArray:
    """Logits whose softmax is ``probabilities`` (…, classes), float64; probabilities are clipped at 1e-7.

    The clip is that of Keras' cross-entropy: float32 cannot tell what lies beyond it.

    >>> to_logits(np.array([[0.25, 0.75]])).round(4).tolist()
    [[-1.3863, -0.2877]]
    """
    return np.log(np.clip(np.asarray(probabilities, np.float64), 1e-7, 1.0))
