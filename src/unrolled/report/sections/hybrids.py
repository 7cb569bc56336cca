"""Convolution under recurrence, and GRU against LSTM."""

from __future__ import annotations

from unrolled.evidence.results import ModelResults
from unrolled.report.charts import Axis, DotChart
from unrolled.report.facts import Facts
from unrolled.report.panels import accuracy_dots, cost_bars, value_dots
from unrolled.report.records import Figure, Section
from unrolled.report.words import compact, listed, seconds, share, significant, times


def answer_cnn_lstm(facts: Facts) -> Section:
    """A hybrid against both its halves."""
    slug, question = "cnn-lstm", "What does cnn_lstm make of its two halves, in accuracy and complexity?"
    halves = ("cnn", "lstm")
    missing = facts.lack_models(("cnn", "lstm", "cnn_lstm"))
    whole = facts.model("cnn_lstm")
    present = facts.present(halves)
    if whole is None or not present:
        return Section(
            slug, question, "Not answered here: it takes cnn_lstm beside cnn and lstm.", missing=missing
        )
    better: list[str] = []
    worse: list[str] = []
    open_: list[str] = []
    for half in present:
        found = facts.judge("cnn_lstm", half)
        if found is not None:
            (open_ if not found.decided else better if found.winner == "cnn_lstm" else worse).append(half)
    parts = []
    if better:
        parts.append(f"better than {listed(better)}")
    if worse:
        parts.append(f"worse than {listed(worse)}")
    if open_:
        parts.append(f"not to be told apart from {listed(open_)}")
    reached = share(facts.accuracy("cnn_lstm"))
    headline = f"cnn_lstm, {reached}, is {listed(parts)}." if parts else f"cnn_lstm reaches {reached}."
    sentences = [facts.judged("cnn_lstm", half) for half in present]
    lstm = facts.model("lstm")
    if lstm is not None:
        sentences.append(_work(whole, lstm))
    names = facts.present(("cnn", "lstm", "cnn_lstm"))
    figures = [
        Figure(
            "cnn-lstm-accuracy",
            f"cnn_lstm, {reached}, between or beside its halves",
            headline,
            accuracy_dots(facts, names),
        )
    ]
    bars = cost_bars(
        facts, names, lambda model: model.flops_per_sequence, "FLOPs per text at full length", "compact"
    )
    if bars is not None:
        figures.append(_cheapest(bars, "cnn-lstm-flops", "operations per text"))
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _work(whole: ModelResults, lstm: ModelResults) -> str:
    text = ""
    if whole.flops_per_sequence and lstm.flops_per_sequence:
        text = (
            "Pooling halves the steps that its LSTM takes: "
            f"{compact(whole.flops_per_sequence)} FLOPs per text, "
            f"{times(whole.flops_per_sequence / lstm.flops_per_sequence)} those of lstm"
        )
    if whole.seconds_per_epoch and lstm.seconds_per_epoch:
        mine, theirs = whole.seconds_per_epoch.median, lstm.seconds_per_epoch.median
        text += f"; an epoch takes {seconds(mine)} against {seconds(theirs)}"
    if whole.parameters and lstm.parameters:
        text += f"; {compact(whole.parameters)} parameters against {compact(lstm.parameters)}"
    return text + "." if text else ""


def _cheapest(bars: DotChart, slug: str, noun: str) -> Figure:
    most = max(bars.dots, key=lambda dot: dot.value)
    least = min(bars.dots, key=lambda dot: dot.value)
    ratio = significant(most.value / least.value, 2) if least.value else "many"
    title = f"{least.row} gets by with the fewest {noun}"
    return Figure(slug, title, f"{most.row} needs {ratio} times as many.", bars)


def answer_gru(facts: Facts) -> Section:
    """GRU against LSTM, and with dropout against without."""
    slug, question = "gru", "GRU or LSTM, and with dropout or without?"
    wanted = ("gru", "lstm", "cnn_gru", "cnn_lstm", "cnn_gru_long", "cnn_gru_dropout")
    missing = facts.lack_models(wanted)
    pair = facts.judge("gru", "lstm")
    alone = "gru", "lstm"
    if pair is None and facts.judge("cnn_gru", "cnn_lstm") is not None:
        pair, alone = facts.judge("cnn_gru", "cnn_lstm"), ("cnn_gru", "cnn_lstm")
    if pair is None:
        headline = "Not answered here: it takes a GRU and an LSTM compared on the same items."
    elif pair.winner is None:
        headline = f"Between {alone[0]} and {alone[1]} the evidence does not decide."
    else:
        headline = f"{pair.first} is {share(pair.difference)} more accurate than {pair.second}."
    plain = "cnn_gru_long" if facts.model("cnn_gru_long") else "cnn_gru"
    dropout = facts.judge("cnn_gru_dropout", plain)
    if dropout is not None:
        if dropout.winner == "cnn_gru_dropout":
            headline += f" Dropout gains {share(dropout.difference)}."
        elif dropout.winner is None:
            headline += " Whether dropout helps is undecided."
        else:
            headline += f" Dropout costs {share(dropout.difference)}."
    sentences = [
        facts.judged("gru", "lstm"),
        facts.judged("cnn_gru", "cnn_lstm"),
        facts.judged("cnn_gru_dropout", plain),
        _size(facts),
        _gap(facts, plain),
    ]
    names = facts.present(wanted)
    figures = []
    if len(names) > 1:
        best = max(names, key=facts.accuracy)
        title = f"{best} is ahead among gated cells as measured, {share(facts.accuracy(best))}"
        figures.append(Figure("gru-accuracy", title, headline, accuracy_dots(facts, names)))
    bars = cost_bars(
        facts, names, lambda model: model.flops_per_sequence, "FLOPs per text at full length", "compact"
    )
    if bars is not None:
        figures.append(_cheapest(bars, "gru-flops", "operations per text"))
    axis = Axis("training minus validation accuracy at the epoch kept", "signed")
    gaps = value_dots(facts, "learning", "gap", axis, [plain, "cnn_gru_dropout"])
    if gaps is not None and len(gaps.dots) == 2:
        title = f"{gaps.dots[0].row} learns its training items more by heart than {gaps.dots[1].row}"
        conclusion = "A gap of 0 is as good on unseen items as on those learned from."
        figures.append(Figure("dropout-gap", title, conclusion, gaps))
    missing += facts.lack("learning", "How far training and validation accuracy part was not collected")
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _size(facts: Facts) -> str:
    gru, lstm = facts.model("gru"), facts.model("lstm")
    if gru is None or lstm is None or not (gru.parameters and lstm.parameters):
        return ""
    text = (
        f"gru has {compact(gru.parameters)} parameters where lstm has "
        f"{compact(lstm.parameters)}: three parts for four"
    )
    if gru.flops_per_sequence and lstm.flops_per_sequence:
        text += f", and {times(gru.flops_per_sequence / lstm.flops_per_sequence)} its operations"
    if gru.seconds_per_epoch and lstm.seconds_per_epoch:
        mine, theirs = gru.seconds_per_epoch.median, lstm.seconds_per_epoch.median
        text += f"; an epoch takes {seconds(mine)} against {seconds(theirs)}"
    return text + "."


def _gap(facts: Facts, plain: str) -> str:
    first, second = (facts.value("learning", name, "gap") for name in (plain, "cnn_gru_dropout"))
    if first is None or second is None:
        return ""
    verb = "narrows" if second < first else "does not narrow"
    return (
        f"Dropout {verb} the gap between training and validation accuracy: {share(second)} with it, "
        f"{share(first)} without, at the epochs kept."
    )
