"""Charts that several sections need: accuracy with intervals, costs, curves of a measure, two quantities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from unrolled.evidence.findings import Curve, Finding
from unrolled.evidence.results import ModelResults
from unrolled.report.charts import (
    Axis,
    Dot,
    DotChart,
    LineChart,
    Reference,
    ScatterChart,
    ScatterPoint,
    Series,
)
from unrolled.report.facts import Facts

MOST_CURVES = 7


def accuracy_dots(facts: Facts, names: Sequence[str]) -> DotChart:
    """Test accuracy of models with 95% intervals, guessing and the best reachable figure beside them."""
    dots = []
    for name in names:
        low, high = facts.bounds(name)
        dots.append(Dot(name, name, facts.tones[name], facts.accuracy(name), low, high))
    references = [Reference(facts.guessing, "guessing")]
    if facts.results.dataset.best_accuracy is not None:
        references.append(Reference(facts.results.dataset.best_accuracy, "best reachable"))
    return DotChart(tuple(dots), Axis("test accuracy (share of items)", "share"), tuple(references))


def cost_bars(
    facts: Facts,
    names: Sequence[str],
    read: Callable[[ModelResults], float | None],
    label: str,
    kind: str,
) -> DotChart | None:
    """A cost of models as bars from 0; None where fewer than two have the figure."""
    dots = []
    for name in names:
        model = facts.model(name)
        value = read(model) if model else None
        if value is not None:
            dots.append(Dot(name, name, facts.tones[name], value))
    return DotChart(tuple(dots), Axis(label, kind), bars=True) if len(dots) > 1 else None


def trade_off(
    facts: Facts,
    read: Callable[[ModelResults], float | None],
    label: str,
    kind: str,
) -> tuple[ScatterChart, tuple[str, ...]] | None:
    """Accuracy against a cost with the front that no model beats, and the names on that front."""
    points = []
    for model in facts.ranked:
        cost = read(model)
        if cost is None or cost <= 0:
            continue
        low, high = facts.bounds(model.name)
        tone = facts.tones[model.name]
        points.append(ScatterPoint(model.name, tone, cost, facts.accuracy(model.name), low, high))
    if len(points) < 2:
        return None
    front: list[ScatterPoint] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    chart = ScatterChart(
        tuple(points),
        Axis(label, kind, log=True),
        Axis("test accuracy", "share"),
        front=tuple((point.x, point.y) for point in front),
    )
    return chart, tuple(point.name for point in front)


def curves(
    facts: Facts,
    measure: str,
    curve: str,
    names: Sequence[str] | None = None,
    *,
    x: Axis,
    y: Axis,
    references: Sequence[Reference] = (),
) -> LineChart | None:
    """One curve of a measure for several models; None where nobody has it."""
    series = []
    for finding in facts.findings.get(measure, ()):
        found = finding.curves.get(curve)
        if found is not None and (names is None or finding.model in names):
            series.append(series_of(facts, finding, found))
    if names is not None:
        series.sort(key=lambda one: list(names).index(one.name))
    return LineChart(tuple(series), x, y, tuple(references)) if series else None


def series_of(facts: Facts, finding: Finding, curve: Curve, *, dashed: bool = False) -> Series:
    """A finding's curve in its model's colour."""
    tone = facts.tones.get(finding.model, "tone-neutral")
    return Series(finding.model, tone, curve.x, curve.y, curve.low, curve.high, dashed)


def value_dots(
    facts: Facts,
    measure: str,
    value: str,
    axis: Axis,
    names: Sequence[str] | None = None,
    references: Sequence[Reference] = (),
) -> DotChart | None:
    """One figure of a measure for every model, the largest first; None where nobody has it."""
    dots = []
    for finding in facts.findings.get(measure, ()):
        found = facts.value(measure, finding.model, value)
        if found is None or (names is not None and finding.model not in names):
            continue
        low = facts.value(measure, finding.model, f"{value}_low")
        high = facts.value(measure, finding.model, f"{value}_high")
        tone = facts.tones.get(finding.model, "tone-neutral")
        dots.append(Dot(finding.model, finding.model, tone, found, low, high))
    dots.sort(key=lambda dot: -dot.value)
    return DotChart(tuple(dots), axis, tuple(references)) if dots else None


def choose_curves(facts: Facts, wanted: Sequence[str]) -> list[str]:
    """Which models a chart of lines shows: those of ``wanted`` in the study, at most seven."""
    return facts.present(wanted)[:MOST_CURVES]
