"""Padding: what steps that hold no word do to the answer, on the left or right, masked or as a word."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unrolled.data.encoding import clip_vocabulary
from unrolled.data.padding import Side, pad_sequences
from unrolled.evidence.behaviour.intervals import Interval, pool, pool_share, to_curve
from unrolled.evidence.behaviour.sampling import sample_reviews
from unrolled.evidence.findings import Finding, Table, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Logits, Subject
from unrolled.models import ModelSpec
from unrolled.models.spec import Padding
from unrolled.types import BoolArray, EncodedSplit, IntArray, LongArray, Ragged

MOST_REVIEWS = 256
# An id that no encoding gives out: a masked network can be made to read it as the padding's own vector.
UNUSED = 3
SHARES = (8, 4, 2)
SIDES: tuple[Side, ...] = ("left", "right")
KINDS: tuple[Padding, ...] = ("masked", "word")
# A recurrence that reads more padding than this share of its steps has been seen to fail.
HARMFUL_SHARE = 0.5


def warn_about_padding(spec: ModelSpec, lengths: LongArray) -> str | None:
    """A plain sentence where a configuration is known to hurt before it is trained; None where none is known.

    Args:
        spec: the architecture.
        lengths: tokens of each training text, int64, shape (texts,).

    Returns:
        The warning, with the share of steps that would be padding.
    """
    if not spec.neural or spec.padding != "word" or "cell" not in type(spec).model_fields or not len(lengths):
        return None
    share = 1.0 - float(np.minimum(lengths, spec.length).mean()) / spec.length
    if share < HARMFUL_SHARE:
        return None
    return (
        f"{spec.architecture} reads padding as a word, and {share:.0%} of its {spec.length} steps would be "
        "padding: recurrent models learn slowly or not at all from that. Mask the padding "
        "(the standard protocol does), or shorten the sequences."
    )


@register_measure("padding", "What added padding costs: left or right, masked or read as a word")
def measure_padding(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every network."""
    for subject in study.subjects:
        if subject.spec.neural:
            yield _measure(subject)


def place_reviews(tokens: Ragged, length: int, steps: int, side: Side, *, filler: int, rest: int) -> IntArray:
    """Rows of ``length`` in which ``steps`` of ``filler`` stand beside each review, and ``rest`` on the left.

    Args:
        tokens: sequences of at most ``length - steps`` tokens.
        length: columns.
        steps: padding to add.
        side: where it goes.
        filler: id of the added padding.
        rest: id of the columns that remain on the left.
    """
    rows = pad_sequences(tokens, length)
    if side == "right" and steps:
        rows = np.concatenate([rows[:, steps:], np.zeros((len(rows), steps), np.int32)], axis=1)
    found = np.full_like(rows, rest)
    for row, (line, count) in enumerate(zip(rows, tokens.lengths, strict=True)):
        end = length - steps if side == "right" else length
        start = end - int(count)
        found[row, start:end] = line[start:end]
        if side == "left":
            found[row, start - steps : start] = filler
        else:
            found[row, end:] = filler
    return found


def _answer(subject: Subject, reviews: EncodedSplit, steps: int, side: Side, kind: Padding) -> BoolArray:
    """Whether each run is right with ``steps`` of padding, bool, shape (runs, reviews)."""
    spec = subject.spec
    tokens = clip_vocabulary(reviews.tokens, spec.vocabulary_size)
    reads_padding = kind == "word" and "embedding_size" in type(spec).model_fields
    if spec.padding == "word" or not reads_padding:
        rows = place_reviews(tokens, spec.length, steps, side, filler=0, rest=0)
        function, edit = subject.logits_function, False
        if spec.padding == "word" and kind == "masked" and "embedding_size" in type(spec).model_fields:
            function = _masked_twin(subject)
    else:
        rows = place_reviews(tokens, spec.length, steps, side, filler=UNUSED, rest=0)
        function, edit = subject.logits_function, True
    found = []
    for run in range(len(subject.fitted)):
        weights = list(subject.weights(run))
        if edit:
            # The added steps are not masked, and carry the vector that padding has.
            weights[0] = weights[0].at[UNUSED].set(weights[0][0])
        found.append(function(weights, rows).argmax(axis=1) == reviews.labels)
    return np.stack(found)


def _masked_twin(subject: Subject) -> Logits:
    return Logits(subject.spec.model_copy(update={"padding": "masked"}))


def _measure(subject: Subject) -> Finding:
    spec = subject.spec
    amounts = [spec.length // share for share in SHARES if spec.length // share]
    test = subject.data.test
    most = max(1, spec.length - max(amounts, default=0))
    fitting = np.flatnonzero((test.tokens.lengths <= most) & (test.tokens.lengths > 0))
    reviews = sample_reviews(test.take(fitting), "padding", most=MOST_REVIEWS)
    base_kind: Padding = spec.padding
    base = _answer(subject, reviews, 0, "left", base_kind)
    rows: list[tuple[Value, ...]] = []
    curves = {}
    worst: tuple[Interval, str, int] | None = None
    for side in SIDES:
        for kind in KINDS:
            points = []
            for steps in (0, *amounts):
                right = _answer(subject, reviews, steps, side, kind)
                drop, share = pool(base.astype(np.float64) - right), pool_share(right)
                points.append(share)
                rows.append((side, kind, steps, share.mean, drop.mean, drop.low, drop.high))
                if worst is None or drop.mean > worst[0].mean:
                    worst = (drop, f"{side}_{kind}", steps)
            curves[f"{side}_{kind}"] = to_curve("steps of padding added", "accuracy", (0, *amounts), points)
    drop, configuration, steps = worst if worst is not None else (Interval(0.0, None, None), "left_masked", 0)
    hurts = drop.excludes_zero and drop.mean > 0
    return Finding(
        measure="padding",
        model=subject.name,
        num_seeds=len(subject.runs),
        values={
            "trained_padding": spec.padding,
            **pool_share(base).values("accuracy"),
            **drop.values("worst_drop"),
            "worst_configuration": configuration,
            "worst_steps": steps,
            "warning": _warning(subject.name, configuration, steps, drop) if hurts else None,
            "num_reviews": len(reviews),
        },
        curves=curves,
        tables={
            "configurations": Table(
                columns=("side", "padding", "steps", "accuracy", "drop", "drop_low", "drop_high"),
                rows=tuple(rows),
            )
        },
        reference=(
            f"Masked padding on the left of a network trained that way costs exactly nothing. The same "
            f"{len(reviews)} test reviews, of at most {most} tokens, with and without padding; the network "
            f"is trained with padding {'masked' if spec.padding == 'masked' else 'as a word'} on the left. "
            "95% intervals over reviews and, where there are several, seeds."
        ),
    )


def _warning(name: str, configuration: str, steps: int, drop: Interval) -> str:
    side, kind = configuration.split("_")
    read = "masked" if kind == "masked" else "read as a word"
    where = f"{steps} steps of padding on the {side}, {read}," if steps else f"Padding on the {side}, {read},"
    return (
        f"{where} cost {name} {drop.mean:.1%} of its answers "
        f"[{drop.low:.1%}, {drop.high:.1%}]: pad it as it was trained."
    )
