"""The measure ``complexity``: what every model costs, counted and measured."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from unrolled.evidence.complexity.growth import fit_exponent, length_steps, measure_growth, width_of
from unrolled.evidence.cost import BYTES_PER_NUMBER, count_adam, count_flops
from unrolled.evidence.findings import Curve, Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.models import ModelSpec
from unrolled.models.build import outline_model
from unrolled.models.summary import summarise
from unrolled.training.record import WEIGHTS

MOST_TIMED = 256


@register_measure("complexity", "What a model costs in operations, memory and time, and how that grows")
def measure_complexity(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model; the baseline, which is no network, has only what is measured."""
    for subject in study.subjects:
        yield _measure_network(subject) if subject.spec.neural else _measure_baseline(subject)


def _measure_network(subject: Subject) -> Finding:
    spec = subject.spec
    values, table = count_network(spec, subject.runs[0].plan.training.batch_size)
    median = _median_length(subject)
    by_length = measure_growth(spec, "length", length_steps(spec), "steps")
    curves: dict[str, Curve] = {
        "flops_by_length": by_length.counted(),
        "milliseconds_by_length": by_length.measured(),
    }
    full = by_length.milliseconds[-1]
    values |= {
        "median_length": median,
        "flops_per_sequence_at_median_length": count_at_length(spec, median),
        "flops_growth_with_length": fit_exponent(by_length.sizes, by_length.flops),
        "milliseconds_growth_with_length": fit_exponent(by_length.sizes, by_length.milliseconds),
        "throughput_per_second": 1e3 / full,
        "operations_per_second": by_length.flops[-1] / full * 1e3,
    }
    width = width_of(spec)
    if width is not None:
        by_units = measure_growth(spec, *width, width[0].replace("_", " "))
        curves |= {"flops_by_units": by_units.counted(), "milliseconds_by_units": by_units.measured()}
        values |= {
            "flops_growth_with_units": fit_exponent(by_units.sizes, by_units.flops),
            "milliseconds_growth_with_units": fit_exponent(by_units.sizes, by_units.milliseconds),
        }
    return Finding(
        measure="complexity",
        model=subject.name,
        num_seeds=len(subject.runs),
        values=_measured(subject) | values,
        curves=curves,
        tables={"layers": table},
        reference=(
            "operations are counted (a multiply-add is 2) and exact under that convention; times are this "
            f"machine's, with which the network does {full and by_length.flops[-1] / full / 1e6:.1f} billion "
            "operations per second"
        ),
    )


def _measure_baseline(subject: Subject) -> Finding:
    tokens = subject.data.test.tokens
    tokens = tokens.take(np.arange(min(MOST_TIMED, len(tokens))))
    start = time.perf_counter()
    subject.fitted[0].predict_tokens(tokens)
    seconds = time.perf_counter() - start
    return Finding(
        measure="complexity",
        model=subject.name,
        num_seeds=len(subject.runs),
        values=_measured(subject) | {"throughput_per_second": len(tokens) / seconds},
        reference="times are this machine's; a table of n-grams has no operations to count",
    )


def _measured(subject: Subject) -> dict[str, Value]:
    """What the runs' own records say of cost, over seeds."""
    records = [run.record for run in subject.runs if run.record is not None]
    latencies = [record.latency_ms for record in records if record.latency_ms is not None]
    seconds = [second for record in records for second in record.seconds_per_epoch]
    return {
        "parameters": records[0].parameters,
        "weights_bytes": max((run.folder / WEIGHTS).stat().st_size for run in subject.runs),
        "seconds_per_epoch": float(np.median(seconds)),
        "peak_memory_bytes": max(record.peak_memory_bytes or 0 for record in records),
        "latency_p50_ms": float(np.median([latency.p50 for latency in latencies])),
        "latency_p95_ms": float(np.median([latency.p95 for latency in latencies])),
    }


def count_network(spec: ModelSpec, batch_size: int) -> tuple[dict[str, Value], Table]:
    """The counted figures of an architecture, and its table of layers, whose last row is their sum."""
    network = outline_model(spec)
    costs, rows = count_flops(network), summarise(network)
    adam = count_adam(network)
    per_sequence = {
        "multiply_adds_per_sequence": sum(cost.multiply_adds for cost in costs),
        "flops_per_sequence": sum(cost.flops for cost in costs),
        "training_flops_per_sequence": sum(cost.training_flops for cost in costs),
        "activation_bytes_per_sequence": sum(cost.activation_bytes for cost in costs),
    }
    table = Table(
        columns=(
            "layer",
            "type",
            "output_shape",
            "parameters",
            "multiply_adds",
            "flops",
            "training_flops",
            "activation_bytes",
        ),
        rows=(
            *(
                (
                    row.name,
                    row.type,
                    " × ".join(str(size) for size in row.output_shape[1:]),
                    row.parameters,
                    cost.multiply_adds,
                    cost.flops,
                    cost.training_flops,
                    cost.activation_bytes,
                )
                for row, cost in zip(rows, costs, strict=True)
            ),
            ("total", "", "", sum(row.parameters for row in rows), *per_sequence.values()),
        ),
    )
    values: dict[str, Value] = {
        **per_sequence,
        "batch_size": batch_size,
        "adam_flops_per_step": adam,
        "training_flops_per_step": batch_size * per_sequence["training_flops_per_sequence"] + adam,
        "activation_bytes_per_step": batch_size * per_sequence["activation_bytes_per_sequence"],
        # Weights, their gradients and Adam's two moments.
        "training_state_bytes": 4 * BYTES_PER_NUMBER * int(network.count_params()),
    }
    return values, table


def count_at_length(spec: ModelSpec, length: int) -> int:
    """Operations that a sequence of ``length`` real steps needs.

    Masked steps are skipped by a recurrence; an architecture that flattens, or reads padding as words, does
    its full work whatever it reads.
    """
    if not spec.fixed_length and spec.padding == "masked":
        spec = spec.model_copy(update={"length": min(max(length, 1), spec.length)})
    return sum(layer.flops for layer in count_flops(outline_model(spec)))


def _median_length(subject: Subject) -> int:
    return int(np.median(np.minimum(subject.data.test.tokens.lengths, subject.spec.length)))
