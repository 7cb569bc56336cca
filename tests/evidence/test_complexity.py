"""Counts that add up, and growth that is what theory says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unrolled.evidence.complexity.growth import fit_exponent, measure_growth, time_sequence, width_of
from unrolled.evidence.complexity.measure import count_at_length, count_network, measure_complexity
from unrolled.evidence.subjects import open_study
from unrolled.models import architectures, make_spec
from unrolled.training.study import Study
from unrolled.training.worker import train_run


@pytest.mark.parametrize("name", [name for name in architectures() if name != "linear"])
def test_the_parts_add_up_to_the_whole(name: str) -> None:
    values, table = count_network(make_spec(name), 32)
    *layers, total = table.rows
    for place, column in enumerate(table.columns[3:], 3):
        assert sum(int(row[place] or 0) for row in layers) == total[place], column
    assert values["training_flops_per_step"] == 32 * total[6] + values["adam_flops_per_step"]
    assert values["activation_bytes_per_step"] == 32 * total[7]


def test_counted_growth_is_that_of_theory() -> None:
    spec = make_spec("lstm", length=40, embedding_size=1, units=64, vocabulary_size=50)
    by_length = measure_growth(spec, "length", [20, 40], "steps")
    assert fit_exponent(by_length.sizes, by_length.flops) == pytest.approx(1.0, abs=0.01)
    # With inputs of size 1, the product with the state is nearly all there is: units squared.
    by_units = measure_growth(spec, "units", [32, 64], "units")
    assert fit_exponent(by_units.sizes, by_units.flops) == pytest.approx(1.85, abs=0.1)
    assert all(time > 0 for time in by_length.milliseconds + by_units.milliseconds)
    assert by_units.counted().x == (32.0, 64.0)


def test_an_exponent_is_exact_on_powers() -> None:
    assert fit_exponent([1, 2, 4], [5, 20, 80]) == 2.0
    assert fit_exponent([3], [5]) is None


def test_networks_that_differ_in_dropout_alone_are_timed_once() -> None:
    sizes = {"length": 12, "vocabulary_size": 50, "units": 4}
    assert time_sequence(make_spec("cnn_gru", **sizes)) == time_sequence(
        make_spec("cnn_gru_dropout", **sizes)
    )


@pytest.mark.parametrize(
    ("name", "settings", "shrinks"),
    [
        ("lstm", {"padding": "masked"}, True),
        ("lstm", {"padding": "word"}, False),
        ("cnn", {"padding": "masked"}, False),
    ],
)
def test_masked_steps_cost_a_recurrence_nothing(name: str, settings: dict[str, str], shrinks: bool) -> None:
    spec = make_spec(name, length=100, **settings)
    full, short = count_at_length(spec, 100), count_at_length(spec, 25)
    assert short == (count_at_length(make_spec(name, length=25, **settings), 25) if shrinks else full)
    assert (short < full) == shrinks


def test_what_makes_a_network_wider() -> None:
    assert width_of(make_spec("lstm", units=9)) == ("units", [4, 9])
    assert width_of(make_spec("cnn")) == ("hidden_units", [125, 250])
    assert width_of(make_spec("linear")) is None


def test_every_model_of_a_study_has_its_finding(make_study: Callable[..., Study]) -> None:
    study = make_study("linear", "dense", epochs=1)
    for plan in study.plans:
        train_run(study.run_folder(plan))
    linear, dense = measure_complexity(open_study(study.folder))
    assert linear.values["weights_bytes"] > 0
    assert "flops_per_sequence" not in linear.values
    assert dense.values["flops_per_sequence"] == sum(row[5] for row in dense.tables["layers"].rows[:-1])
    assert set(dense.curves) == {
        "flops_by_length",
        "milliseconds_by_length",
        "flops_by_units",
        "milliseconds_by_units",
    }
    assert dense.values["throughput_per_second"] > 0
    assert "billion operations per second" in dense.reference
