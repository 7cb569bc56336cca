"""What the study says in three sentences, its table, and its first figures."""

from __future__ import annotations

from unrolled.evidence.choice import pareto_front
from unrolled.report.charts.tables import Cell
from unrolled.report.facts import Facts, accuracy_of
from unrolled.report.panels import accuracy_dots, trade_off
from unrolled.report.records import Figure, Grid
from unrolled.report.words import count, interval, listed, milliseconds, share, significant, times


def write_verdict(facts: Facts) -> tuple[str, ...]:
    """Who leads, what to take for less, and how sure that is: three sentences."""
    if not facts.ranked:
        states = listed([f"{model.name} ({model.status})" for model in facts.results.models])
        return (
            "No model of this study has an accuracy.",
            f"Its runs: {states}.",
            "Nothing can be concluded until a run ends; the command that began the study goes on with it.",
        )
    return _leader(facts), _bargain(facts), _certainty(facts)


def equals_of(facts: Facts, name: str) -> list[str]:
    """The models that this study cannot tell apart from one, the most accurate first."""
    found = []
    for other in facts.ranked:
        judgement = facts.judge(name, other.name) if other.name != name else None
        if judgement is not None and not judgement.decided:
            found.append(other.name)
    return found


def _leader(facts: Facts) -> str:
    best = facts.ranked[0]
    text = (
        f"{best.name} is the most accurate of {count(len(facts.ranked))} "
        f"models with {share(accuracy_of(best))}"
    )
    if len(facts.ranked) == 1:
        return f"{best.name} reaches a test accuracy of {share(accuracy_of(best))}; nothing stands beside it."
    if facts.results.comparison is None:
        return f"{text}, but the models were not compared on the same items, so the order may be chance."
    equal = equals_of(facts, best.name)
    if not equal:
        second = facts.ranked[1]
        judgement = facts.judge(best.name, second.name)
        gap = judgement.difference if judgement else accuracy_of(best) - accuracy_of(second)
        return f"{text}, and its lead of {share(gap)} over {second.name} is more than chance."
    if len(equal) == len(facts.ranked) - 1:
        return f"{text}, but the evidence does not decide: no model can be told apart from it."
    return f"{text}, but the evidence does not decide between it and {listed(equal)}."


def _bargain(facts: Facts) -> str:
    """The cheapest model that is as good as can be told, or what the leader's place costs."""
    best = facts.ranked[0]
    peers = [best.name, *equals_of(facts, best.name)]
    timed = [
        (model.latency_ms.p50, model)
        for model in facts.ranked
        if model.name in peers and model.latency_ms is not None
    ]
    if best.latency_ms is None or not timed:
        return "What the models cost per text was not measured."
    fastest = min(timed, key=lambda pair: pair[0])[1]
    mine = best.latency_ms.p50
    if fastest.name != best.name and fastest.latency_ms is not None:
        ratio = mine / fastest.latency_ms.p50
        size = _size(fastest.parameters, best.parameters)
        return (
            f"Of those that cannot be told apart, {fastest.name} answers fastest: "
            f"{milliseconds(fastest.latency_ms.p50)} for one text where "
            f"{best.name} takes {significant(ratio, 2)} "
            f"times as long{size}."
        )
    cheaper = [
        model
        for model in facts.ranked
        if model.latency_ms is not None and model.latency_ms.p50 < mine and model.name != best.name
    ]
    if not cheaper:
        return f"It is the fastest as well: {milliseconds(mine)} for one text."
    other = cheaper[0]
    spent = other.latency_ms.p50 if other.latency_ms else mine
    return (
        f"It takes {milliseconds(mine)} for one text; the most accurate "
        f"of the faster models, {other.name}, takes "
        f"{milliseconds(spent)} and gives up {share(accuracy_of(best) - accuracy_of(other))}."
    )


def _size(small: int | None, large: int | None) -> str:
    if not small or not large:
        return ""
    ratio = small / large
    return f", with {times(ratio)} {'its' if abs(ratio - 1) > 0.05 else 'as many'} parameters"


