"""The plain recurrent network, gradients through time, and LSTM."""

from __future__ import annotations

from unrolled.report.charts import Axis, LineChart, Reference, Series
from unrolled.report.charts.tables import Cell
from unrolled.report.facts import Facts
from unrolled.report.panels import accuracy_dots, choose_curves, cost_bars, curves
from unrolled.report.records import Figure, Grid, Section
from unrolled.report.verdict import bounds_text
from unrolled.report.words import capital, compact, count, listed, share, significant, times, whole_steps

RECURRENT = ("simple_rnn", "gru", "lstm", "bilstm", "stacked_lstm", "cnn_lstm", "cnn_gru")


def answer_simple_rnn(facts: Facts) -> Section:
    """Gain or drop, what went wrong, its size, and how to shrink it."""
    slug, question = (
        "simple-rnn",
        "Does a plain recurrent network gain or lose, why, and how could it be smaller?",
    )
    wanted = ("embedding_dense", "cnn", "simple_rnn", "lstm")
    missing = facts.lack_models(wanted)
    if facts.model("simple_rnn") is None:
        headline = "Not answered here: simple_rnn has no figures in this study."
        return Section(slug, question, headline, missing=missing)
    missing += facts.lack("memory", "How far back it remembers was not measured")
    missing += facts.lack("gradients", "What reaches it of the gradient was not measured")
    decided = {"gain": [], "drop": [], "open": []}  # type: dict[str, list[str]]
    for other in facts.present(("embedding_dense", "cnn", "lstm")):
        found = facts.judge("simple_rnn", other)
        if found is not None:
            key = "open" if not found.decided else "gain" if found.winner == "simple_rnn" else "drop"
            decided[key].append(other)
    parts = [
        text
        for key, text in (
            ("gain", f"a gain over {listed(decided['gain'])}"),
            ("drop", f"a drop against {listed(decided['drop'])}"),
            ("open", f"undecided against {listed(decided['open'])}"),
        )
        if decided[key]
    ]
    reached = share(facts.accuracy("simple_rnn"))
    headline = f"simple_rnn reaches {reached}" + (f": {listed(parts)}." if parts else ".")
    sentences = [f"simple_rnn: {bounds_text(facts, 'simple_rnn')}."]
    sentences += [
        facts.judged("simple_rnn", other) for other in facts.present(("embedding_dense", "cnn", "lstm"))
    ]
    sentences += [_went_wrong(facts), _shrink(facts)]
    figures = []
    names = facts.present((*wanted, "gru"))
    if len(names) > 1:
        title = f"simple_rnn, {reached}, beside models of other kinds"
        best = max(names, key=facts.accuracy)
        conclusion = (
            "Recurrence as such is no weakness: hold simple_rnn against "
            "the gated cells, which are recurrent too."
            if best in ("gru", "lstm")
            else f"As measured, {best} is ahead of these."
        )
        figures.append(Figure("simple-rnn-accuracy", title, conclusion, accuracy_dots(facts, names)))
    bars = cost_bars(facts, names, lambda model: model.parameters, "parameters (weights)", "compact")
    if bars is not None:
        order = sorted(bars.dots, key=lambda dot: dot.value)
        title = f"{order[0].row} is the smallest with {compact(order[0].value)} parameters"
        conclusion = (
            f"{order[-1].row} holds {significant(order[-1].value / order[0].value, 2)} "
            "times as many. A recurrent layer "
            "uses one set of weights at every step, so a longer text makes it slower and not larger."
        )
        figures.append(Figure("simple-rnn-parameters", title, conclusion, bars))
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _went_wrong(facts: Facts) -> str:
    finding = facts.of("gradients", "simple_rnn")
    text = ""
    if finding is not None:
        after = facts.value("gradients", "simple_rnn", "decay_after")
        before = facts.value("gradients", "simple_rnn", "decay_before")
        behaviour = str(finding.values.get("behaviour_after"))
        if before is not None and after is not None:
            text = (
                f"Its gradient is multiplied by {significant(before)} per step back before training and by "
                f"{significant(after)} after it, which counts as {behaviour}"
            )
            lost = facts.value("gradients", "simple_rnn", "noise_steps_after")
            text += f"; after {whole_steps(lost)} nothing of it is left." if lost is not None else "."
    reach, other = (facts.value("memory", name, "half_steps") for name in ("simple_rnn", "lstm"))
    if reach is not None:
        text += f" A word's influence on its answer is halved {whole_steps(reach)} from the end"
        text += f"; in lstm that takes {whole_steps(other)}." if other is not None else "."
    drop = facts.of("order", "simple_rnn")
    if drop is not None and drop.values.get("order_matters") is False:
        text += (
            " Shuffling all words costs it nothing that can be told from chance: it makes no use of order."
        )
    return text.strip()


