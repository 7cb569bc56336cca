"""Results and findings → a whole report, as records."""

from __future__ import annotations

from unrolled.report.facts import Facts
from unrolled.report.records import Report
from unrolled.report.sections import write_sections
from unrolled.report.verdict import model_table, overview, write_verdict
from unrolled.report.words import compact, count, listed, shorten


def build_report(facts: Facts) -> Report:
    """Everything a reader gets, computed from the facts; how it is written is decided elsewhere."""
    results = facts.results
    dataset = results.dataset
    names = tuple(dict.fromkeys(model.name for model in results.models))
    return Report(
        title=f"Sequence classifiers on {shorten(dataset.name, 60)}",
        subtitle=(
            f"{count(len(facts.ranked))} models, {count(dataset.train)} "
            f"training, {count(dataset.validation)} validation and "
            f"{count(dataset.test)} test items, {results.protocol} protocol"
        ),
        verdict=write_verdict(facts),
        overview=overview(facts),
        table=model_table(facts),
        sections=write_sections(facts),
        method=_method(facts),
        names=names,
    )


def _method(facts: Facts) -> tuple[str, ...]:
    results = facts.results
    dataset, machine = results.dataset, results.machine
    classes = listed([shorten(name, 40) for name in dataset.classes[:12]])
    text = [
        f"Data: {shorten(dataset.name, 60)}, classes {classes}; sha256 {dataset.sha256}.",
        *(shorten(notice, 400) for notice in dataset.notices),
    ]
    if results.protocol == "notebook":
        text.append(
            "Protocol: notebook. Epochs are fixed, the test part serves "
            "as validation, and padding runs through the "
            "networks as a word. Both shortcuts are the lab's; figures "
            "at the best epoch are optimistic because that "
            "epoch was chosen on the test part."
        )
    else:
        text.append(
            "Protocol: standard. Validation items are drawn from the "
            "training part, the best epoch is chosen on them, "
            "the test part is read once, and padding is masked."
        )
    comparison = results.comparison
    if comparison is not None:
        method = (
            "paired bootstrap over seeds and items"
            if not facts.single
            else "McNemar's exact test on the same items"
        )
        text.append(
            f"Comparisons: {method}, {count(len(comparison.pairs))} pairs, "
            "p-values corrected by Holm's method at 0.05. "
            f"Over all pairs, a true difference of {comparison.smallest_difference:.3f} "
            "is found in 8 of 10 such studies."
        )
    failed = [
        f"{model.name}: {shorten('; '.join(model.failures), 300)}"
        for model in results.models
        if model.failures
    ]
    text += failed
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    text.append(
        f"Machine: {machine.processor}, {machine.cores} cores, "
        f"{compact(machine.memory_bytes)}B of memory, {machine.system}, "
        f"Python {machine.python}; {packages}. One thread per run. Times on another machine will differ."
    )
    measured = listed(sorted(facts.findings)) if facts.findings else "none"
    text.append(f"Measures taken: {measured}.")
    return tuple(text)
