"""Many runs: models × seeds on one data set, in one folder that can be gone on with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from unrolled.data.storage import save_encoded, write_atomically
from unrolled.errors import BusyError, DataError, UsageError
from unrolled.models import Architecture, ModelSpec, parse_spec
from unrolled.training.record import (
    PLAN,
    TOKENIZER,
    Epoch,
    RunPlan,
    RunRecord,
    read_history,
    read_plan,
    read_record,
    write_model,
)
from unrolled.training.settings import Protocol, plan_settings, plan_spec
from unrolled.types import EncodedDataset

CONFIG = "config.toml"
DATA = "data"
RUNS = "runs"
LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a study: where it lives, what it is to do, and how far it is."""

    folder: Path
    plan: RunPlan
    record: RunRecord | None
    history: tuple[Epoch, ...]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do; a failed run is worth another try."""
        return self.record is not None and self.record.status != "failed"


@dataclass(frozen=True, slots=True)
class Study:
    """A prepared study.

    Args:
        folder: everything lives below it.
        protocol: the protocol of all runs.
        data: the encoded corpus.
        plans: one per model and seed.
        single: whether the folder is the one run's own.
    """

    folder: Path
    protocol: Protocol
    data: EncodedDataset
    plans: tuple[RunPlan, ...]
    single: bool = False

    def runs(self) -> tuple[Run, ...]:
        """All runs as they stand on disk now."""
        return tuple(self.run(plan) for plan in self.plans)

    def run_folder(self, plan: RunPlan) -> Path:
        """Where a run lives."""
        return self.folder if self.single else self.folder / RUNS / plan.run_id

    def run(self, plan: RunPlan) -> Run:
        """One run as it stands on disk now."""
        folder = self.run_folder(plan)
        return Run(folder, plan, read_record(folder), read_history(folder))


def plan_runs(
    architectures: Sequence[Architecture],
    data: EncodedDataset,
    protocol: Protocol,
    *,
    num_seeds: int,
    first_seed: int = 0,
    epochs: int | None = None,
    model_settings: Mapping[str, Any] | None = None,
) -> tuple[RunPlan, ...]:
    """The plans for every architecture and seed, seed by seed.

    Seed by seed means that after the first round every model has a figure. A model without randomness
    runs once: repeating it would show a spread of zero and call it certainty.

    Args:
        architectures: rows of the zoo.
        data: the encoded corpus.
        protocol: as in :class:`TrainingSettings`.
        num_seeds: runs per architecture.
        first_seed: the seeds are this one and those that follow.
        epochs: overrides the protocol's number of epochs.
        model_settings: fields of the specs, applied to the networks that have them.
    """
    plans = []
    for seed in range(first_seed, first_seed + num_seeds):
        for architecture in architectures:
            if seed > first_seed and not architecture.spec.neural:
                continue
            spec = _spec(architecture, data, protocol, model_settings or {})
            settings = plan_settings(
                architecture, protocol, num_train=len(data.train), seed=seed, epochs=epochs
            )
            plans.append(
                RunPlan(
                    run_id=f"{architecture.name}-seed{seed}",
                    model=spec.model_dump(),
                    training=settings,
                    classes=data.classes,
                    data_sha256=data.sha256,
                    data=f"../../{DATA}",
                )
            )
    return tuple(plans)


def _spec(
    architecture: Architecture, data: EncodedDataset, protocol: Protocol, settings: Mapping[str, Any]
) -> ModelSpec:
    fields = architecture.spec.model_fields if architecture.spec.neural else {}
    return plan_spec(architecture, protocol, data, **{k: v for k, v in settings.items() if k in fields})


def prepare_study(
    folder: Path, data: EncodedDataset, vocabulary: Any, protocol: Protocol, plans: Sequence[RunPlan]
) -> Study:
    """Lays out a study's folder, or finds it as an earlier call of the same study left it.

    More models or seeds may be added to a study; a run that is already there must be planned the same.

    Args:
        folder: made if it is not there.
        data: the encoded corpus.
        vocabulary: saved as ``tokenizer.json``; None for data that came as token ids.
        protocol: of all runs.
        plans: what is to be run.

    Raises:
        UsageError: the folder holds another study.
        MachineError: the disk refuses.
    """
    return _prepare(Study(folder, protocol, data, tuple(plans)), vocabulary)


def prepare_run(
    folder: Path, data: EncodedDataset, vocabulary: Any, protocol: Protocol, plan: RunPlan
) -> Study:
    """As :func:`prepare_study` for a single run, which lives in ``folder`` itself beside its data."""
    own = plan.model_copy(update={"data": DATA})
    return _prepare(Study(folder, protocol, data, (own,), single=True), vocabulary)


def _prepare(study: Study, vocabulary: Any) -> Study:
    for plan in study.plans:
        run_folder = study.run_folder(plan)
        if (run_folder / PLAN).exists() and _whole(read_plan(run_folder)) != _whole(plan):
            raise UsageError(
                str(study.folder),
                f"the folder holds other work ({plan.run_id} is planned differently there)",
                expected="the data, protocol and settings that it began with",
                action="another --out folder, or delete this one",
            )
    save_encoded(study.data, study.folder / DATA)
    tokenizer = study.folder / TOKENIZER
    if vocabulary is not None:
        vocabulary.save(tokenizer)
    for plan in study.plans:
        run_folder = study.run_folder(plan)
        run_folder.mkdir(parents=True, exist_ok=True)
        write_model(run_folder / PLAN, plan)
        if vocabulary is not None and not study.single:
            _link(tokenizer, run_folder / TOKENIZER)
    write_atomically(study.folder / CONFIG, _config(study.data, study.protocol, study.plans).encode())
    return study


def _whole(plan: RunPlan) -> RunPlan:
    """The plan with every setting of its model written out, those that are younger than its file too."""
    return plan.model_copy(update={"model": parse_spec(plan.model).model_dump()})


@contextmanager
def lease(folder: Path) -> Any:
    """Holds a study's folder for this process while the block runs; a dead process holds nothing.

    Raises:
        BusyError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            str(folder),
            "another process is working in this folder",
            expected="one study at a time in a folder",
            action="wait until it is done, or choose another --out folder",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _config(data: EncodedDataset, protocol: Protocol, plans: Sequence[RunPlan]) -> str:
    """Everything that was decided, as TOML; models and training settings once per run."""
    document = {
        "protocol": protocol,
        "dataset": {"name": data.name, "sha256": data.sha256, "classes": list(data.classes)},
        "runs": {
            plan.run_id: {
                "model": plan.model,
                "training": plan.training.model_dump(mode="json", exclude_none=True),
            }
            for plan in plans
        },
    }
    return tomli_w.dumps(document)


def _link(source: Path, target: Path) -> None:
    """Makes ``target`` the same file as ``source``, as a copy where the file system has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def check_study(folder: Path) -> None:
    """Raises DataError unless ``folder`` holds a study."""
    if not (folder / CONFIG).exists():
        raise DataError(
            str(folder),
            "not a study's folder (it holds no config.toml)",
            expected="a folder that `unrolled lab` made",
            action="unrolled lab --out FOLDER",
        )
