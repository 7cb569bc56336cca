"""A process that trains one run, or several seeds: ``python -m unrolled.training.worker FOLDER ...``.

Events leave as JSON lines on standard output. SIGTERM saves the state and ends with status 143; the end of
standard input, which is how a parent's death shows, ends it at once: the last checkpoint stands anyway.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from unrolled.data.storage import load_encoded
from unrolled.errors import DataError, MachineError, UnrolledError
from unrolled.models import parse_spec
from unrolled.training.checkpoint import drop_checkpoints
from unrolled.training.record import RECORD, RunPlan, RunRecord, read_plan, write_model
from unrolled.types import EncodedDataset

STOPPED_STATUS = 143
EVENT_SECONDS = 0.2


def train_run(
    folder: Path,
    *,
    report: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> RunRecord:
    """Trains the run that is planned in ``folder`` and writes its record, weights and test predictions.

    Args:
        folder: holds ``run.json``; a checkpoint there is gone on from.
        report: receives progress events.
        should_stop: asked after every step.

    Returns:
        The record. A run whose loss stops being a number gets one too, marked "diverged".

    Raises:
        StoppedError: ``should_stop`` said so; running again goes on.
        DataError: the data set or every checkpoint is damaged.
        MachineError: the disk refuses.
    """
    plan = read_plan(folder)
    spec = parse_spec(plan.model)
    data = _load_data(folder, plan)
    if spec.neural:
        from unrolled.training.neural import train_neural

        record = train_neural(folder, plan, spec, data, report=report, should_stop=should_stop)
    else:
        from unrolled.training.baseline import train_baseline

        record = train_baseline(folder, plan, spec, data, report=report)
    _keep(folder, record)
    return record


def train_runs(
    folders: Sequence[Path],
    *,
    report: Callable[[dict[str, Any]], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[RunRecord]:
    """As :func:`train_run` for runs of a network that differ in nothing but their seed, in one program.

    Events carry the ``run_id`` that they are about; ``should_stop`` is asked every few steps.
    """
    from unrolled.training.neural import train_together

    plans = [read_plan(folder) for folder in folders]
    data = _load_data(folders[0], plans[0])
    runs = list(zip(folders, plans, strict=True))
    records: dict[str, RunRecord] = {}

    def keep(folder: Path, record: RunRecord) -> None:
        _keep(folder, record)
        records[record.run_id] = record

    train_together(runs, parse_spec(plans[0].model), data, report=report, should_stop=should_stop, keep=keep)
    return [records[plan.run_id] for plan in plans]


def _keep(folder: Path, record: RunRecord) -> None:
    """Writes a record; only then is there nothing left to go on with."""
    write_model(folder / RECORD, record)
    if record.status == "done":
        drop_checkpoints(folder)


def _load_data(folder: Path, plan: RunPlan) -> EncodedDataset:
    data = load_encoded(folder / plan.data)
    if data.sha256 != plan.data_sha256:
        raise DataError(
            str(folder),
            f"the data set is not the planned one (got sha256={data.sha256[:12]}…)",
            expected=f"sha256={plan.data_sha256[:12]}…",
            action="another --out folder for other data",
        )
    return data


def failed_record(plan: RunPlan, reason: str) -> RunRecord:
    """The record of a run that ended in an error."""
    return RunRecord(
        run_id=plan.run_id,
        architecture=plan.model["architecture"],
        seed=plan.training.seed,
        status="failed",
        reason=reason,
    )


def _watch_parent() -> None:
    # The parent holds the other end of our standard input and never writes: reading returns when it dies.
    # Unbuffered, since a thread inside sys.stdin's lock would abort the interpreter when it shuts down.
    os.read(0, 1)
    os._exit(STOPPED_STATUS)


class _Reporter:
    """Prints events as JSON lines; step events of a run at most five times a second."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if event["event"] == "step":
            about = event.get("run_id", "")
            if now - self._last.get(about, -EVENT_SECONDS) < EVENT_SECONDS:
                return
            self._last[about] = now
        print(json.dumps(event), flush=True)


def main(arguments: list[str]) -> int:
    """Trains the runs in the folders that ``arguments`` name; returns the exit status."""
    from unrolled.training.engine import StoppedError

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C reaches the whole foreground group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, daemon=True).start()
    folders = [Path(argument) for argument in arguments]
    report = _Reporter()
    try:
        if _goes_together(folders):
            records = train_runs(folders, report=report, should_stop=stop.is_set)
        else:
            records = [train_run(folders[0], report=report, should_stop=stop.is_set)]
    except StoppedError:
        report({"event": "stopped"})
        return STOPPED_STATUS
    except (UnrolledError, MemoryError) as error:
        reason = str(error) or "out of memory"
        report({"event": "failed", "reason": reason, "disk": isinstance(error, MachineError)})
        return error.exit_code if isinstance(error, UnrolledError) else 1
    for record in records:
        report({"event": "done", "status": record.status, "reason": record.reason, "run_id": record.run_id})
    return 0


def _goes_together(folders: Sequence[Path]) -> bool:
    """Whether the device keeps data and states: for several seeds, and for any network on a GPU."""
    if len(folders) > 1:
        return True
    from unrolled.training.device import computes_on_gpu

    return parse_spec(read_plan(folders[0]).model).neural and computes_on_gpu()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
