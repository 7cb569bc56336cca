"""The registry, resuming, and what loaded studies answer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from unrolled.cli.__main__ import app
from unrolled.errors import DataError, UsageError
from unrolled.evidence.behaviour.intervals import pool, pool_share
from unrolled.evidence.evaluation import wilson_interval
from unrolled.evidence.findings import Finding, load_findings
from unrolled.evidence.measures import Measure, analyse_study, fingerprint, measures, select_measures
from unrolled.evidence.subjects import open_study
from unrolled.training.fitted import load_run


def count_calls(log: list[str], name: str, fail_at: int | None = None) -> Measure:
    """A measure that notes for which models it was taken, and can be interrupted."""

    def run(study):
        for number, subject in enumerate(study.subjects):
            if number == fail_at:
                raise KeyboardInterrupt
            log.append(f"{name}:{subject.name}")
            yield Finding(measure=name, model=subject.name, num_seeds=1, reference="none")

    return Measure(name, "counts", run, False, 1)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The shared study, to be written to."""
    return shutil.copytree(folder, tmp_path / "study")


def test_every_promised_measure_is_registered() -> None:
    names = [measure.name for measure in select_measures(None)]
    assert {"gradients", "memory", "order", "length", "padding", "learning", "embedding", "recall"} <= set(
        names
    )
    assert "learning_size" in measures()
    assert "learning_size" not in names
    with pytest.raises(UsageError, match=r"unknown name \(got measure='gradient'\).*Try: gradients"):
        select_measures(["gradient"])


def test_what_is_current_is_not_taken_again(copy: Path) -> None:
    log: list[str] = []
    first, second = count_calls(log, "first"), count_calls(log, "second")
    study = open_study(copy)
    assert analyse_study(study, [first]) == ("first",)
    assert analyse_study(study, [first, second]) == ("second",)
    assert len(log) == 2 * len(study.subjects)
    assert set(load_findings(copy)) == {"first", "second"}
    assert analyse_study(study, [replace(first, version=2)]) == ("first",), (
        "another version is another measure"
    )


def test_other_runs_or_weights_make_findings_stale(copy: Path) -> None:
    measure = count_calls([], "first")
    study = open_study(copy)
    before = fingerprint(measure, study)
    run = study.subjects[-1].runs[0]
    other = replace(run, record=run.record.model_copy(update={"weights_sha256": "0" * 64}))
    subject = replace(study.subjects[-1], runs=(other,))
    assert fingerprint(measure, replace(study, subjects=(*study.subjects[:-1], subject))) != before
    fewer = replace(study, subjects=study.subjects[:-1])
    assert fingerprint(measure, fewer) != before
    assert fingerprint(measure, open_study(copy)) == before


def test_an_analysis_that_was_stopped_goes_on(copy: Path) -> None:
    log: list[str] = []
    study = open_study(copy)
    with pytest.raises(KeyboardInterrupt):
        analyse_study(study, [count_calls(log, "first"), count_calls(log, "second", fail_at=2)])
    assert set(load_findings(copy)) == {"first"}, "half a measure is no finding"
    log.clear()
    assert analyse_study(study, [count_calls(log, "first"), count_calls(log, "second")]) == ("second",)
    assert not [line for line in log if line.startswith("first")]


def test_logits_are_those_of_the_run_as_trained(study) -> None:
    tokens = study.data.test.tokens
    for subject in study.subjects:
        logits = subject.logits(tokens)
        assert len(logits) == len(subject.runs) == (2 if subject.name == "lstm" else 1)
        chances = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        for run, found in zip(subject.runs, chances, strict=True):
            assert found == pytest.approx(load_run(run.folder).predict_tokens(tokens), abs=2e-5)
        assert chances == pytest.approx(subject.test_probabilities(), abs=2e-5)


def test_initial_weights_are_those_that_training_began_with(study) -> None:
    from unrolled.training.network import Network

    subject = study.subjects[2]
    seed = subject.runs[1].plan.training.seed
    network = Network(subject.spec, seed=seed, learning_rate=1e-3)
    began = network.initial_state().trainable
    for found, expected in zip(subject.logits_function.initial(seed), began, strict=True):
        assert np.array_equal(found, expected)


def test_only_finished_runs_are_opened(copy: Path) -> None:
    for run in ("cnn-seed0", "lstm-seed1"):
        (copy / "runs" / run / "record.json").unlink()
    study = open_study(copy)
    assert [subject.name for subject in study.subjects] == ["linear", "lstm"]
    assert [len(subject.runs) for subject in study.subjects] == [1, 1]
    for run in (copy / "runs").iterdir():
        (run / "record.json").unlink(missing_ok=True)
    with pytest.raises(DataError, match="no run has finished"):
        open_study(copy)


def test_intervals_allow_for_reviews_and_seeds() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(300):
        seeds, items = rng.normal(0, 0.1, (4, 1)), rng.normal(0, 1, (1, 50))
        found = pool(seeds + items + rng.normal(0, 0.5, (4, 50)))
        covered.append(found.low <= 0 <= found.high)
    assert np.mean(covered) >= 0.93
    one = pool(np.ones((1, 1)))
    assert (one.low, one.high, one.excludes_zero) == (None, None, False)
    right = rng.random((1, 80)) < 0.95
    assert (pool_share(right).low, pool_share(right).high) == pytest.approx(wilson_interval(right.mean(), 80))
    several = pool_share(rng.random((5, 80)) < np.array([[0.5], [0.6], [0.7], [0.8], [0.9]]))
    assert several.high - several.low > 0.3, "seeds that disagree widen it"


def test_the_command_analyses_and_prints_json(copy: Path) -> None:
    run = CliRunner()
    found = run.invoke(app, ["analyse", str(copy), "--only", "learning, length", "--json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert list(document["measures"]) == ["learning", "length"]
    assert {row["model"] for row in document["measures"]["length"]} >= {"lstm", "linear"}
    assert "learning: done" in found.stderr
    again = run.invoke(app, ["analyse", str(copy), "--only", "learning,length", "--json"])
    assert json.loads(again.stdout) == document
    assert "learning: current, nothing to do" in again.stderr
    plain = run.invoke(app, ["analyse", str(copy), "--only", "learning"])
    assert "learning: 3 findings in" in plain.stdout
    assert "learning_size" in run.invoke(app, ["analyse", str(copy), "--only", "list"]).stdout


def test_the_command_refuses_what_it_cannot_do(copy: Path, tmp_path: Path) -> None:
    run = CliRunner()
    for arguments, kind, text in (
        ([str(tmp_path / "nothing")], DataError, "not a study's folder"),
        ([str(copy), "--only", "memories"], UsageError, "unknown name"),
        ([str(copy), "--only", " , "], UsageError, "no measure is named"),
    ):
        found = run.invoke(app, ["analyse", *arguments])
        assert isinstance(found.exception, kind), found.output
        assert text in str(found.exception)
    assert not (tmp_path / "nothing").exists()
    (copy / "config.toml").write_text("no = [")
    assert isinstance(run.invoke(app, ["analyse", str(copy)]).exception, DataError)
