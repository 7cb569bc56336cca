"""A study that fits into a given time: the speed of every model is measured first, then the study is cut."""

from __future__ import annotations

import heapq
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from unrolled.data.storage import save_encoded, write_atomically
from unrolled.training.record import PLAN, RunPlan, write_model
from unrolled.training.scheduler import worker_environment
from unrolled.training.study import DATA
from unrolled.types import EncodedDataset

FEWEST_EPOCHS = 3
PLAN_FILE = "time-plan.json"
_PROBES = "probes"
# Two runs side by side disturb each other more, and less evenly, than a few probed steps show.
_RESERVE = 0.9
_MEASURING = 1 / 3


@dataclass(frozen=True, slots=True)
class Speed:
    """What a run of one model takes.

    Args:
        fixed_seconds: start of its process, compilation, test and latency.
        epoch_seconds: one epoch with its validation; 0 for the baseline, whose fit is in ``fixed_seconds``
            and which runs once.
    """

    fixed_seconds: float
    epoch_seconds: float

    def run_seconds(self, epochs: int) -> float:
        """One run that trains all its epochs."""
        return self.fixed_seconds + epochs * self.epoch_seconds


@dataclass(frozen=True, slots=True)
class TimePlan:
    """What is left of a study.

    Args:
        names: models, in the order asked for.
        num_seeds: runs of each network.
        epochs: at most.
        expected_seconds: from the start of training, if no run stops early.
        fits: whether that is within the time.
        remarks: what was dropped and why, as sentences; none when everything fits.
    """

    names: tuple[str, ...]
    num_seeds: int
    epochs: int
    expected_seconds: float
    fits: bool
    remarks: tuple[str, ...]

    def account_for(self, measured: Measured) -> TimePlan:
        """The same plan with a word on the models that were not measured.

        A failed probe says nothing about time: that model is run all the same, and its run says why.
        """
        remarks = list(self.remarks)
        if measured.skipped:
            remarks.append(f"without {', '.join(measured.skipped)}, which there was no time to measure")
        if measured.failed:
            remarks.append(f"with {', '.join(measured.failed)}, whose speed could not be measured")
        return replace(self, names=(*self.names, *measured.failed), remarks=tuple(remarks))

    def sentence(self, allowed: str) -> str:
        """What was decided, for whoever waits."""
        size = f"{len(self.names)} models, {self.num_seeds} seeds, at most {self.epochs} epochs"
        start = f"to fit into {allowed}: {'; '.join(self.remarks)}. " if self.remarks else ""
        tail = f"{start}{size}: about {self.expected_seconds:.0f} s of training if no run stops early."
        if not self.fits:
            tail += f" This is more than {allowed} leaves, and less is no comparison."
        return f"time: {tail}"


@dataclass(frozen=True, slots=True)
class Measured:
    """Speeds by architecture, in the order of the study; which probes failed, and which were not begun."""

    speeds: dict[str, Speed]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


def measure_speeds(
    folder: Path, data: EncodedDataset, plans: Sequence[RunPlan], *, seconds: float, num_workers: int
) -> Measured:
    """The speed of the planned architectures, with as many processes side by side as the study has.

    Measuring takes time from the study: once a third of it is spent no further probe begins, beyond the
    first two models.

    Args:
        folder: the study's; the encoded data is written there, where the study expects it.
        data: the encoded corpus.
        plans: the first of each architecture is probed.
        seconds: what is left for measuring and training together.
        num_workers: processes side by side.
    """
    save_encoded(data, folder / DATA)
    first: dict[str, RunPlan] = {}
    for plan in plans:
        first.setdefault(str(plan.model["architecture"]), plan)

    skipped: list[str] = []
    started = time.monotonic()

    def probe(name: str) -> Speed | None:
        if time.monotonic() - started > seconds * _MEASURING and name not in list(first)[:2]:
            skipped.append(name)
            return None
        place = folder / _PROBES / name
        place.mkdir(parents=True, exist_ok=True)
        write_model(place / PLAN, first[name])
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "unrolled.training.probe", str(place)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=worker_environment(os.environ),
        )
        whole = time.monotonic() - begin
        if done.returncode:
            return None
        found = json.loads(done.stdout.splitlines()[-1])
        start = max(0.0, whole - found["work"])
        return Speed(start + found["fixed"], found["epoch"])

    try:
        with ThreadPoolExecutor(num_workers) as pool:
            speeds = dict(zip(first, pool.map(probe, first), strict=True))
    finally:
        shutil.rmtree(folder / _PROBES, ignore_errors=True)
    return Measured(
        {name: speed for name, speed in speeds.items() if speed is not None},
        tuple(name for name, speed in speeds.items() if speed is None and name not in skipped),
        tuple(name for name in first if name in skipped),
    )


