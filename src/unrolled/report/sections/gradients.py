"""How gradients vanish or explode when a network is unrolled."""

from __future__ import annotations

from unrolled.report.charts import Axis, LineChart, Reference, Series
from unrolled.report.charts.tables import Cell
from unrolled.report.facts import Facts
from unrolled.report.panels import choose_curves, curves
from unrolled.report.records import Figure, Grid, Section
from unrolled.report.words import capital, count, listed, significant, whole_steps

RECURRENT = ("simple_rnn", "gru", "lstm", "bilstm", "stacked_lstm", "cnn_lstm", "cnn_gru")


def answer_gradients(facts: Facts) -> Section:
    """How gradients vanish or explode on their way back."""
    slug, question = (
        "gradients",
        "How do gradients vanish or explode when a network is unrolled over a long text?",
    )
    missing = facts.lack("gradients", "Gradients through time were not measured")
    missing += facts.lack(
        "recall", "How far each cell can carry one bit was not measured (this trains small networks)"
    )
    found = facts.findings.get("gradients", ())
    if not found:
        headline = "Not answered here: gradients through time were not measured."
        return Section(slug, question, headline, (_chain(),), missing=missing)
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in found:
        for when in ("before", "after"):
            groups.setdefault((when, str(finding.values.get(f"behaviour_{when}"))), []).append(finding.model)
    headline = _headline(groups, len(found))
    sentences = [_chain()]
    for when, words in (("before", "At the start of training"), ("after", "After training")):
        parts = [
            f"{listed(groups[when, kind])} {'is' if len(groups[when, kind]) == 1 else 'are'} {kind}"
            for kind in ("vanishing", "exploding", "stable")
            if (when, kind) in groups
        ]
        if parts:
            sentences.append(f"{words}, {listed(parts)}.")
    sentences.append(_over_steps(facts))
    figures = []
    x = Axis("steps before the last", "count")
    y = Axis("norm of the loss's gradient, hidden state (logarithmic)", "number", log=True)
    names = choose_curves(facts, RECURRENT)
    for when, words in (("before", "at the start of training"), ("after", "after training")):
        chart = curves(facts, "gradients", f"hidden_{when}", names, x=x, y=y)
        if chart is not None:
            title, conclusion = _picture(facts, groups, when, words)
            figures.append(Figure(f"gradients-{when}", title, conclusion, chart))
    recall, sentence = _recall(facts)
    sentences.append(sentence)
    figures += [recall] if recall else []
    tables = (_table(facts),)
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), tables, missing)


def _chain() -> str:
    return (
        "Going back one step multiplies the gradient by the same matrix, "
        "so over many steps a factor below 1 shrinks it "
        "towards nothing and a factor above 1 blows it up; gates let a state pass with a factor near 1."
    )


def _headline(groups: dict[tuple[str, str], list[str]], total: int) -> str:
    exploding = groups.get(("after", "exploding"), [])
    if exploding:
        return f"After training, gradients explode in {listed(exploding)}."
    vanishing = groups.get(("after", "vanishing"), [])
    if len(vanishing) == total:
        return "Gradients vanish in every recurrent model, before and after training or at least after it."
    if vanishing:
        return (
            f"After training, gradients still vanish in {listed(vanishing)}; in the others they get through."
        )
    early = groups.get(("before", "vanishing"), [])
    if early:
        return (
            f"At first gradients vanish in {listed(early)}; after training they get through in every model."
        )
    return "No model's gradients vanish or explode over the steps measured."


def _over_steps(facts: Facts) -> str:
    parts = []
    steps = None
    for name in facts.present(("simple_rnn", "gru", "lstm")):
        decay = facts.value("gradients", name, "decay_after")
        steps = facts.value("gradients", name, "num_steps") or steps
        if decay is not None and steps:
            parts.append(f"{significant(decay**steps, 2)} in {name}")
    if not parts or not steps:
        return ""
    return f"Over {count(steps)} steps back, the factors per step after training amount to {listed(parts)}."


def _picture(
    facts: Facts, groups: dict[tuple[str, str], list[str]], when: str, words: str
) -> tuple[str, str]:
    lossy, blown = groups.get((when, "vanishing"), []), groups.get((when, "exploding"), [])
    if blown:
        title = f"{capital(words)}, the gradient grows backwards in {listed(blown)}"
        return title, "Clip the gradient's norm there, or lower the learning rate."
    if lossy:
        title = f"{capital(words)}, the gradient fades on its way back in {listed(lossy)}"
        return (
            title,
            (
                "A straight fall on this scale is a constant factor per "
                "step: early words hardly teach the network."
            ),
        )
    return (
        f"{capital(words)}, the gradient reaches early steps in every model",
        "Early words can teach the network.",
    )


def _table(facts: Facts) -> Grid:
    columns = (
        "model",
        "factor before",
        "from",
        "to",
        "before training",
        "factor after",
        "from",
        "to",
        "after training",
    )
    kinds = ("text", "number", "number", "number", "text", "number", "number", "number", "text")
    rows: list[tuple[Cell, ...]] = []
    for finding in facts.findings["gradients"]:
        cells: list[Cell] = [finding.model]
        for when in ("before", "after"):
            cells += [
                facts.value("gradients", finding.model, f"decay_{when}{end}") for end in ("", "_low", "_high")
            ]
            cells.append(str(finding.values.get(f"behaviour_{when}") or "not measured"))
        rows.append(tuple(cells))
    note = facts.findings["gradients"][0].reference
    return Grid("gradient-factors", "The gradient's factor per step back", columns, kinds, tuple(rows), note)


def _recall(facts: Facts) -> tuple[Figure | None, str]:
    finding = facts.of("recall")
    if finding is None:
        return None, ""
    cells = [
        cell
        for cell in ("simple_rnn", "gru", "lstm")
        if facts.value("recall", "", f"reach_{cell}") is not None
    ]
    reaches = {cell: facts.value("recall", "", f"reach_{cell}") or 0 for cell in cells}
    series = []
    for cell in cells:
        settings = [name for name in finding.curves if name.split(".")[0] == cell]
        if not settings:
            continue
        best = max(
            settings, key=lambda name: facts.value("recall", "", f"reach_{name.replace('.', '_')}") or 0
        )
        curve = finding.curves[best]
        tone = facts.tones.get(cell, f"tone-{cell}")
        name = f"{cell} ({', '.join(best.split('.')[1:])})"
        series.append(Series(name, tone, curve.x, curve.y, curve.low, curve.high))
    if not series:
        return None, ""
    chance = facts.value("recall", "", "chance")
    chart = LineChart(
        tuple(series),
        Axis("steps between the bit and the question (logarithmic)", "count", log=True),
        Axis("accuracy", "share"),
        (Reference(chance, "guessing"),) if chance is not None else (),
    )
    parts = [
        f"{cell} over {whole_steps(reach)}" if reach else f"{cell} over none"
        for cell, reach in reaches.items()
    ]
    sentence = f"Asked to carry a single bit, in its best setting each cell managed: {listed(parts)}."
    longest = max(reaches, key=lambda cell: reaches[cell])
    equal = [cell for cell in cells if reaches[cell] == reaches[longest]]
    title = (
        f"{listed(equal)} {'carries' if len(equal) == 1 else 'carry'} one "
        f"bit the farthest, over {whole_steps(reaches[longest])}"
        if len(equal) < len(cells)
        else f"All cells carry one bit equally far, over {whole_steps(reaches[longest])}"
    )
    return Figure(
        "recall",
        title,
        "The setting in brackets decides as much as the cell: clipping, then initialisation.",
        chart,
    ), sentence
