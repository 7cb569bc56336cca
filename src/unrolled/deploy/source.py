"""A finished run as the exporters need it, read from its files and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.storage import load_encoded
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError
from unrolled.models import ModelSpec, parse_spec
from unrolled.types import EncodedDataset, FloatArray, digest


#: Beside the run that a saved estimator is, too.
ESTIMATOR = "estimator.json"


@dataclass(frozen=True, slots=True)
class RunSource:
    """A run, loaded.

    Args:
        folder: where it lives.
        plan: what ``run.json`` holds.
        record: what ``record.json`` holds.
        spec: the architecture.
        weights: arrays by name.
        vocabulary: with the words that the model knows and no others; None for data that came as token ids.
        data: the corpus it was trained on, encoded; None for a saved estimator, which keeps none.
        probabilities: the run's answers on the test part, float32, shape (items, classes); None without data.
    """

    folder: Path
    plan: Mapping[str, Any]
    record: Mapping[str, Any]
    spec: ModelSpec
    weights: Mapping[str, NDArray[Any]]
    vocabulary: Vocabulary | None
    data: EncodedDataset | None
    probabilities: FloatArray | None

    @property
    def name(self) -> str:
        """The run's name within its study."""
        return str(self.plan["run_id"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Label names in index order."""
        return tuple(self.plan["classes"])


def is_run(folder: Path) -> bool:
    """Whether ``folder`` looks like a run's."""
    return (folder / "run.json").is_file()


def load_source(folder: Path) -> RunSource:
    """The finished run in ``folder`` with its data.

    Raises:
        DataError: no run, not finished, changed since it was written, or without its data.
    """
    plan = _read_json(folder / "run.json")
    record = _read_json(folder / "record.json") if (folder / "record.json").exists() else {}
    if record.get("status") != "done":
        raise DataError(
            str(folder),
            f"the run is not finished (got status={record.get('status', 'pending')!r})",
            expected="a run that ended well",
            action="run the command that began it again: it goes on where it stopped",
        )
    try:
        spec = parse_spec(plan["model"])
        weights = _read_weights(folder / "weights.safetensors", record["weights_sha256"])
        if getattr(spec, "features", 0):
            raise DataError(
                str(folder),
                f"the model takes numbers, not text (got features={getattr(spec, 'features', 0)})",
                expected="a model of texts or token ids",
                action="keep it in Python: SequenceClassifier.save and load",
            )
        data = None if (folder / ESTIMATOR).exists() else _read_data(folder, plan)
    except (KeyError, TypeError) as error:
        raise _foreign(folder / "run.json", f"a field is missing or of the wrong kind ({error})") from error
    path = folder / "tokenizer.json"
    vocabulary = _cut(Vocabulary.load(path), spec.vocabulary_size) if path.exists() else None
    probabilities = None
    if data is not None:
        probabilities = _read_predictions(folder / "predictions.npy", (len(data.test), len(data.classes)))
    return RunSource(folder, plan, record, spec, weights, vocabulary, data, probabilities)


def _read_data(folder: Path, plan: Mapping[str, Any]) -> EncodedDataset:
    data = load_encoded(folder / plan["data"])
    if data.sha256 != plan["data_sha256"]:
        raise DataError(
            str(folder / plan["data"]),
            "not the data that the run was trained on",
            expected=f"sha256 {plan['data_sha256'][:12]}…",
            action="put the run back into its study",
        )
    if tuple(plan["classes"]) != data.classes:
        raise _foreign(folder / "run.json", "its classes are not the data's")
    return data


def _cut(vocabulary: Vocabulary, size: int) -> Vocabulary:
    """The vocabulary without the words that the model reads as unknown anyway."""
    return Vocabulary(
        vocabulary.index, min(size, vocabulary.size), vocabulary.start, vocabulary.oov, vocabulary.index_from
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            str(path.parent),
            f"not a run's folder (it holds no {path.name})",
            expected="a folder that `unrolled train` or `unrolled lab` made",
            action="a folder below runs/ of a study",
        ) from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _foreign(path, "not a JSON object")
    return found


def _read_weights(path: Path, sha256: str) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights: dict[str, NDArray[Any]] = load(path.read_bytes())
    except (FileNotFoundError, SafetensorError) as error:
        raise _foreign(path, f"cannot be read ({error})") from None
    if digest(*(part for name in sorted(weights) for part in (name, weights[name]))) != sha256:
        raise _foreign(path, "the content has changed")
    return weights


def _read_predictions(path: Path, shape: tuple[int, int]) -> FloatArray:
    try:
        probabilities = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _foreign(path, f"cannot be read ({error})") from None
    if probabilities.shape != shape:
        raise _foreign(path, f"does not fit the test part (got shape={probabilities.shape})")
    return np.asarray(probabilities, np.float32)


def _foreign(path: Path, what: str) -> DataError:
    return DataError(
        str(path),
        what,
        expected="the file as the run wrote it",
        action="train the run again with this version",
    )
