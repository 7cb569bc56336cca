"""A small study made up in memory; tests plant what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from unrolled.evidence.findings import Curve, Finding, Table
from unrolled.evidence.results import StudyResults
from unrolled.report.facts import Facts

ACCURACIES = {"linear": 0.72, "dense": 0.5, "embedding_dense": 0.67, "cnn": 0.73, "simple_rnn": 0.66}
ACCURACIES |= {"gru": 0.93, "lstm": 0.935, "bilstm": 0.929, "cnn_lstm": 0.912, "cnn_gru": 0.85}
ACCURACIES |= {"cnn_gru_dropout": 0.91}


def make_results(accuracies: dict[str, float], decided: float = 0.02, **changes: Any) -> StudyResults:
    """Results in which differences above ``decided`` are more than chance."""
    ranked = sorted(accuracies, key=lambda name: -accuracies[name])
    models = [
        {
            "name": name,
            "status": "done",
            "parameters": 1000 * (place + 1),
            "flops_per_sequence": 5000 * (place + 1),
            "test_accuracy": {"mean": value, "ci95": None, "values": [value]},
            "epochs": [3],
            "seconds_per_epoch": {"median": 0.5 + place, "values": [0.5 + place]},
            "peak_memory_bytes": 10**8,
            "latency_ms": {"p50": 0.1 * (place + 1), "p95": 0.2 * (place + 1)},
            "weights_bytes": 4000 * (place + 1),
            "training_seconds": 1.5,
            "letters": "a",
        }
        for place, (name, value) in enumerate(accuracies.items())
    ]
    pairs = []
    for first, second in combinations(ranked, 2):
        gap = accuracies[first] - accuracies[second]
        p_value = 0.001 if gap > decided else 0.9
        pairs.append(
            {
                "first": first,
                "second": second,
                "difference": gap,
                "interval": [gap - 0.01, gap + 0.01],
                "p_value": p_value,
                "adjusted_p_value": p_value,
                "scope": "trained_models",
                "method": "mcnemar",
                "smallest_difference": 0.019,
            }
        )
    dataset = {"name": "demo", "classes": ["negative", "positive"], "train": 600, "validation": 100}
    dataset |= {"test": 200, "sha256": "0" * 64, "best_accuracy": 0.96, "notices": []}
    machine = {"processor": "chip", "cores": 2, "memory_bytes": 10**9, "system": "Linux", "python": "3.11"}
    document = {
        "schema_name": "unrolled.results/1",
        "protocol": "standard",
        "dataset": dataset,
        "machine": machine | {"packages": {"keras": "3"}},
        "models": models,
        "comparison": {"scope": "trained_models", "smallest_difference": 0.03, "pairs": pairs},
        "verdicts": [],
    }
    return StudyResults.model_validate(document | changes)


def make_finding(
    measure: str,
    model: str,
    values: dict[str, Any] | None = None,
    curves: dict[str, list[float]] | None = None,
    tables: dict[str, Table] | None = None,
) -> Finding:
    """A finding with curves over 0, 1, 2, …"""
    drawn = {
        name: Curve(x_label="x", y_label="y", x=tuple(map(float, range(1, len(y) + 1))), y=tuple(y))
        for name, y in (curves or {}).items()
    }
    return Finding(
        measure=measure,
        model=model,
        num_seeds=1,
        values=values or {},
        curves=drawn,
        tables=tables or {},
        reference="null",
    )


@pytest.fixture
def plant() -> Callable[..., Facts]:
    """Facts with planted accuracies and findings."""

    def make(*findings: Finding, decided: float = 0.02, **accuracies: float) -> Facts:
        by_measure: dict[str, list[Finding]] = {}
        for finding in findings:
            by_measure.setdefault(finding.measure, []).append(finding)
        facts = Facts(make_results(ACCURACIES | accuracies, decided))
        return replace(facts, findings={name: tuple(found) for name, found in by_measure.items()})

    return make
