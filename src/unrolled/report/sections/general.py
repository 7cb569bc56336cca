"""What order is worth, what long texts do, and the limits and advantages of each kind of model."""

from __future__ import annotations

from unrolled.report.charts import Axis, Reference
from unrolled.report.charts.tables import Cell
from unrolled.report.facts import Facts, accuracy_of, difference
from unrolled.report.panels import choose_curves, curves, trade_off, value_dots
from unrolled.report.records import Figure, Grid, Section
from unrolled.report.words import (
    compact,
    listed,
    milliseconds,
    roster,
    share,
    signed,
    significant,
    whole_steps,
)

SHOWN = ("linear", "embedding_dense", "cnn", "simple_rnn", "gru", "lstm", "cnn_lstm")


def answer_order(facts: Facts) -> Section:
    """Whether temporal information helps, and what a convolution sees of it."""
    slug, question = "order", "Does the order of words help, and what does a convolution see of it?"
    missing = facts.lack("order", "What shuffling the words costs was not measured")
    found = facts.findings.get("order", ())
    if not found:
        return Section(slug, question, "Not answered here: no words were shuffled.", missing=missing)
    among = [finding.model for finding in found]
    uses = [finding.model for finding in found if finding.values.get("order_matters") is True]
    ignores = [finding.model for finding in found if finding.values.get("order_matters") is not True]
    most = max(found, key=lambda finding: facts.value("order", finding.model, "drop") or 0)
    largest = facts.value("order", most.model, "drop") or 0.0
    if uses and ignores:
        headline = (
            f"Order helps {roster(uses, among)}; {roster(ignores, among)} "
            f"{'loses' if len(ignores) == 1 else 'lose'} nothing sure without it."
        )
    elif uses:
        headline = f"Order helps every model: shuffled words cost up to {share(largest)} of accuracy."
    else:
        headline = (
            "No model is shown to use the order of words: shuffling "
            "costs nothing that can be told from chance."
        )
    sentences = []
    if uses:
        low, high = (facts.value("order", most.model, f"drop_{end}") for end in ("low", "high"))
        sentences.append(
            f"{most.model} depends on it the most: with all words shuffled "
            f"it loses {difference(largest, low, high)} of "
            f"its accuracy on the same texts."
        )
    sentences.append(_windows(facts))
    figures = []
    axis = Axis("accuracy lost when all words are shuffled", "signed")
    dots = value_dots(facts, "order", "drop", axis, references=(Reference(0.0, "no loss"),))
    if dots is not None:
        title = f"{dots.dots[0].row} loses the most without order, {dots.dots[-1].row} the least"
        conclusion = "An interval that holds 0 means: no use of order was shown."
        figures.append(Figure("order-drop", title, conclusion, dots))
    chart = curves(
        facts,
        "order",
        "accuracy",
        choose_curves(facts, SHOWN),
        x=Axis("words per shuffled window, 1 as written (logarithmic)", "count", log=True),
        y=Axis("accuracy", "share"),
    )
    if chart is not None:
        title = (
            f"The wider the shuffled window, the more {most.model} loses"
            if uses
            else "Shuffling within windows changes little"
        )
        conclusion = (
            "A fall at windows of 2 to 4 shows use of neighbouring "
            "words; a later one, of order across a clause."
        )
        figures.append(Figure("order-windows", title, conclusion, chart))
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _windows(facts: Facts) -> str:
    finding = facts.of("order", "cnn")
    if finding is None or "drop" not in finding.curves:
        return ""
    curve = finding.curves["drop"]
    local = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if 1 < x <= 4 and y is not None]
    whole = facts.value("order", "cnn", "drop")
    if not local or whole is None:
        return ""
    x, lost = local[-1]
    low, high = (facts.value("order", "cnn", f"drop_{end}") for end in ("low", "high"))
    text = (
        "A filter of cnn sees three words at a time. Shuffling within "
        f"windows of {x:g} costs it {signed(-lost)}, "
        f"shuffling everything {signed(-whole)}"
    )
    if low is not None and high is not None and low <= 0 <= high:
        return (
            text
            + "; the latter cannot be told from nothing, so its filters work as detectors of single words."
        )
    return text + ": what its filters extract is short phrases."


