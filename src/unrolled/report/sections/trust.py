"""Which words decide, how learning went, and what padding does: how far the models can be trusted."""

from __future__ import annotations

from unrolled.report.charts import Axis, Dot, DotChart, HeatChart, LineChart, Reference, Series
from unrolled.report.charts.tables import Cell
from unrolled.report.facts import Facts
from unrolled.report.panels import value_dots
from unrolled.report.records import Figure, Grid, Section
from unrolled.report.words import listed, opening, roster, share, shorten, significant

MOST_ROWS = 12


def answer_words(facts: Facts) -> Section:
    """Which words move the answer, and whether that is the truth."""
    slug, question = "words", "Which words move the answer, and are they the right ones?"
    missing = facts.lack("words", "Which words move the answer was not measured")
    missing += facts.lack("pairs", "Whether a negation turns the answer was not measured")
    found = facts.findings.get("words", ())
    sentences: list[str] = []
    figures, tables = [], []
    if found:
        errors = [facts.value("words", finding.model, "completeness_error") for finding in found]
        worst = max((error for error in errors if error is not None), default=None)
        if worst is not None:
            sentences.append(
                f"Attributions are integrated gradients; they add up to what the text changes, to within "
                f"{significant(100 * worst, 2)}% in the worst case."
            )
    scored = [f for f in found if facts.value("words", f.model, "evidence_share") is not None]
    if scored:
        above: list[str] = []
        level: list[str] = []
        among = [finding.model for finding in scored]
        for finding in scored:
            low = facts.value("words", finding.model, "evidence_share_low")
            shuffled = facts.value("words", finding.model, "shuffled_share_high") or facts.value(
                "words", finding.model, "shuffled_share"
            )
            (above if low is not None and shuffled is not None and low > shuffled else level).append(
                finding.model
            )
        if above and level:
            headline = (
                f"{opening(roster(above, among))} put weight on the words that decide; for "
                f"{listed(level)} it cannot be told from chance."
            )
        elif above:
            headline = "Every model puts its weight on the words that decide, more than chance would."
        else:
            headline = "No model is shown to put its weight on the words that decide."
        figures.append(_evidence(facts, scored[0].model))
    elif found:
        headline = "Words were weighed, but this corpus does not say which ones are right."
    else:
        headline = "Not answered here: no words were weighed."
    best = next(
        (f for f in found if facts.ranked and f.model == facts.ranked[0].name), found[0] if found else None
    )
    strongest = best.tables.get("strongest_words") if best else None
    if best is not None and strongest is not None:
        rows = [(shorten(str(row[0]), 60), *row[1:]) for row in strongest.rows]
        kept = rows if len(rows) <= 2 * MOST_ROWS else [*rows[:MOST_ROWS], *rows[-MOST_ROWS:]]
        tables.append(
            Grid(
                "strongest-words",
                f"Words that move {best.model} the most, one way and the other",
                ("word", "mean attribution", "times seen"),
                ("text", "signed_number", "count"),
                tuple(tuple(row) for row in kept),
                best.reference,
            )
        )
    pairs = _pairs(facts)
    if pairs is not None:
        figures.append(pairs)
        sentences.append(pairs.title + ".")
    return Section(slug, question, headline, tuple(sentences), tuple(figures), tuple(tables), missing)


def _evidence(facts: Facts, first: str) -> Figure:
    axis = Axis("share of attribution on words that are evidence", "share")
    chance = facts.value("words", first, "chance_share")
    references = (Reference(chance, "chance"),) if chance is not None else ()
    chart = value_dots(facts, "words", "evidence_share", axis, references=references)
    if chart is None:
        chart = DotChart((), axis)
    top = chart.dots[0]
    title = f"{top.row} puts {significant(100 * top.value, 2)}% of its weight on words that are evidence"
    conclusion = (
        f"Knowing nothing would put {significant(100 * chance, 2)}% there; the "
        "further right, the more the model goes by what decides."
        if chance is not None
        else "The further right, the more the model goes by what decides."
    )
    return Figure("words-evidence", title, conclusion, chart)


