"""Several seeds in one program give what each gives alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn
from jaxlib import gpu_rnn

from unrolled.training import cohort, device
from unrolled.training.checkpoint import load_checkpoint
from unrolled.training.cohort import NO_ROW, rows_of_steps
from unrolled.training.engine import StoppedError
from unrolled.training.record import PREDICTIONS, read_history, read_record
from unrolled.training.scheduler import Scheduler
from unrolled.training.worker import train_run, train_runs

SEEDS = 2


@pytest.fixture
def few_steps(monkeypatch) -> None:
    """Programs of so few steps that an epoch needs several, the last one shorter."""
    monkeypatch.setattr(cohort, "STEPS", 2)


def folders(study) -> list[Path]:
    return [study.run_folder(plan) for plan in study.plans]


def outcome(folder: Path) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Test probabilities, and training and validation loss of each epoch."""
    losses = [(epoch.loss, epoch.validation_loss) for epoch in read_history(folder)]
    return np.load(folder / PREDICTIONS), losses


def from_the(call: int) -> Callable[[], bool]:
    """Asks to stop when it is called so many times, and from then on."""
    calls = iter(range(1, 1000))
    return lambda: next(calls) >= call


def small_batches(plan):
    return plan.model_copy(update={"training": plan.training.model_copy(update={"batch_size": 32})})


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        pytest.param("lstm", "standard", marks=pytest.mark.slow),
        pytest.param("cnn_gru_dropout", "notebook", marks=pytest.mark.slow),
        ("dense", "notebook"),
        pytest.param("embedding_dense", "notebook", marks=pytest.mark.slow),
    ],
)
def test_seeds_together_are_the_seeds_alone(make_study, tmp_path, few_steps, name, protocol) -> None:
    options = {"num_seeds": SEEDS, "protocol": protocol, "epochs": 2, "change": small_batches}
    alone = make_study(name, folder=tmp_path / "alone", **options)
    together = make_study(name, folder=tmp_path / "together", **options)
    for folder in folders(alone):
        train_run(folder)
    events: list[dict] = []
    records = train_runs(folders(together), report=events.append)
    assert [record.seed for record in records] == list(range(SEEDS))
    for mine, theirs, record in zip(folders(together), folders(alone), records, strict=True):
        assert record.status == "done"
        probabilities, losses = outcome(mine)
        expected, expected_losses = outcome(theirs)
        np.testing.assert_allclose(losses, expected_losses, rtol=2e-4)
        np.testing.assert_allclose(probabilities, expected, atol=2e-4)
        assert record.chosen_epoch == read_record(theirs).chosen_epoch
        assert load_checkpoint(mine) is None
    first, second = (outcome(folder)[0] for folder in folders(together)[:2])
    assert np.abs(first - second).max() > 1e-3, "seeds must differ"
    ids = {event["run_id"] for event in events if event["event"] == "epoch"}
    assert ids == {plan.run_id for plan in together.plans}


@pytest.mark.slow
def test_a_cohort_stops_and_goes_on(make_study, tmp_path, few_steps) -> None:
    options = {"num_seeds": 2, "epochs": 3, "change": small_batches}
    whole = make_study("dense", folder=tmp_path / "whole", **options)
    broken = make_study("dense", folder=tmp_path / "broken", **options)
    train_runs(folders(whole))
    with pytest.raises(StoppedError):
        train_runs(folders(broken), should_stop=from_the(2))
    for folder in folders(broken):
        found = load_checkpoint(folder)
        assert found is not None
        assert found.facts["step"] == 4
    train_runs(folders(broken))
    for mine, theirs in zip(folders(broken), folders(whole), strict=True):
        np.testing.assert_array_equal(outcome(mine)[0], outcome(theirs)[0])


@pytest.mark.slow
def test_seeds_that_stand_apart_meet_again(make_study, tmp_path, few_steps) -> None:
    options = {"num_seeds": 2, "epochs": 3, "change": small_batches}
    whole = make_study("gru", folder=tmp_path / "whole", **options)
    apart = make_study("gru", folder=tmp_path / "apart", **options)
    train_runs(folders(whole))
    # The first seed alone is within its second epoch when the other begins.
    with pytest.raises(StoppedError):
        train_runs(folders(apart)[:1], should_stop=from_the(4))
    found = load_checkpoint(folders(apart)[0])
    assert found is not None
    assert found.facts["epoch"] == 2
    assert found.facts["step"] > 0
    train_runs(folders(apart))
    for mine, theirs in zip(folders(apart), folders(whole), strict=True):
        np.testing.assert_allclose(outcome(mine)[0], outcome(theirs)[0], atol=2e-4)


@pytest.mark.slow
def test_a_seed_that_diverges_leaves_the_others_alone(make_study, tmp_path, few_steps, monkeypatch) -> None:
    study = make_study("dense", num_seeds=3, change=small_batches)
    alone = make_study("dense", num_seeds=3, change=small_batches, folder=tmp_path / "alone")
    make = cohort.Engine.take_steps

    def breaking(self, losses, right, counts, **options) -> None:
        make(self, losses * np.nan if self.settings.seed == 1 else losses, right, counts, **options)

    monkeypatch.setattr(cohort.Engine, "take_steps", breaking)
    records = train_runs(folders(study))
    assert [record.status for record in records] == ["done", "diverged", "done"]
    assert "in epoch 1" in records[1].reason
    train_run(folders(alone)[2])
    np.testing.assert_allclose(outcome(folders(study)[2])[0], outcome(folders(alone)[2])[0], atol=2e-4)