def _shrink(facts: Facts) -> str:
    settings, model = facts.settings.get("simple_rnn", {}), facts.model("simple_rnn")
    vocabulary, size, units = (settings.get(name) for name in ("vocabulary_size", "embedding_size", "units"))
    if model is None or not model.parameters:
        return ""
    if not (isinstance(vocabulary, int) and isinstance(size, int) and isinstance(units, int)) or not size:
        return (
            "How its parameters are shared out is not recorded in this "
            "study, so no advice on shrinking it follows."
        )
    table, recurrent = vocabulary * size, units * (size + units + 1)
    saved_size = vocabulary * (size - size // 2) + units * (size - size // 2)
    saved_units = recurrent - (units // 2) * (size + units // 2 + 1)
    larger, advice = (
        (
            table,
            (
                f"Half the embedding's size would save {compact(saved_size)}; "
                f"half the units only {compact(saved_units)}"
            ),
        )
        if saved_size > saved_units
        else (
            recurrent,
            (
                f"Half the units would save {compact(saved_units)}; half "
                f"the embedding's size {compact(saved_size)}"
            ),
        )
    )
    share_of = significant(100 * larger / model.parameters, 2)
    where = "embedding" if larger == table else "recurrent layer"
    return (
        f"Of its {compact(model.parameters)} parameters the {where} "
        f"holds {compact(larger)} ({share_of}%), the recurrent "
        f"layer {compact(recurrent)}. {advice}, and the network would "
        "recur as before; a smaller vocabulary saves in "
        "the same place."
        if where == "embedding"
        else f"Of its {compact(model.parameters)} parameters the {where} "
        f"holds {compact(larger)} ({share_of}%). {advice}."
    )


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


def answer_lstm(facts: Facts) -> Section:
    """LSTM against a plain recurrent network, with more layers, in both directions, and its size."""
    slug, question = (
        "lstm",
        (
            "What does an LSTM gain over a plain recurrent network, with "
            "more layers or directions, and for what size?"
        ),
    )
    wanted = ("simple_rnn", "lstm", "bilstm", "stacked_lstm")
    missing = facts.lack_models(wanted)
    lstm = facts.model("lstm")
    if lstm is None:
        return Section(
            slug, question, "Not answered here: lstm has no figures in this study.", missing=missing
        )
    found = facts.judge("lstm", "simple_rnn")
    if found is None:
        headline = f"lstm reaches {share(facts.accuracy('lstm'))}; it was not compared with simple_rnn."
    elif found.winner == "lstm":
        headline = f"At equal units, lstm gains {share(found.difference)} over simple_rnn."
    elif found.winner is None:
        headline = "At equal units, lstm and simple_rnn cannot be told apart."
    else:
        headline = f"At equal units, lstm loses {share(found.difference)} against simple_rnn."
    sentences = [f"lstm: {bounds_text(facts, 'lstm')}."]
    sentences += [
        facts.judged("lstm", other) for other in facts.present(("simple_rnn", "bilstm", "stacked_lstm"))
    ]
    plain = facts.model("simple_rnn")
    if plain is not None and plain.parameters and lstm.parameters:
        ratio = lstm.parameters / plain.parameters
        sentences.append(
            f"lstm has {compact(lstm.parameters)} parameters, {times(ratio)} "
            "those of simple_rnn: its recurrent layer is four "
            "times as large, one part for each gate and one for the candidate, on the same embedding."
        )
    extra = [name for name in facts.present(("bilstm", "stacked_lstm")) if _pays(facts, name) is not None]
    if extra:
        paying = [name for name in extra if _pays(facts, name)]
        sentences.append(
            f"A second layer or direction pays off in {listed(paying)}."
            if paying
            else f"A second layer or direction ({listed(extra)}) buys "
            "no accuracy that can be told from chance."
        )
    growth = facts.value("complexity", "lstm", "flops_growth_with_units")
    if growth is not None:
        sentences.append(
            f"With more units its operations grow with their number to the power {significant(growth, 2)}."
        )
    else:
        missing += facts.lack("complexity", "How its cost grows with units and length was not measured")
    figures = []
    names = facts.present(wanted)
    if len(names) > 1:
        best = max(names, key=facts.accuracy)
        conclusion = headline
        title = f"{best} is the most accurate of the family as measured, {share(facts.accuracy(best))}"
        figures.append(Figure("lstm-accuracy", title, conclusion, accuracy_dots(facts, names)))
    bars = cost_bars(
        facts, names, lambda model: model.flops_per_sequence, "FLOPs per text at full length", "compact"
    )
    if bars is not None:
        most = max(bars.dots, key=lambda dot: dot.value)
        least = min(bars.dots, key=lambda dot: dot.value)
        title = (
            f"{most.row} computes {significant(most.value / least.value, 2)} "
            f"times as much per text as {least.row}"
        )
        figures.append(
            Figure("lstm-flops", title, "Gates, layers and directions multiply the work of every step.", bars)
        )
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _pays(facts: Facts, name: str) -> bool | None:
    found = facts.judge(name, "lstm")
    return None if found is None else found.winner == name