def _pairs(facts: Facts) -> Figure | None:
    dots = []
    for finding in facts.findings.get("pairs", ()):
        for kind, tone in (("negation", "tone-accent"), ("contrast", "tone-high")):
            value = facts.value("pairs", finding.model, f"{kind}_right")
            if value is not None:
                low, high = (
                    facts.value("pairs", finding.model, f"{kind}_right_{end}") for end in ("low", "high")
                )
                dots.append(Dot(finding.model, kind, tone, value, low, high))
    if not dots:
        return None
    sure = [dot.row for dot in dots if dot.name == "negation" and dot.low is not None and dot.low > 0.25]
    rest = [dot.row for dot in dots if dot.name == "negation" and dot.row not in sure]
    if sure and rest:
        title = (
            f"A negation is understood by {listed(sure)} better than "
            f"by guessing, not surely by {listed(rest)}"
        )
    elif sure:
        title = "Every model handles a negation better than by guessing"
    else:
        title = "No model is shown to handle a negation better than by guessing"
    axis = Axis("pairs of texts with both labelled right", "share")
    chart = DotChart(tuple(dots), axis, (Reference(0.25, "guessing"),))
    return Figure(
        "pairs",
        title,
        "Each pair differs in one negator, or in the order of two claims; the verdict turns.",
        chart,
    )


def answer_learning(facts: Facts) -> Section:
    """How learning went, overfitting, calibration and mistakes."""
    slug, question = "learning", "How did learning go, who overfits, and can the probabilities be believed?"
    missing = facts.lack("learning", "Learning curves, calibration and confusion were not collected")
    missing += facts.lack(
        "learning_size", "Accuracy against the number of training texts was not measured (this trains again)"
    )
    found = facts.findings.get("learning", ())
    if not found:
        return Section(
            slug, question, "Not answered here: learning curves were not collected.", missing=missing
        )
    calibrated = [f.model for f in found if f.values.get("is_calibrated_before") is True]
    mended = [
        f.model for f in found if f.values.get("is_calibrated_after") is True and f.model not in calibrated
    ]
    rest = [f.model for f in found if f.model not in calibrated and f.model not in mended]
    gaps = {f.model: gap for f in found if (gap := facts.value("learning", f.model, "gap_last")) is not None}
    widest = max(gaps, key=lambda name: gaps[name]) if gaps else ""
    if not rest and not mended:
        headline = "Every model's probabilities can be believed as they are."
    elif calibrated or mended:
        headline = (
            f"The probabilities of {listed([*calibrated, *mended])} can be believed, "
            f"{'some only after one temperature is fitted' if mended else 'as they are'}."
        )
    else:
        headline = (
            "No model's probabilities can be taken at their word, not even after a temperature is fitted."
        )
    sentences = []
    if calibrated:
        sentences.append(f"Calibrated as trained: {listed(calibrated)}.")
    if mended:
        sentences.append(f"Calibrated by one fitted temperature: {listed(mended)}.")
    if rest:
        sentences.append(f"Off by more than chance either way: {listed(rest)}.")
    if widest:
        text = (
            f"{widest} overfits the most: at its last epoch training "
            f"accuracy is {share(gaps[widest])} above validation"
        )
        sentences.append(
            (text if gaps[widest] > 0.01 else "No model overfits by more than 0.010 at its last epoch") + "."
        )
    dots = []
    for finding in found:
        for when, tone, words in (
            ("before", "tone-neutral", "as trained"),
            ("after", "tone-accent", "after temperature scaling"),
        ):
            value = facts.value("learning", finding.model, f"ece_{when}")
            if value is not None:
                dots.append(Dot(finding.model, words, tone, value))
    figures = []
    if dots:
        top = max((d for d in dots if d.name == "as trained"), key=lambda d: d.value, default=dots[0])
        title = f"Stated confidence is off by up to {share(top.value)}, in {top.row}"
        chance = facts.value("learning", found[0].model, "ece_chance_before")
        references = (Reference(chance, "chance"),) if chance is not None else ()
        chart = DotChart(tuple(dots), Axis("expected calibration error (share)", "share"), references)
        figures.append(
            Figure(
                "calibration", title, "Left is better; at the dotted line nothing but chance is left.", chart
            )
        )
    curve = _epochs(facts)
    figures += [curve] if curve else []
    tables = [table for table in (_confusion(facts), _mistakes(facts)) if table is not None]
    return Section(slug, question, headline, tuple(sentences), tuple(figures), tuple(tables), missing)


def _best(facts: Facts) -> str:
    return next((m.name for m in facts.ranked if facts.of("learning", m.name)), "")


