"""Estimators on disk: a folder of JSON and safetensors that `unrolled predict` reads as a run, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from unrolled.data.storage import write_atomically
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import DataError
from unrolled.models import parse_spec
from unrolled.training.finish import write_weights
from unrolled.training.record import (
    PLAN,
    RECORD,
    TOKENIZER,
    WEIGHTS,
    RunPlan,
    RunRecord,
    write_model,
)
from unrolled.training.settings import TrainingSettings
from unrolled.types import digest

FILE = "estimator.json"
FORMAT = "unrolled.estimator/1"
C = TypeVar("C")


def save_estimator(estimator: Any, folder: Path) -> None:
    """Writes a fitted estimator; ``estimator.json`` comes last, so that a folder with it is whole.

    A generator as ``random_state`` is not stored: None takes its place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    sha256 = write_weights(folder, estimator.network_.weights_by_name())
    vocabulary = getattr(estimator, "vocabulary_", None)
    if vocabulary is not None:
        vocabulary.save(folder / TOKENIZER)
        _write_run(estimator, folder, sha256)
    parameters = estimator.get_params(deep=False)
    if not isinstance(parameters["random_state"], int | np.integer | None):
        parameters["random_state"] = None
    weight = parameters.pop("class_weight")
    document = {
        "format": FORMAT,
        "class": type(estimator).__name__,
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        # Labels are no JSON keys unless they are strings.
        "class_weight": [[_plain(k), float(v)] for k, v in weight.items()]
        if isinstance(weight, dict)
        else weight,
        "classes": {"dtype": estimator.classes_.dtype.str, "values": estimator.classes_.tolist()},
        "spec": estimator.spec_.model_dump(),
        "lengths": list(getattr(estimator.network_, "lengths", ())),
        "weights_sha256": sha256,
        "fitted": {
            name: _plain(getattr(estimator, name))
            for name in (*_FACTS, "n_features_in_", "mean_", "scale_")
            if hasattr(estimator, name)
        },
    }
    write_atomically(folder / FILE, json.dumps(document, ensure_ascii=False, indent=1).encode())


_FACTS = ("history_", "n_iter_", "best_epoch_", "validation_size_", "data_sha256_")
_ARRAYS = ("mean_", "scale_")


def load_estimator(kind: type[C], folder: Path) -> C:
    """The estimator of class ``kind`` in ``folder``.

    Raises:
        DataError: there is none of this class and version, or its weights have changed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / FILE
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT or document["class"] != kind.__name__:
            raise _foreign(path, f"got {document['class']}, {document['format']}", kind)
        weights = load((folder / WEIGHTS).read_bytes())
        found = digest(*(part for name in sorted(weights) for part in (name, weights[name])))
        if found != document["weights_sha256"]:
            raise _foreign(folder / WEIGHTS, f"the content has changed, got sha256={found[:12]}…", kind)
        estimator: Any = kind(
            **{**document["parameters"], "class_weight": _weights(document["class_weight"])}
        )
        spec = parse_spec(document["spec"])
        classes = document["classes"]
        # Objects are strings or numbers that JSON has kept apart.
        estimator.classes_ = np.array(classes["values"], dtype=np.dtype(classes["dtype"]))
        for name, value in document["fitted"].items():
            setattr(estimator, name, np.array(value) if name in _ARRAYS else value)
        estimator.spec_ = spec
        estimator.network_ = _network(spec, weights, tuple(document["lengths"]))
        if (folder / TOKENIZER).exists():
            estimator.vocabulary_ = Vocabulary.load(folder / TOKENIZER)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, DataError):
            raise
        raise _foreign(path, f"cannot be read, {error}", kind) from None
    return estimator  # type: ignore[no-any-return]


def _network(spec: Any, weights: dict[str, Any], lengths: tuple[int, ...]) -> Any:
    from unrolled.estimators.fitted import FittedNetwork
    from unrolled.models.linear import LinearModel

    return FittedNetwork(spec, weights, lengths) if spec.neural else LinearModel(spec, **weights)


def _write_run(estimator: Any, folder: Path, sha256: str) -> None:
    """Plan and record of a run, which `unrolled predict`, `export` and `serve` take."""
    name = estimator.spec_.architecture
    plan = RunPlan(
        run_id=f"{name}-estimator",
        model=estimator.spec_.model_dump(),
        training=TrainingSettings(),
        classes=tuple(map(str, estimator.classes_.tolist())),
        data_sha256=estimator.data_sha256_,
        data="data",
    )
    record = RunRecord(
        run_id=plan.run_id,
        architecture=name,
        seed=0,
        status="done",
        parameters=sum(array.size for array in estimator.network_.weights_by_name().values()),
        chosen_epoch=estimator.best_epoch_,
        weights_sha256=sha256,
    )
    write_model(folder / PLAN, plan)
    write_model(folder / RECORD, record)


def _weights(stored: Any) -> Any:
    return dict(stored) if isinstance(stored, list) else stored


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value


def _foreign(path: Path, what: str, kind: type[Any]) -> DataError:
    return DataError(
        str(path),
        f"not a saved {kind.__name__} ({what})",
        expected=f"a folder that {kind.__name__}.save wrote",
        action="fit and save it again",
    )
