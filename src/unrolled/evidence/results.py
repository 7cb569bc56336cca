"""The document that becomes ``results.json``: frozen records, made by :mod:`unrolled.evidence.summary`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from unrolled.training.record import Latency

SCHEMA = "unrolled.results/1"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetFacts(_Part):
    """The corpus: sizes of its parts, digest, what is known of it."""

    name: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    sha256: str
    best_accuracy: float | None
    notices: tuple[str, ...]


class MachineFacts(_Part):
    """The machine, as :class:`unrolled.types.Machine`."""

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    packages: dict[str, str]


class Accuracy(_Part):
    """Accuracy over seeds; ``ci95`` is None for a single run."""

    mean: float
    ci95: tuple[float, float] | None
    values: tuple[float, ...]


class Seconds(_Part):
    """Training seconds per epoch, over all epochs of all seeds, without compilation and validation."""

    median: float
    values: tuple[float, ...]


class ModelResults(_Part):
    """One row of the table.

    Args:
        name: registry name.
        status: "done", or why there are no figures.
        parameters: weights, counted as numbers.
        flops_per_sequence: forward pass at full length; None for a model that is no network.
        test_accuracy: with the weights that the protocol keeps.
        balanced_accuracy: mean over classes of the share found, as :class:`unrolled.evidence.scores.Scores`.
        macro_f1: mean of the classes' F1, likewise.
        best_epoch_test_accuracy: at each run's best epoch on test; only under ``notebook``, which
            validates on test and so has chosen with it: an optimistic figure.
        epochs: epochs trained, per seed.
        seconds_per_epoch: training time.
        compile_seconds: median over seeds.
        peak_memory_bytes: largest over seeds.
        latency_ms: medians over seeds.
        weights_bytes: size of the weights on disk.
        training_seconds: training time over all epochs, median over seeds.
        letters: models that share a letter cannot be told apart; "" where nothing was compared.
        failures: what went wrong, per run that has no figures.
    """

    name: str
    status: Literal["done", "diverged", "failed", "pending"]
    parameters: int | None = None
    flops_per_sequence: int | None = None
    test_accuracy: Accuracy | None = None
    balanced_accuracy: Accuracy | None = None
    macro_f1: Accuracy | None = None
    best_epoch_test_accuracy: Accuracy | None = None
    epochs: tuple[int, ...] = ()
    seconds_per_epoch: Seconds | None = None
    compile_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latency_ms: Latency | None = None
    weights_bytes: int | None = None
    training_seconds: float | None = None
    letters: str = ""
    failures: tuple[str, ...] = ()


class PairFacts(_Part):
    """Two models on the same test items, the more accurate first; see :mod:`unrolled.evidence.statistics`."""

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float
    scope: Literal["trained_models", "architectures"]
    method: Literal["mcnemar", "seeds_and_items"]
    smallest_difference: float


class Comparison(_Part):
    """Every pair of a study's models.

    Args:
        scope: "architectures" when the noise of seeds is in every comparison, else "trained_models".
        smallest_difference: the true difference between two models that such a study finds in 80% of cases,
            all pairs considered; the median over neighbours in the ranking.
        pairs: most accurate models first.
    """

    scope: Literal["trained_models", "architectures"]
    smallest_difference: float
    pairs: tuple[PairFacts, ...]

    def pair(self, first: str, second: str) -> PairFacts:
        """The figures on two models, whichever is ahead."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {first, second})


class StudyResults(_Part):
    """What ``results.json`` holds."""

    schema_name: str
    protocol: Literal["standard", "notebook"]
    dataset: DatasetFacts
    machine: MachineFacts
    models: tuple[ModelResults, ...]
    front: tuple[str, ...] = ()
    comparison: Comparison | None = None
    verdicts: tuple[str, ...]

    def to_json(self) -> str:
        """The document as JSON, with the key ``schema`` first."""
        text = self.model_dump_json(indent=1)
        return text.replace('"schema_name"', '"schema"', 1) + "\n"
