"""The plain recurrent network, and LSTM."""

from __future__ import annotations

from unrolled.report.facts import Facts
from unrolled.report.panels import accuracy_dots, cost_bars
from unrolled.report.records import Figure, Section
from unrolled.report.verdict import bounds_text
from unrolled.report.words import compact, listed, share, significant, times, whole_steps


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