@pytest.mark.slow
def test_seeds_that_cannot_be_batched_follow_each_other(make_study, few_steps, tmp_path, monkeypatch) -> None:
    options = {"num_seeds": 2, "epochs": 1, "change": small_batches}
    batched = make_study("dense", folder=tmp_path / "batched", **options)
    followed = make_study("dense", folder=tmp_path / "followed", **options)
    train_runs(folders(batched))

    monkeypatch.setattr(cohort, "can_be_batched", lambda *_: False)
    train_runs(folders(followed))
    for mine, theirs in zip(folders(followed), folders(batched), strict=True):
        np.testing.assert_allclose(outcome(mine)[0], outcome(theirs)[0], atol=1e-5)


def test_a_step_on_cudnn_cannot_be_batched(monkeypatch) -> None:
    # What tracing asks cuDNN for, which only a build for GPUs has: bytes of workspace and reserve.
    name = "compute_rnn_workspace_reserve_space_sizes"
    monkeypatch.setattr(gpu_rnn, name, lambda *_: (0, 16), raising=False)
    sizes = {"input_size": 3, "hidden_size": 4, "num_layers": 1, "dropout": 0.0, "bidirectional": False}
    weights = jnp.zeros(rnn.get_num_params_in_lstm(3, 4, 1, False))
    state = jnp.zeros((1, 2, 4))

    def on_cudnn(inputs):
        return rnn.lstm(inputs, state, state, weights, jnp.full(2, 5, jnp.int32), **sizes)[0].sum()

    assert not cohort.can_be_batched(jax.grad(on_cudnn), jnp.zeros((2, 5, 3)))
    assert cohort.can_be_batched(jax.grad(lambda inputs: inputs.sum()), jnp.zeros((2, 5, 3)))


def test_rows_that_a_batch_lacks_are_none() -> None:
    rows = rows_of_steps([np.array([5, 2]), np.array([7])], 2)
    assert rows.tolist() == [[5, 2], [7, NO_ROW]]


def test_plans_that_differ_in_more_than_the_seed_stay_apart(make_study) -> None:
    study = make_study("gru", "lstm", num_seeds=2)
    groups = device.group_seeds(study.plans)
    assert [[plan.run_id for plan in group] for group in groups] == [
        ["gru-seed0", "gru-seed1"],
        ["lstm-seed0", "lstm-seed1"],
    ]


@pytest.mark.slow
def test_a_worker_on_a_gpu_gets_all_seeds_of_a_network(make_study) -> None:
    study = make_study("dense", "linear", num_seeds=2, change=small_batches)
    events: list[tuple[str, str]] = []
    scheduler = Scheduler(
        study.run_folder, lambda plan, event: events.append((plan.run_id, event["event"])), on_gpu=True
    )
    assert scheduler.num_workers == 1
    scheduler.run(study.plans)
    assert {read_record(folder).status for folder in folders(study)} == {"done"}
    for plan in study.plans:
        assert events.count((plan.run_id, "started")) == events.count((plan.run_id, "ended")) == 1
        assert events.count((plan.run_id, "done")) == 1


@pytest.mark.slow
def test_a_group_that_fails_is_tried_again_seed_by_seed(make_study) -> None:
    study = make_study("dense", num_seeds=2, epochs=1, change=small_batches)
    damaged = folders(study)[1]
    (damaged / "state.checkpoint").write_bytes(b"no checkpoint at all")
    events: list[tuple[str, str]] = []
    Scheduler(
        study.run_folder, lambda plan, event: events.append((plan.run_id, event["event"])), on_gpu=True
    ).run(study.plans)
    records = [read_record(folder) for folder in folders(study)]
    assert [record.status for record in records] == ["done", "failed"]
    assert "no checkpoint can be used" in records[1].reason
    for plan in study.plans:
        assert events.count((plan.run_id, "ended")) == 1


def test_what_a_seed_came_to_is_kept_when_another_is_stopped(make_study, few_steps) -> None:
    study = make_study("dense", num_seeds=2, epochs=1, change=small_batches)
    with pytest.raises(StoppedError):
        train_runs(folders(study), should_stop=lambda: read_record(folders(study)[0]) is not None)
    assert read_record(folders(study)[0]).status == "done"
    assert read_record(folders(study)[1]) is None
    assert load_checkpoint(folders(study)[1]) is not None
    train_runs(folders(study)[1:])
    assert read_record(folders(study)[1]).status == "done"


def test_without_a_plugin_no_process_is_asked_for_a_gpu(monkeypatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    monkeypatch.setattr(device, "entry_points", lambda group: [])
    monkeypatch.setattr(device.subprocess, "run", lambda *a, **k: pytest.fail("asked"))
    assert not device.sees_gpu.__wrapped__()


def test_with_a_plugin_and_no_gpu_there_is_none(monkeypatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    assert not device.sees_gpu.__wrapped__()
