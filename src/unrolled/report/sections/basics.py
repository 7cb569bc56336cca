"""Token ids as numbers, embeddings, and convolutions: the models without recurrence."""

from __future__ import annotations

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
from unrolled.report.panels import accuracy_dots, cost_bars
from unrolled.report.records import Figure, Section
from unrolled.report.verdict import bounds_text
from unrolled.report.words import compact, interval, listed, seconds, share, significant, times


def answer_dense(facts: Facts) -> Section:
    """What feeding token ids as plain numbers does."""
    slug, question = "dense", "What happens when token ids are fed to a network as plain numbers?"
    missing = facts.lack_models(("dense", "embedding_dense"))
    if facts.model("dense") is None:
        return Section(
            slug, question, "Not answered here: dense has no figures in this study.", missing=missing
        )
    low, high = facts.bounds("dense")
    guessing, reached = facts.guessing, share(facts.accuracy("dense"))
    figures = []
    against = facts.judge("dense", "embedding_dense")
    if low <= guessing <= high or high < guessing:
        headline = f"Nothing is learned: dense scores {reached}, and guessing {share(guessing)}."
        reason = (
            "That is what to expect. An id is a rank in a list of words: "
            "word 40 is not twice word 20, yet the layer "
            "multiplies ids by weights as though it were, and large ids "
            "drown small ones. A ReLU that such sums push "
            "below zero for every text passes no gradient back and stays dead."
        )
    elif against is not None and against.winner == "dense":
        headline = f"Here raw ids do better than an embedding: dense scores {reached}."
        reason = (
            "That is not what ids as numbers should allow; look for an "
            "order in this data's ids that tells the classes "
            "apart, such as classes with words of their own."
        )
    else:
        headline = (
            f"Something is learned, {reached} against {share(guessing)} "
            "by guessing, though ids are no quantities."
        )
        reason = (
            "An id is a rank in a list of words: frequent words have "
            "small ids, so sums of ids still carry a trace of "
            "how rare a text's words are. Which words they are is lost."
        )
    sentences = [f"dense reaches {bounds_text(facts, 'dense')}.", _loss(facts), reason]
    comparison = facts.judged("dense", "embedding_dense")
    sentences.insert(1, comparison)
    names = facts.present(("linear", "embedding_dense", "dense"))
    if len(names) > 1:
        title = f"dense on raw ids, {reached}, beside models that know words apart"
        conclusion = _conclude(
            facts, "dense", "embedding_dense", "Token ids need an embedding before a network can use them."
        )
        figures.append(Figure("dense-accuracy", title, conclusion, accuracy_dots(facts, names)))
    chart = _learning(facts, "dense")
    if chart is not None:
        start, end = _ends(facts, "dense", "train_loss")
        title = f"Training loss of dense goes from {significant(start)} to {significant(end)}"
        conclusion = (
            f"A loss that does not fall below {significant(0.693)}, that "
            "of answering 50:50, shows that nothing is learned."
            if len(facts.results.dataset.classes) == 2
            else "A loss that does not fall shows that nothing is learned."
        )
        figures.append(Figure("dense-loss", title, conclusion, chart))
    missing += facts.lack("learning", "The loss of every epoch was not collected")
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _conclude(facts: Facts, first: str, second: str, otherwise: str) -> str:
    """What a comparison of two allows: ``otherwise`` only where ``second`` is the better one for sure."""
    found = facts.judge(first, second)
    if found is None:
        return "These models were not compared pair by pair; overlapping intervals mean undecided."
    if found.winner == second:
        return otherwise
    if found.winner == first:
        return f"Here {first} is the better one: {share(found.difference)} more accurate."
    return f"The evidence does not decide between {first} and {second}."


def _ends(facts: Facts, model: str, curve: str) -> tuple[float, float]:
    finding = facts.of("learning", model)
    known = (
        [y for y in finding.curves[curve].y if y is not None] if finding and curve in finding.curves else []
    )
    return (known[0], known[-1]) if known else (float("nan"), float("nan"))


