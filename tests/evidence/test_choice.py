"""Which model to take, on results planned by hand."""

from __future__ import annotations

import pytest

from unrolled.errors import UsageError
from unrolled.evidence.choice import Budget, Choice, choose, pareto_front, parse_budget
from unrolled.evidence.results import (
    Accuracy,
    DatasetFacts,
    MachineFacts,
    ModelResults,
    Seconds,
    StudyResults,
)
from unrolled.training.record import Latency


def make_model(name: str, accuracy: float, latency: float, size: float, train: float, **more) -> ModelResults:
    return ModelResults(
        name=name,
        status="done",
        parameters=int(size * 250_000),
        test_accuracy=Accuracy(mean=accuracy, ci95=None, values=(accuracy,)),
        latency_ms=Latency(p50=latency, p95=2 * latency),
        weights_bytes=int(size * 1e6),
        training_seconds=train,
        seconds_per_epoch=Seconds(median=train / 10, values=(train / 10,)),
        **more,
    )


LSTM = make_model("lstm", 0.94, 0.6, 1.4, 30, letters="a")
GRU = make_model("gru", 0.93, 0.5, 1.3, 25, letters="a")
BILSTM = make_model("bilstm", 0.935, 0.9, 1.7, 60, letters="a")
CNN = make_model("cnn", 0.73, 0.55, 3.6, 26, letters="b")
LINEAR = make_model("linear", 0.72, 0.14, 0.4, 2, letters="b")
FAILED = ModelResults(name="simple_rnn", status="failed")
MODELS = (LINEAR, CNN, FAILED, GRU, LSTM, BILSTM)


def results(*models: ModelResults) -> StudyResults:
    return StudyResults(
        schema_name="unrolled.results/1",
        protocol="standard",
        dataset=DatasetFacts(
            name="demo",
            classes=("negative", "positive"),
            train=10,
            validation=5,
            test=5,
            sha256="0" * 64,
            best_accuracy=None,
            notices=(),
        ),
        machine=MachineFacts(
            processor="p", cores=1, memory_bytes=1, system="Linux", python="3.11", packages={}
        ),
        models=models,
        verdicts=(),
    )


def pick(budget: str, *models: ModelResults) -> Choice:
    return choose(results(*(models or MODELS)), parse_budget(budget))


def test_the_front_holds_what_nothing_beats() -> None:
    # bilstm loses to lstm everywhere, cnn to gru; the failed model has no figures.
    assert pareto_front(MODELS) == ("linear", "gru", "lstm")
    assert pareto_front(MODELS, ["accuracy"]) == ("lstm",)
    assert pareto_front(MODELS, ["latency_ms", "size_mb"]) == ("linear",)
    assert pareto_front((LSTM, LSTM.model_copy(update={"name": "twin"}))) == ("lstm", "twin")
    assert pareto_front(()) == ()


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("latency_ms<5", "lstm"),
        ("latency_ms<0.6", "gru"),
        ("latency_ms<=0.6", "lstm"),
        ("latency_ms<0.58,size_mb<1.0", "linear"),
        ("training_seconds<10", "linear"),
        ("seconds_per_epoch<2.55", "gru"),
        ("parameters<300000", "linear"),
        ("latency_p95_ms<1.05", "gru"),
        ("accuracy>0.9,latency_ms<0.55", "gru"),
        ("accuracy>0.9,latency_ms<0.2", None),
        ("latency_ms<0.1", None),
        ("flops_per_sequence<1e9", None),
    ],
)
def test_the_most_accurate_within_the_budget(budget: str, expected: str | None) -> None:
    assert pick(budget).model == expected


def test_the_reason_is_one_sentence_from_the_figures() -> None:
    found = pick("latency_ms<0.58")
    assert found.fitting == ("gru", "cnn", "linear")
    assert found.reason == (
        "gru is the most accurate of 3 models within latency_ms<0.58: 0.930, median latency 0.5 ms; "
        "lstm (0.940) and 1 other would be more accurate but do not fit (lstm: median latency 0.6 ms)."
    )
    assert pick("latency_ms<9").reason == (
        "lstm is the most accurate of 5 models within latency_ms<9: 0.940, median latency 0.6 ms; gru "
        "cannot be told apart from it and is faster and smaller."
    )
    assert pick("latency_ms<0.1").reason == (
        "No model fits latency_ms<0.1: the nearest to latency_ms<0.1 is linear with 0.14 ms."
    )
    assert "accuracy>0.99 is lstm with 0.94." in pick("latency_ms<5,accuracy>0.99").reason
    assert "each limit can be met" in pick("accuracy>0.9,latency_ms<0.2").reason
    assert "flops_per_sequence was not measured" in pick("flops_per_sequence<9").reason
    assert pick("latency_ms<9", FAILED).reason == "No model fits latency_ms<9: latency_ms was not measured."
    assert choose(results(FAILED), Budget(())).reason == "No model fits: no run has finished."
    assert choose(results(*MODELS), Budget(())).reason.startswith(
        "lstm is the most accurate of 5 models: 0.940"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a condition cannot be read"),
        ("latency_ms", "a condition cannot be read"),
        ("latency_ms<5,", "a condition cannot be read"),
        ("latency_ms=5", "a condition cannot be read"),
        ("latency_ms<5<6", "a condition cannot be read"),
        ("latency<5", r"unknown quantity \(got 'latency'\).*Try: latency_ms"),
        ("size_mb<ten", "no positive number"),
        ("size_mb<nan", "no positive number"),
        ("size_mb<-1", "no positive number"),
        ("size_mb<inf", "no positive number"),
        ("latency_ms>5", "wrong side.*Try: latency_ms<5"),
        ("accuracy<0.9", "wrong side.*Try: accuracy>0.9"),
        ("accuracy>90", "out of range"),
        ("size_mb<5,size_mb<=6", "limited twice"),
    ],
)
def test_a_budget_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_budget(text)
