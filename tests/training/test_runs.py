"""Runs stop, die, go on, diverge and fail as promised."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unrolled.errors import BusyError, DataError, UsageError
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.engine import StoppedError
from unrolled.training.fitted import load_run
from unrolled.training.network import score
from unrolled.training.record import PREDICTIONS, WEIGHTS, read_history, read_record
from unrolled.training.scheduler import Scheduler, worker_environment
from unrolled.training.study import lease
from unrolled.training.worker import STOPPED_STATUS, train_run


def train(study, index: int = 0, **options):
    return train_run(study.run_folder(study.plans[index]), **options)


def at_rate(plan, learning_rate: float):
    """The plan with another learning rate."""
    return plan.model_copy(
        update={"training": plan.training.model_copy(update={"learning_rate": learning_rate})}
    )


def start_worker(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "unrolled.training.worker", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(os.environ),
    )


def finish(worker: subprocess.Popen[bytes]) -> None:
    """Waits until a worker has ended well; its standard input stays open, or it would think us dead."""
    assert worker.stdout is not None
    out = worker.stdout.read()
    assert worker.wait(30) == 0, out
    worker.communicate()


def wait_for(worker: subprocess.Popen[bytes], event: str, count: int = 1) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        count -= json.loads(line)["event"] == event
        if not count:
            return
    raise AssertionError(f"the worker ended before {event}")


def test_a_run_learns_and_its_files_agree(make_study, corpus) -> None:
    study = make_study("lstm", epochs=12, change=lambda plan: at_rate(plan, 2e-2))
    record = train(study)
    folder = study.run_folder(study.plans[0])
    assert record.status == "done"
    assert record == read_record(folder)
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.9, "token 4 + label stands in every sequence"
    history = read_history(folder)
    assert [epoch.epoch for epoch in history] == list(range(1, len(history) + 1))
    best = max(history, key=lambda epoch: (epoch.validation_accuracy, -epoch.validation_loss))
    assert record.chosen_epoch == best.epoch
    assert load_checkpoint(folder) is None

    predictions = np.load(folder / PREDICTIONS)
    loss, accuracy = score(predictions, corpus.test.labels)
    assert (loss, accuracy) == (record.test_loss, record.test_accuracy)
    np.testing.assert_allclose(load_run(folder).predict_tokens(corpus.test.tokens), predictions, atol=1e-6)


def test_altered_weights_are_refused(make_study) -> None:
    study = make_study("dense", epochs=1)
    train(study)
    path = study.run_folder(study.plans[0]) / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="has changed"):
        load_run(path.parent)


@pytest.mark.parametrize("protocol", ["standard", pytest.param("notebook", marks=pytest.mark.slow)])
def test_stopping_at_any_step_changes_no_bit(make_study, tmp_path: Path, protocol: str) -> None:
    options = {"protocol": protocol, "epochs": 3}
    whole = train(make_study("cnn_gru_dropout", folder=tmp_path / "whole", **options))
    study = make_study("cnn_gru_dropout", folder=tmp_path / "broken", **options)
    stops = 0
    for patience in (3, 1, 9, 4):
        calls = iter(range(1000))
        try:
            train(study, should_stop=lambda calls=calls, patience=patience: next(calls) >= patience)
        except StoppedError:
            stops += 1
    assert stops >= 2
    record = train(study)
    assert record.weights_sha256 == whole.weights_sha256
    assert record.test_loss == whole.test_loss
    histories = [read_history(tmp_path / name / "runs" / record.run_id) for name in ("whole", "broken")]
    dropped = {"seconds", "validation_seconds"}
    mine, theirs = ([epoch.model_dump(exclude=dropped) for epoch in history] for history in histories)
    assert mine == theirs


def test_killed_and_started_again_ends_with_the_same_weights(make_study, tmp_path: Path) -> None:
    whole = make_study("lstm", folder=tmp_path / "whole", epochs=4)
    worker = start_worker(whole.run_folder(whole.plans[0]))
    finish(worker)
    study = make_study("lstm", folder=tmp_path / "killed", epochs=4)
    folder = study.run_folder(study.plans[0])
    for event in ("epoch", "step"):
        worker = start_worker(folder)
        wait_for(worker, event)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    assert read_record(folder) is None
    worker = start_worker(folder)
    finish(worker)
    records = [read_record(one.run_folder(one.plans[0])) for one in (whole, study)]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].weights_sha256 == records[1].weights_sha256


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_killed_at_thirty_random_moments_ten_times(make_study, tmp_path: Path, seed: int) -> None:
    whole = make_study("lstm", folder=tmp_path / "whole", epochs=40)
    worker = start_worker(whole.run_folder(whole.plans[0]))
    finish(worker)
    study = make_study("lstm", folder=tmp_path / "killed", epochs=40)
    folder = study.run_folder(study.plans[0])
    rng = np.random.default_rng(seed)
    for _ in range(30):
        worker = start_worker(folder)
        time.sleep(float(rng.uniform(1.0, 6.0)))
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    if read_record(folder) is None:
        worker = start_worker(folder)
        finish(worker)
    records = [read_record(one.run_folder(one.plans[0])) for one in (whole, study)]
    assert records[0] is not None
    assert records[1] is not None
    assert records[0].weights_sha256 == records[1].weights_sha256


def test_sigterm_saves_the_step_and_a_lost_parent_ends_the_worker(make_study) -> None:
    study = make_study("lstm", epochs=200)
    folder = study.run_folder(study.plans[0])
    worker = start_worker(folder)
    wait_for(worker, "step")
    worker.terminate()
    assert worker.wait(10) == STOPPED_STATUS
    worker.communicate()
    assert load_checkpoint(folder) is not None

    worker = start_worker(folder)
    wait_for(worker, "step")
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(10) == STOPPED_STATUS
    assert worker.stdout is not None
    worker.stdout.close()


def diverging(plan):
    return at_rate(plan, 1e39) if plan.model["architecture"] == "lstm" else plan


def test_diverged_and_failed_runs_are_marked_and_survived(make_study) -> None:
    study = make_study("lstm", "cnn", "dense", change=diverging)
    broken = study.run_folder(study.plans[1]) / "state.checkpoint"
    broken.write_bytes(b"no checkpoint at all")
    events: list[str] = []
    Scheduler(study.run_folder, lambda plan, event: events.append(event["event"]), num_workers=1).run(
        study.plans
    )
    records = [read_record(study.run_folder(plan)) for plan in study.plans]
    assert [record.status for record in records if record] == ["diverged", "failed", "done"]
    assert records[0] is not None
    assert "in epoch" in records[0].reason
    assert records[1] is not None
    assert "no checkpoint can be used" in records[1].reason
    assert events.count("ended") == 3


@pytest.mark.slow
def test_a_worker_that_is_killed_is_recorded(make_study) -> None:
    study = make_study("lstm", "dense", epochs=100)
    killed = []

    def report(plan, event) -> None:
        if plan.run_id == "lstm-seed0" and event["event"] == "step" and not killed:
            killed.append(True)
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                if str(study.run_folder(plan)).encode() in process.read_bytes():
                    os.kill(int(process.parent.name), signal.SIGKILL)

    Scheduler(study.run_folder, report, num_workers=1).run(study.plans)
    first, second = (read_record(study.run_folder(plan)) for plan in study.plans)
    assert first is not None
    assert first.status == "failed"
    assert "signal 9" in first.reason
    assert second is not None
    assert second.status == "done"


def test_one_study_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with lease(tmp_path), pytest.raises(BusyError, match="another process is working"), lease(tmp_path):
        pass
    with lease(tmp_path):
        pass


def test_a_folder_keeps_to_its_study(make_study) -> None:
    make_study("dense")
    make_study("dense", "cnn", num_seeds=2)
    with pytest.raises(UsageError, match="holds other work"):
        make_study("dense", epochs=7)


def test_a_model_without_randomness_runs_once(make_study) -> None:
    study = make_study("linear", "dense", num_seeds=3)
    assert [plan.run_id for plan in study.plans] == ["linear-seed0", *(f"dense-seed{n}" for n in range(3))]
    record = train(study)
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.9
    assert load_run(study.run_folder(study.plans[0])).predict_tokens(study.data.test.tokens).shape == (60, 2)