def _loss(facts: Facts) -> str:
    finding = facts.of("learning", "dense")
    if finding is None or "train_loss" not in finding.curves:
        return ""
    start, end = _ends(facts, "dense", "train_loss")
    first, last = _ends(facts, "dense", "validation_loss")
    text = f"Its training loss goes from {significant(start)} to {significant(end)} nats"
    if first == first:
        text += f", the loss on validation items from {significant(first)} to {significant(last)}"
    if end > 2:
        text += "; values that large come from ids that reach the layer unscaled"
    return text + "."


def _learning(facts: Facts, model: str) -> LineChart | None:
    finding = facts.of("learning", model)
    if finding is None:
        return None
    series = []
    for name, curve, tone in (
        ("training", "train_loss", "tone-low"),
        ("validation", "validation_loss", "tone-high"),
    ):
        found = finding.curves.get(curve)
        if found is not None:
            series.append(Series(name, tone, found.x, found.y, found.low, found.high))
    log = any(y and y > 5 for one in series for y in one.y)
    y = Axis("loss, nats" + (" (logarithmic)" if log else ""), "number", log=log)
    return LineChart(tuple(series), Axis("epoch", "count"), y) if series else None


def answer_embedding(facts: Facts) -> Section:
    """What an embedding buys, and what it is for."""
    slug, question = "embedding", "What does an embedding buy, and what is the layer for?"
    missing = facts.lack_models(("dense", "embedding_dense"))
    missing += facts.lack("embedding", "What the embedding learned of its words was not measured")
    present = facts.present(("dense", "embedding_dense"))
    if len(present) < 2:
        headline = "Not answered here: it takes dense and embedding_dense side by side."
    else:
        found = facts.judge("embedding_dense", "dense")
        gap = facts.accuracy("embedding_dense") - facts.accuracy("dense")
        if found is None:
            headline = (
                f"As measured, an embedding is worth {share(gap)} of "
                "accuracy; the two were not compared for chance."
            )
        elif found.winner == "embedding_dense":
            headline = f"An embedding is worth {share(gap)} of accuracy under the same fully connected layer."
        elif found.winner == "dense":
            headline = f"An embedding costs {share(-gap)} of accuracy here, against what it is for."
        else:
            headline = "Whether an embedding helps a fully connected layer is undecided here."
    sentences = [facts.judged("embedding_dense", "dense"), _parameters(facts)]
    sentences.append(
        "The layer is a table with one row of weights per word. It "
        "gives every word a place of its own, so that words "
        "that push the answer the same way can come to lie close together, "
        "and the layers behind it can treat them alike."
    )
    figures = []
    agreements = [
        finding
        for finding in facts.findings.get("embedding", ())
        if facts.value("embedding", finding.model, "agreement_after") is not None
    ]
    if agreements:
        chart, title, conclusion = _agreement(facts)
        sentences.append(title + ".")
        figures.append(Figure("embedding-agreement", title, conclusion, chart))
        best = max(agreements, key=lambda one: facts.value("embedding", one.model, "agreement_after") or 0)
        for when, words in (("before", "before training, words lie anywhere"), ("after", "after training")):
            map_chart = _map(facts, best.model, when)
            if map_chart is not None:
                name = f"Words on the map of {best.model}, {words}"
                figures.append(
                    Figure(f"embedding-map-{when}", name, _map_line(facts, best.model, when), map_chart)
                )
    return Section(slug, question, headline, tuple(filter(None, sentences)), tuple(figures), missing=missing)


def _parameters(facts: Facts) -> str:
    one, other = facts.model("embedding_dense"), facts.model("dense")
    if one is None or other is None or not one.parameters or not other.parameters:
        return ""
    text = f"It takes {compact(one.parameters)} parameters instead of {compact(other.parameters)}"
    settings = facts.settings.get("embedding_dense", {})
    vocabulary, size = settings.get("vocabulary_size"), settings.get("embedding_size")
    if isinstance(vocabulary, int) and isinstance(size, int):
        table = vocabulary * size
        text += (
            f"; the table itself holds {compact(table)} of them "
            f"({significant(100 * table / one.parameters, 2)}%), the rest "
            "is the dense layer, which meets every step of the text with weights of its own"
        )
    return text + "."