def answer_long(facts: Facts) -> Section:
    """Why long texts are hard, and for whom."""
    slug, question = "long", "Why does a plain recurrent network fail on long texts, and who copes?"
    missing = facts.lack("length", "Accuracy by length was not measured")
    missing += facts.lack("memory", "How far back each model remembers was not measured")
    found = facts.findings.get("length", ())
    among = [finding.model for finding in found]
    falling: list[str] = []
    holding: list[str] = []
    for finding in found:
        low = facts.value("length", finding.model, "gap_low")
        if low is not None:
            (falling if low > 0 else holding).append(finding.model)
    if not found and not facts.findings.get("memory"):
        return Section(
            slug, question, "Not answered here: neither length nor memory was measured.", missing=missing
        )
    if not found:
        headline = "Accuracy by length was not measured; what follows is about memory alone."
    elif falling and holding:
        headline = (
            f"Long texts cost {roster(falling, among)} accuracy; for "
            f"{roster(holding, among)} no loss is shown."
        )
    elif falling:
        headline = "Long texts cost every model accuracy."
    else:
        headline = "No model is shown to lose accuracy on the longest texts of this corpus."
    sentences, figures = [], []
    for name in facts.present(("simple_rnn", "gru", "lstm")):
        gap = facts.value("length", name, "gap")
        if gap is not None:
            low, high = (facts.value("length", name, f"gap_{end}") for end in ("low", "high"))
            decided = low is not None and high is not None and (low > 0 or high < 0)
            note = "" if decided else ", which does not decide"
            sentences.append(f"{name}: shortest minus longest texts {difference(gap, low, high)}{note}.")
    chart = curves(
        facts,
        "length",
        "accuracy_by_length",
        choose_curves(facts, ("embedding_dense", "cnn", "simple_rnn", "gru", "lstm", "cnn_lstm")),
        x=Axis("median tokens of the texts", "count"),
        y=Axis("accuracy", "share"),
    )
    if chart is not None:
        title = (
            f"Accuracy falls with length in {listed(falling)}"
            if falling
            else "Accuracy does not surely fall with length"
        )
        figures.append(
            Figure(
                "length",
                title,
                "Bands are 95% intervals; where they overlap, the evidence does not decide.",
                chart,
            )
        )
    chart = curves(
        facts,
        "memory",
        "change",
        choose_curves(facts, ("simple_rnn", "gru", "lstm", "bilstm", "cnn_lstm", "cnn")),
        x=Axis("tokens from the end", "count"),
        y=Axis("change of the log-odds when the token is replaced (logarithmic)", "number", log=True),
    )
    halves = {
        finding.model: facts.value("memory", finding.model, "half_steps")
        for finding in facts.findings.get("memory", ())
    }
    shown = {name: halves[name] for name in ("simple_rnn", "gru", "lstm") if name in halves}
    if shown:
        parts = [
            f"{name} {whole_steps(value)} from the end" if value is not None else f"{name} nowhere"
            for name, value in shown.items()
        ]
        sentences.append(
            f"A replaced word moves the answer half as much as the last one does: {listed(parts)}."
        )
    if chart is not None:
        known = {name: value for name, value in shown.items() if value is not None}
        title = "How much a word still moves the answer, by its distance from the end"
        if known and len(known) == len(shown) and len(set(known.values())) == len(known) > 1:
            title = (
                f"{min(known, key=lambda n: known[n])} forgets first, "
                f"{max(known, key=lambda n: known[n])} last"
            )
        conclusion = (
            "A line that falls is a model that listens to the end of a text; a flat one hears all of it."
        )
        figures.append(Figure("memory", title, conclusion, chart))
    sentences.append(_enough(facts))
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _enough(facts: Facts) -> str:
    best = facts.ranked[0].name if facts.ranked else ""
    enough = facts.value("length", best, "enough_tokens")
    finding = facts.of("length", best)
    if enough is None or finding is None:
        return ""
    part = str(finding.values.get("better_part"))
    where = {"tail": "the last", "head": "the first"}.get(part, "the last")
    return (
        f"{best} needs only {where} {compact(enough)} tokens of a text to be as accurate as with all of it."
    )


