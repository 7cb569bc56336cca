"""What a run leaves behind, as files that anyone can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from unrolled.data.storage import write_atomically
from unrolled.errors import DataError
from unrolled.training.settings import TrainingSettings

PLAN = "run.json"
RECORD = "record.json"
HISTORY = "history.json"
WEIGHTS = "weights.safetensors"
PREDICTIONS = "predictions.npy"
TOKENIZER = "tokenizer.json"
LOG = "worker.log"

Status = Literal["done", "diverged", "failed"]
M = TypeVar("M", bound=BaseModel)


class RunPlan(BaseModel):
    """What a run is to do, written before it starts.

    Args:
        run_id: the run's name within its study.
        model: the spec, as :func:`unrolled.models.parse_spec` reads it.
        training: the settings.
        classes: label names in index order.
        data_sha256: digest of the data set.
        data: folder of the encoded data set, relative to the run's folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    model: dict[str, Any]
    training: TrainingSettings
    classes: tuple[str, ...]
    data_sha256: str
    data: str


class Epoch(BaseModel):
    """One line of a run's history. Losses in nats, accuracies as shares, times in seconds.

    With class weights, losses are weighted and ``validation_balanced_accuracy`` is what the best epoch is
    chosen by; it is None without them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    validation_seconds: float
    validation_balanced_accuracy: float | None = None


class Latency(BaseModel):
    """Milliseconds from one sequence of token ids to its probabilities, at batch size 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50: float
    p95: float


class RunRecord(BaseModel):
    """How a run ended.

    Args:
        run_id: as planned.
        architecture: the registry name.
        seed: as planned.
        status: "done"; "diverged" when the loss stopped being a number; "failed" for any other end.
        reason: why a run diverged or failed.
        parameters: weights of the model, counted as numbers.
        chosen_epoch: the epoch whose weights were kept, from 1.
        test_accuracy: share of test items right, with those weights.
        test_loss: mean cross-entropy on the test part, in nats.
        weights_sha256: digest over the weights' names, shapes and bytes.
        compile_seconds: time to compile, apart from training.
        seconds_per_epoch: training time of every epoch, without validation.
        peak_memory_bytes: most memory the run's process ever held.
        latency_ms: time for one sequence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    architecture: str
    seed: int
    status: Status
    reason: str = ""
    parameters: int | None = None
    chosen_epoch: int | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    weights_sha256: str | None = None
    compile_seconds: float | None = None
    seconds_per_epoch: tuple[float, ...] = ()
    peak_memory_bytes: int | None = None
    latency_ms: Latency | None = None


def write_model(path: Path, model: BaseModel) -> None:
    """Writes a record as JSON, whole or not at all."""
    write_atomically(path, (model.model_dump_json(indent=1) + "\n").encode())


def read_plan(folder: Path) -> RunPlan:
    """The plan in a run's folder.

    Raises:
        DataError: there is none, or it is not one of this version.
    """
    return _read(folder / PLAN, RunPlan)


def read_record(folder: Path) -> RunRecord | None:
    """The record in a run's folder; None while the run has not ended."""
    path = folder / RECORD
    return _read(path, RunRecord) if path.exists() else None


def read_history(folder: Path) -> tuple[Epoch, ...]:
    """The epochs a run has finished so far."""
    path = folder / HISTORY
    if not path.exists():
        return ()
    return tuple(Epoch.model_validate(line) for line in json.loads(path.read_text("utf-8")))


def write_history(folder: Path, history: tuple[Epoch, ...]) -> None:
    """Writes all epochs so far, whole or not at all."""
    lines = ",\n ".join(epoch.model_dump_json() for epoch in history)
    write_atomically(folder / HISTORY, f"[{lines}]\n".encode())


def _read(path: Path, kind: type[M]) -> M:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            str(path.parent),
            f"not a run's folder (it holds no {path.name})",
            expected="a folder that `unrolled train` or `unrolled lab` made",
            action="a folder below runs/ of a study",
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            str(path),
            f"{'.'.join(map(str, first['loc'])) or 'the content'}: {first['msg']}",
            expected=f"the {kind.__name__} of this version",
            action="run again with this version, in a new folder",
        ) from None