def _agreement(facts: Facts) -> tuple[DotChart, str, str]:
    dots, chances = [], []
    for finding in facts.findings["embedding"]:
        for when, tone in (("before", "tone-neutral"), ("after", "tone-accent")):
            value = facts.value("embedding", finding.model, f"agreement_{when}")
            if value is None:
                continue
            low = facts.value("embedding", finding.model, f"agreement_{when}_low")
            high = facts.value("embedding", finding.model, f"agreement_{when}_high")
            dots.append(Dot(finding.model, f"{when} training", tone, value, low, high))
        chance = facts.value("embedding", finding.model, "agreement_chance")
        chances += [] if chance is None else [chance]
    rising = [
        finding.model
        for finding in facts.findings["embedding"]
        if (facts.value("embedding", finding.model, "agreement_after_low") or 0)
        > (facts.value("embedding", finding.model, "agreement_before_high") or 1)
    ]
    all_names = {dot.row for dot in dots}
    if set(rising) == all_names:
        title = "Training moves words of one leaning together in every model"
        conclusion = "The table comes to hold meaning for this task: neighbours mean the same class."
    elif rising:
        title = f"Training moves words of one leaning together in {listed(rising)}, not surely elsewhere"
        conclusion = (
            "Only there the table itself comes to hold the classes; "
            "elsewhere the layers behind it do the work."
        )
    else:
        title = "Training does not surely move words of one leaning together"
        conclusion = "What these models know of the classes does not show in their embedding's neighbours."
    references = (Reference(sum(chances) / len(chances), "chance"),) if chances else ()
    axis = Axis("share of nearest neighbours that lean to the same class", "share")
    return DotChart(tuple(dots), axis, references), title, conclusion


def _map(facts: Facts, model: str, when: str) -> ScatterChart | None:
    finding = facts.of("embedding", model)
    table = finding.tables.get("map") if finding else None
    if table is None:
        return None
    at = {name: place for place, name in enumerate(table.columns)}
    points: list[ScatterPoint] = []
    for row in table.rows:
        x, y, leaning = row[at[f"x_{when}"]], row[at[f"y_{when}"]], float(row[at["leaning"]] or 0)
        if isinstance(x, int | float) and isinstance(y, int | float):
            tone = "tone-high" if leaning > 0 else "tone-low"
            classes = facts.results.dataset.classes
            side = (
                classes[-1 if leaning > 0 else 0]
                if len(classes) == 2
                else ("later" if leaning > 0 else "first")
            )
            note = f"leans to {side}"
            points.append(
                ScatterPoint(
                    str(row[at["word"]]), tone, x, y, note=note, faint=True, labelled=len(points) < 40
                )
            )
    return ScatterChart(tuple(points), Axis("first axis"), Axis("second axis"), bare=True) if points else None


def _map_line(facts: Facts, model: str, when: str) -> str:
    value = facts.value("embedding", model, f"agreement_{when}")
    variance = facts.value("embedding", model, f"variance_{when}")
    if value is None:
        return "Points that lie together are words the model treats alike."
    shown = f"; the map shows {significant(100 * variance, 2)}% of the words' variance" if variance else ""
    return f"{significant(100 * value, 2)}% of a word's nearest neighbours lean the way it does{shown}."