def _epochs(facts: Facts) -> Figure | None:
    name = next(
        (
            m.name
            for m in facts.ranked
            if (f := facts.of("learning", m.name)) and "train_accuracy" in f.curves
        ),
        "",
    )
    finding = facts.of("learning", name)
    if finding is None:
        return None
    series = []
    for words, key, tone in (
        ("training", "train_accuracy", "tone-low"),
        ("validation", "validation_accuracy", "tone-high"),
    ):
        curve = finding.curves.get(key)
        if curve is not None:
            series.append(Series(words, tone, curve.x, curve.y, curve.low, curve.high))
    chosen = facts.value("learning", name, "chosen_epoch")
    gap = facts.value("learning", name, "gap_last")
    title = (
        f"{name} reaches its best validation accuracy at epoch {significant(chosen)}"
        if chosen
        else f"How {name} learned"
    )
    conclusion = (
        f"By the last epoch training is {share(gap)} ahead of "
        "validation: beyond the best epoch it learns by heart."
        if gap is not None and gap > 0.01
        else "Training and validation stay together: it does not learn by heart."
    )
    chart = LineChart(tuple(series), Axis("epoch", "count"), Axis("accuracy", "share"))
    return Figure("learning", title, conclusion, chart)


def _confusion(facts: Facts) -> Grid | None:
    name = _best(facts)
    finding = facts.of("learning", name)
    table = finding.tables.get("confusion") if finding else None
    if table is None:
        return None
    kinds = tuple({"count": "count", "share": "share"}.get(column, "text") for column in table.columns)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        tuple(shorten(cell, 60) if isinstance(cell, str) else cell for cell in row) for row in table.rows
    )
    return Grid(
        "confusion", f"What {name} takes for what", table.columns, kinds, rows, "Share: of the true class."
    )


def _mistakes(facts: Facts) -> Grid | None:
    name = _best(facts)
    finding = facts.of("learning", name)
    table = finding.tables.get("mistakes") if finding else None
    if table is None or not table.rows:
        return None
    kinds = tuple({"index": "count", "probability": "share"}.get(column, "text") for column in table.columns)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        tuple(shorten(cell, 60) if isinstance(cell, str) else cell for cell in row) for row in table.rows
    )
    note = "Index: the row of the test part. Probability: what the model gave its wrong answer."
    return Grid("mistakes", f"The surest mistakes of {name}", table.columns, kinds, rows, note)


def answer_padding(facts: Facts) -> Section:
    """What padding costs at the wrong side or read as a word."""
    slug, question = "padding", "What does padding do to an answer?"
    missing = facts.lack("padding", "What padding costs was not measured")
    found = facts.findings.get("padding", ())
    if not found:
        return Section(slug, question, "Not answered here: padding was not varied.", missing=missing)
    hurt = [finding for finding in found if finding.values.get("warning")]
    if not hurt:
        headline = "No way of padding costs any model accuracy that can be told from chance."
    elif len(hurt) == len(found):
        headline = "Padded otherwise than in training, every network loses accuracy."
    else:
        headline = (
            f"Padded otherwise than in training, {roster([f.model for f in hurt], [f.model for f in found])} "
            f"{'loses' if len(hurt) == 1 else 'lose'} accuracy."
        )
    ordered = sorted(hurt, key=lambda f: -(facts.value("padding", f.model, "worst_drop") or 0))
    sentences = tuple(str(finding.values["warning"]) for finding in ordered[:3])
    rows, values = [], []
    ways = (("left", "masked"), ("left", "word"), ("right", "masked"), ("right", "word"))
    for finding in found:
        cells: list[float | None] = []
        for side, kind in ways:
            curve = finding.curves.get(f"{side}_{kind}")
            known = [y for y in curve.y if y is not None] if curve else []
            cells.append(known[-1] - known[0] if len(known) > 1 else None)
        rows.append(finding.model)
        values.append(tuple(cells))
    chart = HeatChart(
        tuple(rows),
        tuple(f"{side}, {kind}" for side, kind in ways),
        tuple(values),
        "model",
        "padding",
        "signed",
        0.0,
    )
    worst = ordered[0].model if ordered else ""
    title = (
        f"Padding read as a word hurts {worst} the most"
        if worst and "word" in str(ordered[0].values.get("worst_configuration"))
        else (
            f"Padding hurts {worst} the most"
            if worst
            else "Padding changes nothing that can be told from chance"
        )
    )
    conclusion = (
        "Change of accuracy at the most padding tried. Pad as the model was trained, and mask what is padded."
    )
    return Section(
        slug, question, headline, sentences, (Figure("padding", title, conclusion, chart),), missing=missing
    )
