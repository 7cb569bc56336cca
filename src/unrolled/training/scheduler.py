"""Keeps as many worker processes busy as there are cores, and hears what they report."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.cache import cache_folder
from unrolled.errors import MachineError
from unrolled.training.device import group_seeds, sees_gpu
from unrolled.training.memory import KEPT_MEMORY
from unrolled.training.record import LOG, RECORD, RunPlan, read_record, write_model
from unrolled.training.worker import STOPPED_STATUS, failed_record

# A worker that was asked to stop saves its state after a training step, on a GPU after a program of a few
# seconds; this is beyond both. One that is just compiling is killed, and goes on from its last checkpoint.
STOP_SECONDS = 10.0


def worker_environment(environment: Mapping[str, str], threads: int = 1) -> dict[str, str]:
    """The environment of a worker: one thread everywhere, or ``threads`` for the kernels.

    One run per core with one thread each is the highest throughput. XLA's own products stay on one thread
    in any case: on several, the order of their sums changes from run to run, and with it the bits.
    """
    flags = [environment.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false"]
    return {
        **environment,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": " ".join(flag for flag in flags if flag),
        "NPROC": str(threads),
        "UNROLLED_THREADS": str(threads),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "GLIBC_TUNABLES": ":".join(filter(None, (environment.get("GLIBC_TUNABLES"), *KEPT_MEMORY))),
        # Workers may have to share a GPU: none may take most of its memory in advance.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONUNBUFFERED": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # The next seed, and the next study, find the same programs compiled.
        "JAX_COMPILATION_CACHE_DIR": str(cache_folder("programs")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


@dataclass(slots=True)
class _Worker:
    plans: tuple[RunPlan, ...]
    folder: Path
    process: subprocess.Popen[bytes]
    reason: str = ""


class Scheduler:
    """Runs plans in worker processes.

    Args:
        folder_of: gives the folder of a plan.
        report: receives (plan, event) for every event of every worker; "started" and "ended" are added.
        num_workers: processes side by side; None for one per core that this process may use.
        on_gpu: whether workers have a GPU, which a worker then has to itself unless ``num_workers`` says
            otherwise, and in which seeds of one network share a worker; None to find out.
    """

    def __init__(
        self,
        folder_of: Callable[[RunPlan], Path],
        report: Callable[[RunPlan, dict[str, Any]], None],
        *,
        num_workers: int | None = None,
        on_gpu: bool | None = None,
    ) -> None:
        self._folder_of, self._report = folder_of, report
        self._on_gpu = sees_gpu() if on_gpu is None else on_gpu
        self.num_workers = num_workers or default_workers(on_gpu=self._on_gpu)
        self._events: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()

    def run(self, plans: Sequence[RunPlan]) -> None:
        """Runs all plans to their end.

        A run that fails is recorded as failed, and the others go on. A disk that refuses ends them all.

        Raises:
            KeyboardInterrupt: Ctrl-C; every worker has saved its state first.
            MachineError: the disk refuses.
        """
        waiting = group_seeds(plans) if self._on_gpu else [(plan,) for plan in plans]
        active: list[_Worker] = []
        try:
            while waiting or active:
                while waiting and len(active) < self.num_workers:
                    active.append(self._start(waiting.pop(0)))
                worker, event = self._events.get()
                if event is not None:
                    self._note(worker, event)
                    continue
                active.remove(worker)
                waiting = self._end(worker) + waiting
        except BaseException:
            self._stop(active)
            raise

    def _start(self, plans: tuple[RunPlan, ...]) -> _Worker:
        folders = [self._folder_of(plan) for plan in plans]
        # What a worker of several says is in the log of the first.
        folder = folders[0]
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "unrolled.training.worker", *map(str, folders)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=worker_environment(os.environ, plans[0].training.threads),
            )
        worker = _Worker(plans, folder, process)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        for plan in plans:
            self._report(plan, {"event": "started", "together": len(plans)})
        return worker

    def _listen(self, worker: _Worker) -> None:
        stream = worker.process.stdout
        for line in stream if stream is not None else ():
            try:
                event = json.loads(line)
            except ValueError:
                # A library that prints to standard output; its words belong to the log.
                with (worker.folder / LOG).open("ab") as log:
                    log.write(line)
                continue
            self._events.put((worker, event))
        worker.process.wait()
        for pipe in (worker.process.stdin, worker.process.stdout):
            if pipe is not None:
                pipe.close()
        self._events.put((worker, None))

    def _note(self, worker: _Worker, event: dict[str, Any]) -> None:
        if event["event"] == "failed":
            worker.reason = event["reason"]
            if event["disk"]:
                raise MachineError(
                    worker.plans[0].run_id,
                    worker.reason.rstrip("."),
                    action="mend the disk, then run the same command again: it goes on where it stopped",
                )
        # An event of a worker of several names its run; what names none is about all of them.
        about = event.get("run_id")
        for plan in worker.plans:
            if about is None or about == plan.run_id:
                self._report(plan, event)

    def _end(self, worker: _Worker) -> list[tuple[RunPlan, ...]]:
        """Notes how a worker ended; what is to be tried again, each run by itself.

        Of several runs, one whose files are damaged, or the memory that all need together, ends all.
        """
        status = worker.process.returncode
        again: list[tuple[RunPlan, ...]] = []
        if status not in (0, STOPPED_STATUS):
            reason = worker.reason or _death(status, worker.folder / LOG)
            left = [plan for plan in worker.plans if not self._is_finished(plan)]
            if len(worker.plans) > 1:
                again = [(plan,) for plan in left]
            else:
                for plan in left:
                    write_model(self._folder_of(plan) / RECORD, failed_record(plan, reason))
        for plan in worker.plans:
            if (plan,) not in again:
                self._report(plan, {"event": "ended", "status": status, "reason": worker.reason})
        return again

    def _is_finished(self, plan: RunPlan) -> bool:
        record = read_record(self._folder_of(plan))
        return record is not None and record.status != "failed"

    def _stop(self, active: Sequence[_Worker]) -> None:
        for worker in active:
            worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in active:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def default_workers(*, on_gpu: bool) -> int:
    """Processes side by side: one for each core, or the one that has the GPU."""
    return 1 if on_gpu else usable_cores()


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _death(status: int, log: Path) -> str:
    """Why a worker ended without a word of its own."""
    if status < 0:
        cause = "out of memory, most likely" if status == -9 else "a crash"
        return f"the process was ended by signal {-status} ({cause}); see {log}"
    return f"the process ended with status {status}; see {log}"