def answer_cnn(facts: Facts) -> Section:
    """A convolution's accuracy, time and size."""
    slug, question = "cnn", "What does a convolution give in accuracy, time and parameters?"
    missing = facts.lack_models(("embedding_dense", "cnn"))
    cnn = facts.model("cnn")
    if cnn is None:
        return Section(
            slug, question, "Not answered here: cnn has no figures in this study.", missing=missing
        )
    found = facts.judge("cnn", "embedding_dense")
    reached = share(facts.accuracy("cnn"))
    if found is None:
        headline = f"cnn reaches {reached}."
    elif found.winner == "cnn":
        headline = (
            f"cnn reaches {reached}, {share(found.difference)} more "
            "than a fully connected layer on the same embedding."
        )
    elif found.winner is None:
        headline = (
            f"cnn reaches {reached}; whether that beats a fully connected "
            "layer on the same embedding is undecided."
        )
    else:
        headline = (
            f"cnn reaches {reached}, {share(found.difference)} less "
            "than a fully connected layer on the same embedding."
        )
    sentences = [f"cnn: {bounds_text(facts, 'cnn')}.", facts.judged("cnn", "embedding_dense")]
    other = facts.model("embedding_dense")
    if other is not None and cnn.parameters and other.parameters:
        sentences.append(
            f"It has {compact(cnn.parameters)} parameters, "
            f"{times(cnn.parameters / other.parameters)} those of "
            "embedding_dense: its filters are shared over all places, and "
            "pooling halves what the dense layer has to read."
            if cnn.parameters < other.parameters
            else f"It has {compact(cnn.parameters)} parameters, "
            f"{times(cnn.parameters / other.parameters)} those of "
            "embedding_dense."
        )
    if other is not None and cnn.seconds_per_epoch and other.seconds_per_epoch:
        mine, theirs = cnn.seconds_per_epoch.median, other.seconds_per_epoch.median
        sentences.append(f"An epoch takes {seconds(mine)}; embedding_dense needs {seconds(theirs)}.")
    sentences.append(_beaten(facts, "cnn", ("simple_rnn", "gru", "lstm")))
    names = facts.present(("linear", "dense", "embedding_dense", "cnn", "simple_rnn", "gru", "lstm"))
    figures = _costs(facts, "cnn", names)
    return Section(slug, question, headline, tuple(filter(None, sentences)), figures, missing=missing)


def _beaten(facts: Facts, name: str, others: tuple[str, ...]) -> str:
    """Which of the others are surely better, surely worse, or not told apart."""
    better: list[str] = []
    worse: list[str] = []
    open_: list[str] = []
    for other in others:
        found = facts.judge(name, other)
        if found is not None:
            (open_ if not found.decided else worse if found.winner == name else better).append(other)
    parts = []
    if better:
        parts.append(f"less accurate than {listed(better)}")
    if worse:
        parts.append(f"more accurate than {listed(worse)}")
    if open_:
        parts.append(f"not to be told apart from {listed(open_)}")
    return f"Against recurrent models {name} is {listed(parts)}." if parts else ""


def _costs(facts: Facts, name: str, names: list[str]) -> tuple[Figure, ...]:
    figures = []
    rows = (
        ("parameters", lambda m: m.parameters, "parameters (weights)", "compact", "parameters"),
        (
            "seconds",
            lambda m: m.seconds_per_epoch.median if m.seconds_per_epoch else None,
            "median training time per epoch, seconds",
            "number2",
            "seconds per epoch",
        ),
    )
    for slug, read, label, kind, noun in rows:
        chart = cost_bars(facts, names, read, label, kind)
        if chart is None:
            continue
        largest = max(chart.dots, key=lambda dot: dot.value)
        smallest = min(chart.dots, key=lambda dot: dot.value)
        own = next((dot.value for dot in chart.dots if dot.row == name), None)
        title = f"{largest.row} needs the most {noun}, {smallest.row} the fewest"
        place = (
            sorted((dot.value for dot in chart.dots), reverse=True).index(own) + 1 if own is not None else 0
        )
        conclusion = (
            f"{name} stands at place {place} of {len(chart.dots)} by {noun}, counted from the most costly."
            if own is not None
            else "Cost and accuracy do not rise together: hold this against the accuracies above."
        )
        figures.append(Figure(f"{name.replace('_', '-')}-{slug}", title, conclusion, chart))
    return tuple(figures)


def interval_of(facts: Facts, measure: str, model: str, name: str) -> str:
    """A finding's interval in words."""
    return interval(facts.value(measure, model, f"{name}_low"), facts.value(measure, model, f"{name}_high"))
