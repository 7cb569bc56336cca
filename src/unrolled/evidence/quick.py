"""The measures that `unrolled lab` takes by itself: cheap ones, of the models that the lab asks about."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from unrolled.errors import UnrolledError

MEASURES = ("gradients", "learning", "order", "memory", "length")
MODELS = ("linear", "dense", "embedding_dense", "cnn", "simple_rnn", "gru", "lstm")
ALLOWED_SECONDS = 40.0


def analyse_quickly(
    folder: Path, *, num_workers: int | None = None, allowed_seconds: float = ALLOWED_SECONDS
) -> tuple[str, ...]:
    """Takes the cheap measures of a finished study side by side; the caller holds its lease.

    What is current for the whole study is left alone. A measure that has not begun when the time is over is
    left out; `unrolled analyse` takes it, and all models, later.

    Args:
        folder: the study's.
        num_workers: processes; one for each core when None.
        allowed_seconds: after these no further measure begins.

    Returns:
        A sentence for each measure that is not there, and why.
    """
    from unrolled.training.scheduler import usable_cores

    notes = []
    end = time.monotonic() + allowed_seconds
    context = get_context("spawn")
    workers = min(num_workers or usable_cores(), len(MEASURES))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare) as pool:
        waiting = list(MEASURES)
        running: dict[Future[None], str] = {}
        while waiting or running:
            # Submitted one by one, so that none lies in a queue when the time is over.
            while waiting and len(running) < workers:
                name = waiting.pop(0)
                if time.monotonic() >= end:
                    notes.append(f"{name}: left out for time; unrolled analyse {folder} --only {name}")
                    continue
                try:
                    running[pool.submit(_take, folder, name)] = name
                except BrokenProcessPool:
                    notes.append(f"{name}: not taken, a process for measures died")
            done = wait(running, return_when="FIRST_COMPLETED").done if running else set()
            for future in done:
                name = running.pop(future)
                try:
                    future.result()
                except (UnrolledError, BrokenProcessPool, MemoryError) as error:
                    notes.append(f"{name}: not taken: {error}")
    return tuple(notes)


def _prepare() -> None:
    """One thread in this process, before anything loads a framework."""
    from unrolled.training.scheduler import worker_environment

    os.environ.update(worker_environment(os.environ))


def _take(folder: Path, name: str, models: Sequence[str] = MODELS) -> None:
    from unrolled.evidence.findings import is_current
    from unrolled.evidence.measures import analyse_study, fingerprint, select_measures
    from unrolled.evidence.subjects import open_study

    study = open_study(folder)
    chosen = select_measures([name])
    if is_current(folder, name, fingerprint(chosen[0], study)):
        return
    subjects = tuple(subject for subject in study.subjects if subject.name in models)
    analyse_study(replace(study, subjects=subjects or study.subjects), chosen)