def fit_into_time(
    speeds: Mapping[str, Speed], seconds: float, *, num_seeds: int, epochs: int, num_workers: int
) -> TimePlan:
    """The largest part of a study that fits into ``seconds``.

    Dropped in this order, each only as far as needed: seeds, down to one; epochs, down to three; then whole
    networks, the slowest first. What then fits again is given back, epochs before seeds. The baseline and
    one network stay, whatever they take.

    Args:
        speeds: by architecture, in the order of the study.
        seconds: from the start of training.
        num_seeds: runs asked for.
        epochs: epochs asked for.
        num_workers: runs side by side.
    """
    names, seeds, most = list(speeds), num_seeds, epochs

    def takes() -> float:
        return _makespan([speeds[name] for name in names], seeds, most, num_workers)

    def too_long() -> bool:
        return takes() > seconds * _RESERVE

    def raise_while_it_fits(value: Callable[[int], None], top: int, now: int) -> None:
        for more in range(now + 1, top + 1):
            value(more)
            if too_long():
                value(more - 1)
                return

    def set_epochs(value: int) -> None:
        nonlocal most
        most = value

    def set_seeds(value: int) -> None:
        nonlocal seeds
        seeds = value

    while too_long() and seeds > 1:
        seeds -= 1
    while too_long() and most > min(FEWEST_EPOCHS, epochs):
        most -= 1
    dropped = []
    while too_long() and sum(speeds[name].epoch_seconds > 0 for name in names) > 1:
        slowest = max(
            names, key=lambda name: (speeds[name].epoch_seconds > 0, speeds[name].run_seconds(most))
        )
        names.remove(slowest)
        dropped.append(slowest)
    raise_while_it_fits(set_epochs, epochs, most)
    raise_while_it_fits(set_seeds, num_seeds, seeds)
    remarks = []
    if seeds < num_seeds:
        remarks.append(f"{seeds} instead of {num_seeds} seeds")
    if most < epochs:
        remarks.append(f"at most {most} instead of {epochs} epochs")
    if dropped:
        remarks.append(f"without {', '.join(dropped)}")
    return TimePlan(tuple(names), seeds, most, takes(), not too_long(), tuple(remarks))


def _makespan(speeds: Sequence[Speed], num_seeds: int, epochs: int, num_workers: int) -> float:
    """When the last run ends if each takes the next free worker, seed by seed as the study does."""
    free = [0.0] * num_workers
    for seed in range(num_seeds):
        for speed in speeds:
            if seed == 0 or speed.epoch_seconds > 0:
                heapq.heapreplace(free, free[0] + speed.run_seconds(epochs))
    return max(free)


def save_time_plan(folder: Path, key: str, plan: TimePlan) -> None:
    """Keeps a plan, so that a study that is gone on with keeps to it whatever the clock says now."""
    write_atomically(folder / PLAN_FILE, json.dumps({"key": key, **asdict(plan)}, indent=1).encode())


def load_time_plan(folder: Path, key: str) -> TimePlan | None:
    """The plan that was kept under ``key``, which names data and settings; None where there is none."""
    try:
        found = json.loads((folder / PLAN_FILE).read_bytes())
        if found.pop("key") != key:
            return None
        return TimePlan(**{**found, "names": tuple(found["names"]), "remarks": tuple(found["remarks"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