def _certainty(facts: Facts) -> str:
    best = facts.results.dataset.best_accuracy
    ceiling = (
        f"; no classifier can be expected above {share(best)} on this corpus" if best is not None else ""
    )
    comparison = facts.results.comparison
    if comparison is None:
        low, high = facts.bounds(facts.ranked[0].name)
        return f"Its accuracy is known to within {share(low)} to {share(high)} (95% interval){ceiling}."
    smallest = share(comparison.smallest_difference)
    if facts.single:
        return (
            "This holds for these trained models, each from a single run, and not yet for the architectures "
            "(run again with `--seeds 3`); differences below about "
            f"{smallest} would mostly go unseen{ceiling}."
        )
    seeds = max(len(model.test_accuracy.values) for model in facts.ranked if model.test_accuracy)
    return (
        f"It holds for architectures, over up to {seeds} seeds "
        f"each; differences below about {smallest} would "
        f"mostly go unseen{ceiling}."
    )


def model_table(facts: Facts) -> Grid:
    """Every model, the most accurate first; those without figures say why."""
    notebook = any(model.best_epoch_test_accuracy for model in facts.results.models)
    columns = ["model", "accuracy", "from", "to", "same", "parameters", "FLOPs"]
    kinds = ["text", "share", "share", "share", "text", "count", "compact"]
    columns += ["s/epoch", "memory", "ms", "ms p95"]
    kinds += ["number2", "megabytes", "number2", "number2"]
    if notebook:
        columns.append("best epoch on test")
        kinds.append("share")
    rows: list[tuple[Cell, ...]] = []
    others = [model for model in facts.results.models if model.test_accuracy is None]
    for model in (*facts.ranked, *others):
        known = model.test_accuracy is not None
        low, high = facts.bounds(model.name) if known else (None, None)
        cells: list[Cell] = [model.name, accuracy_of(model) if known else None, low, high]
        cells += [model.letters if known else model.status, model.parameters, model.flops_per_sequence]
        cells += [model.seconds_per_epoch.median if model.seconds_per_epoch else None]
        cells += [model.peak_memory_bytes or None]
        cells += [model.latency_ms.p50 if model.latency_ms else None]
        cells += [model.latency_ms.p95 if model.latency_ms else None]
        if notebook:
            best = model.best_epoch_test_accuracy
            cells.append(best.mean if best else None)
        rows.append(tuple(cells))
    note = (
        f"From and to: 95% interval over {facts.over}. Same: models "
        "that share a letter cannot be told apart. "
        "FLOPs: one multiply-add is 2, forward pass at full length. Memory: the process "
        "at its peak in training. ms: median for one text, and what "
        "95 of 100 stay below. Times are one thread's."
    )
    if notebook:
        note += " Best epoch on test is chosen on the test part, so it is optimistic."
    return Grid(
        "models", "Every model, the most accurate first", tuple(columns), tuple(kinds), tuple(rows), note
    )


def overview(facts: Facts) -> tuple[Figure, ...]:
    """Accuracy of all models, and accuracy against what an answer costs."""
    if not facts.ranked:
        return ()
    names = [model.name for model in facts.ranked]
    best = names[0]
    equal = equals_of(facts, best)
    low, high = facts.bounds(best)
    title = f"{best} is at the top with {share(facts.accuracy(best))}"
    if equal:
        title += f", level with {listed(equal)}"
        conclusion = (
            f"Take the order among {listed([best, *equal])} as undecided; "
            "where intervals are far apart, the order is real."
        )
    else:
        conclusion = (
            f"Its accuracy lies between {share(low)} and {share(high)} (95% interval over {facts.over})."
        )
    figures = [Figure("accuracy", title, conclusion, accuracy_dots(facts, names))]
    found = trade_off(
        facts,
        lambda model: model.latency_ms.p50 if model.latency_ms else None,
        "median time for one text, milliseconds (logarithmic)",
        "number",
    )
    if found is not None:
        chart, front = found
        conclusion = (
            f"Only {listed(front)} {'is' if len(front) == 1 else 'are'} "
            "worth the time: every other model is beaten by "
            "one that is at least as fast and more accurate, as measured."
        )
        costs = ("accuracy", "latency_ms", "size_mb", "training_seconds")
        wide = [name for name in pareto_front(facts.results.models, costs) if name not in front]
        if wide:
            conclusion += f" With size and training time counted as well, {listed(wide)} may be."
        title = f"More time buys accuracy up to {front[-1]}"
        if len(front) == 1:
            title = f"{front[0]} is both the fastest and the most accurate"
        figures.append(Figure("trade-off", title, conclusion, chart))
    return tuple(figures)


def bounds_text(facts: Facts, name: str) -> str:
    """A model's accuracy with its interval, in words."""
    return f"{share(facts.accuracy(name))} ({interval(*facts.bounds(name))})"
