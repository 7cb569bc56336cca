"""One's own data, made ready for a comparison: divided, encoded, weighed, and looked at for trouble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from unrolled.errors import UsageError, nearest

if TYPE_CHECKING:
    from unrolled.data.units import Units
    from unrolled.data.vocabulary import Vocabulary
    from unrolled.training.configuration import ComparisonSettings
    from unrolled.types import Dataset, EncodedDataset, Split

MOST_SHOWN = 20
IMBALANCED = 1.5
"""Times the even share of a class from which accuracy alone flatters."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a comparison works on.

    Args:
        encoded: the data in three parts, with every hint among its notices.
        vocabulary: None for data that came as token ids.
        class_weights: in the order of the classes; None where all texts count alike.
        hints: what was found, for JSON: pairs and labels with their rows.
    """

    encoded: EncodedDataset
    vocabulary: Vocabulary | None
    class_weights: tuple[float, ...] | None
    hints: dict[str, Any]


def prepare_corpus(source: str, settings: ComparisonSettings, tell: Callable[[str], None]) -> Corpus:
    """Loads, divides and encodes ``source``, and looks for duplicates and doubtful labels.

    Args:
        source: a path, demo or imdb.
        settings: of the comparison.
        tell: receives what a person waiting should know.

    Raises:
        UsageError: class weights that do not fit the classes, or options that the source does not take.
        DataError: the data cannot be used.
    """
    from unrolled.data.encoding import divide_dataset, encode_dataset
    from unrolled.data.load import load_dataset

    data = settings.data
    tell(f"reading {source}")
    dataset = load_dataset(
        source,
        text_column=data.text_column,
        label_column=data.label_column,
        group_column=data.group_column,
        split_column=data.split_column,
    )
    parts = divide_dataset(
        dataset,
        protocol="standard",
        seed=data.split_seed,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
    )
    units, remark = _units(parts.train, data.token_units)
    encoded, vocabulary = encode_dataset(parts, protocol="standard", units=units)
    encoded = replace(encoded, sha256=_data_digest(encoded.sha256, units, settings))
    sentences = [remark] if remark else []
    found: dict[str, Any] = {"token_units": units}
    if settings.hints.near_duplicates:
        found["near_duplicates"], said = _near_duplicates(parts, encoded)
        sentences += said
    if settings.hints.label_noise:
        found["doubtful_labels"], said = _doubtful_labels(parts, encoded)
        sentences += said
    weights = _class_weights(encoded, settings.training.class_weights)
    sentences += _imbalance(encoded, weights is not None)
    encoded = replace(encoded, notices=(*encoded.notices, *sentences))
    return Corpus(encoded, vocabulary, weights, found)


def _data_digest(content: str, units: Units, settings: ComparisonSettings) -> str:
    """The digest of the content, and of how it was divided and read where that is not the usual way.

    The same rows divided otherwise are another data set: a study must not go on with it.
    """
    from unrolled.training.configuration import DataSection
    from unrolled.types import digest

    names = ("split_seed", "test_fraction", "validation_fraction")
    usual = DataSection()
    changed = [
        f"{n}={getattr(settings.data, n)}" for n in names if getattr(settings.data, n) != getattr(usual, n)
    ]
    if units != "words":
        changed.append(f"units={units}")
    return digest(content, *changed) if changed else content


def _units(train: Split, wanted: str) -> tuple[Units, str | None]:
    from unrolled.data.units import SAMPLE_CHARACTERS, SAMPLE_TEXTS, suggest_units
    from unrolled.data.vocabulary import split_words

    if train.texts is None:
        return "words", None
    step = max(1, len(train) // SAMPLE_TEXTS)
    suggested, remark = suggest_units([split_words(text[:SAMPLE_CHARACTERS]) for text in train.texts[::step]])
    known: dict[str, Units] = {"words": "words", "unspaced": "unspaced", "characters": "characters"}
    if wanted == "auto":
        return suggested, remark
    if wanted == "words" and suggested == "unspaced":
        remark = (
            "the texts are in a script without spaces between words, and token_units = words takes whole "
            "clauses for words: no model can learn from them. Try token_units = auto."
        )
        return "words", remark
    return known[wanted], None


def _near_duplicates(parts: Dataset, encoded: EncodedDataset) -> tuple[list[dict[str, Any]], list[str]]:
    from unrolled.data.near_duplicates import ALIKE, find_near_duplicates

    rows, sentences = [], []
    for name in ("validation", "test"):
        pairs = find_near_duplicates(getattr(encoded, name).tokens, encoded.train.tokens)
        if not pairs:
            continue
        part: Split = getattr(parts, name)
        rows += [
            {
                "part": name,
                "row": _row(part, pair.item),
                "train_row": _row(parts.train, pair.known),
                "similarity": round(pair.similarity, 3),
            }
            for pair in pairs
        ]
        shown = ", ".join(
            f"{_row(part, pair.item)} like {_row(parts.train, pair.known)}" for pair in pairs[:5]
        )
        texts = "1 text" if len(pairs) == 1 else f"{len(pairs):,} texts"
        verb = "has" if len(pairs) == 1 else "have"
        sentences.append(
            f"{texts} of {name} {verb} a near or exact copy in train ({ALIKE:.0%} of their word triples or "
            f"more; rows {shown}{', …' if len(pairs) > 5 else ''}): what was learnt by heart flatters the "
            "figures. Try removing copies, or --group-column."
        )
    return rows, sentences


def _doubtful_labels(parts: Dataset, encoded: EncodedDataset) -> tuple[dict[str, Any], list[str]]:
    from unrolled.evidence.label_noise import check_labels

    check = check_labels(encoded.train.tokens, encoded.train.labels, len(encoded.classes))
    classes = encoded.classes
    rows = [
        {
            "row": _row(parts.train, doubt.item),
            "label": classes[doubt.label],
            "suggested": classes[doubt.suggested],
            "probability": round(doubt.probability, 4),
        }
        for doubt in check.doubtful
    ]
    document = {"checked": check.num_checked, "labels": rows}
    if not rows:
        return document, []
    shown = ", ".join(f"{row['row']} ({row['label']}: {row['suggested']}?)" for row in rows[:MOST_SHOWN])
    more = f" and {len(rows) - MOST_SHOWN:,} more in comparison.json" if len(rows) > MOST_SHOWN else ""
    labels = "1 label looks" if len(rows) == 1 else f"{len(rows):,} labels look"
    sentence = (
        f"{labels} doubtful among the {check.num_checked:,} of train that were checked: a linear model "
        f"fitted without them is confident of another class. Rows {shown}{more}."
    )
    return document, [sentence]


def _row(part: Split, item: int) -> int | str:
    """Where an item stands in its source; its place within the part where the source does not tell."""
    return item if part.rows is None else part.rows[item]


def _class_weights(encoded: EncodedDataset, wanted: str | dict[str, float]) -> tuple[float, ...] | None:
    from unrolled.training.settings import balanced_weights

    if wanted == "none":
        return None
    if wanted == "balanced":
        return balanced_weights(encoded.train.labels, len(encoded.classes))
    weights = dict(wanted) if not isinstance(wanted, str) else {}
    unknown = [name for name in weights if name not in encoded.classes]
    missing = [name for name in encoded.classes if name not in weights]
    bad = [name for name, value in weights.items() if not 0 < value < float("inf")]
    if unknown or missing or bad:
        raise UsageError(
            "class weights",
            f"no class of the data (got {unknown[0]!r})"
            if unknown
            else f"no weight for class {missing[0]!r}"
            if missing
            else f"a weight is not above 0 (got {bad[0]}={weights[bad[0]]})",
            expected=f"a weight above 0 for each of {_listed(encoded.classes)}",
            action=nearest(unknown[0], encoded.classes) if unknown else "balanced",
        )
    return tuple(weights[name] for name in encoded.classes)


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes[:12]) + (" …" if len(classes) > 12 else "")


def _imbalance(encoded: EncodedDataset, weighted: bool) -> list[str]:
    import numpy as np

    counts = np.bincount(encoded.test.labels, minlength=len(encoded.classes))
    share = float(counts.max() / counts.sum())
    if share * len(counts) < IMBALANCED:
        return []
    advice = "" if weighted else ", and try --class-weights balanced"
    largest = encoded.classes[int(counts.argmax())]
    sentence = (
        f"class {largest!r} holds {share:.1%} of the test part: always naming it reaches that accuracy, so "
        f"read balanced accuracy and macro-F1{advice}."
    )
    return [sentence]