def answer_limits(facts: Facts) -> Section:
    """Limits and advantages of each kind: accuracy, size, time, use of order, accuracy per memory."""
    slug, question = (
        "limits",
        "What are the limits and advantages of each kind, and what does its memory buy?",
    )
    kinds = (
        ("Bag of n-grams", ("linear",)),
        ("Dense", ("dense", "embedding_dense")),
        ("CNN", ("cnn",)),
        ("Plain RNN", ("simple_rnn",)),
        ("GRU", ("gru",)),
        ("LSTM", ("lstm", "bilstm", "stacked_lstm")),
        ("CNN under RNN", ("cnn_lstm", "cnn_gru", "cnn_gru_long", "cnn_gru_dropout")),
    )
    if not facts.ranked:
        return Section(slug, question, "Not answered here: no model has figures.")
    rows: list[tuple[Cell, ...]] = []
    named = {name for _, names in kinds for name in names}
    others = tuple(model.name for model in facts.ranked if model.name not in named)
    best_of: dict[str, str] = {}
    for kind, names in (*kinds, ("Other", others)):
        present = facts.present(names)
        if not present:
            continue
        best = max(present, key=facts.accuracy)
        best_of[kind] = best
        model = facts.model(best)
        if model is None:
            continue
        finding = facts.of("order", best)
        uses = "not measured"
        if finding is not None:
            drop = facts.value("order", best, "drop")
            uses = (
                f"yes, {signed(-drop)} shuffled"
                if finding.values.get("order_matters") is True and drop is not None
                else "none shown"
            )
        megabytes = (model.weights_bytes or 0) / 1e6
        gain = accuracy_of(model) - facts.guessing
        rows.append(
            (
                kind,
                best,
                accuracy_of(model),
                model.parameters,
                megabytes or None,
                model.latency_ms.p50 if model.latency_ms else None,
                uses,
                gain / megabytes if megabytes else None,
            )
        )
    columns = (
        "kind",
        "its best",
        "accuracy",
        "parameters",
        "MB on disk",
        "ms per text",
        "use of order",
        "gain per MB",
    )
    formats = ("text", "text", "share", "compact", "number", "number2", "text", "signed_number")
    note = (
        f"Gain per MB: accuracy above guessing ({share(facts.guessing)}) "
        "for each megabyte of weights on disk. "
        "Use of order: what shuffling all words costs, where it is more than chance."
    )
    table = Grid("kinds", "The best of each kind", columns, formats, tuple(rows), note)
    figures = []
    found = trade_off(
        facts,
        lambda m: m.weights_bytes / 1e6 if m.weights_bytes else None,
        "weights on disk, MB (logarithmic)",
        "number",
    )
    thrifty = max(
        (row for row in rows if row[7] is not None), key=lambda row: float(row[7] or 0), default=None
    )
    leader = facts.ranked[0]
    headline = f"{leader.name} is ahead in accuracy"
    if thrifty is not None:
        headline += (
            ", and in accuracy per megabyte as well."
            if thrifty[1] == leader.name
            else f"; per megabyte of weights, {thrifty[1]} gives the most."
        )
    else:
        headline += "; sizes were not recorded."
    if found is not None:
        chart, front = found
        title = (
            f"Beyond {front[-1]}, more weights buy no accuracy"
            if len(front) > 1
            else f"{front[0]} is the smallest and the most accurate"
        )
        conclusion = f"For a given size, take one of {listed(front, 'or')}."
        figures.append(Figure("size", title, conclusion, chart))
    sentences = [_describe(facts, kind, name) for kind, name in best_of.items()]
    missing = facts.lack("order", "Use of order was not measured")
    return Section(
        slug, question, headline, tuple(filter(None, sentences)), tuple(figures), (table,), missing
    )


def _describe(facts: Facts, kind: str, name: str) -> str:
    """One kind's best, held against the leader: what it loses and what it saves."""
    leader, model = facts.ranked[0], facts.model(name)
    if model is None:
        return ""
    if name == leader.name:
        parts = []
        drop = facts.of("order", name)
        if drop is not None and drop.values.get("order_matters") is True:
            parts.append("uses the order of words")
        slowest = max(facts.ranked, key=lambda m: m.latency_ms.p50 if m.latency_ms else 0)
        if model.latency_ms:
            parts.append(
                f"answers in {milliseconds(model.latency_ms.p50)}"
                + (" and is the slowest here" if slowest is model else "")
            )
        return f"{kind}: {name} leads" + (f", {listed(parts)}." if parts else ".")
    found = facts.judge(name, leader.name)
    gap = accuracy_of(leader) - accuracy_of(model)
    text = f"{kind}: {name} is {share(gap)} behind {leader.name}"
    if found is not None and not found.decided:
        text = f"{kind}: {name} cannot be told apart from {leader.name} in accuracy"
    saves = []
    for mine, theirs, noun in (
        (model.parameters, leader.parameters, "parameters"),
        (
            model.latency_ms.p50 if model.latency_ms else None,
            leader.latency_ms.p50 if leader.latency_ms else None,
            "time per text",
        ),
    ):
        if mine and theirs:
            ratio = mine / theirs
            saves.append(f"{significant(ratio, 2)} times its {noun}")
    return text + (f", with {listed(saves)}." if saves else ".")
