"""The measure ``pairs``: texts that differ in one thing that turns the verdict around, or in none that does.

The texts are of the embedded corpus' grammar, in everyday words, so that models of other reviews can read
them too. A negator is put in or left out; two claims joined by a contrast change places; and, as a control,
only plot changes, after which no answer should.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from unrolled.data.demo import Recipe, grammar
from unrolled.data.demo.stream import Stream
from unrolled.data.demo.truth import NEGATIVE, NEGATOR, POSITIVE
from unrolled.data.demo.writer import Sentence
from unrolled.evidence.behaviour.intervals import Interval, pool_share, to_curve
from unrolled.evidence.findings import Finding, Value
from unrolled.evidence.measures import register_measure
from unrolled.evidence.subjects import FinishedStudy, Subject
from unrolled.types import BoolArray, IntArray

NUM_PAIRS = 200
PRAISE_NAMES = (("negative", "positive"), ("neg", "pos"))
# Taking these out would leave a clause without its subject; the others are adverbs.
PRONOUNS = frozenset(("nobody", "nothing"))
DISTANCES = (1, 4, 8, 100)
"""Upper ends, exclusive, of the groups by words between negator and praise or blame."""

_RECIPE = Recipe()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts and their true classes (0 against, 1 for the film).

    Args:
        texts: the two.
        labels: of each.
        distance: words between what was changed and the praise or blame it acts on.
    """

    texts: tuple[str, str]
    labels: tuple[int, int]
    distance: int = 0


@register_measure("pairs", "Whether a negator or a change of order turns the answer, as it turns the verdict")
def measure_pairs(study: FinishedStudy) -> Iterator[Finding]:
    """One finding for every model of reviews with words, whose classes are praise and blame."""
    if study.vocabulary is None or tuple(study.data.classes) not in PRAISE_NAMES:
        return
    for subject in study.subjects:
        yield _measure(subject)


def write_negation(stream: Stream) -> Pair:
    """A review whose one claim is denied in the second text and not in the first."""
    sign = _draw_sign(stream)
    before, after = _plot(stream), _plot(stream)
    while True:
        claim = Sentence(stream, _RECIPE)
        claim.add(grammar.NEGATED, sign)
        place = claim.roles.index(NEGATOR)
        if claim.words[place] not in PRONOUNS:
            break
    target = next(at for at, role in enumerate(claim.roles) if role in (POSITIVE, NEGATIVE))
    plain = [*claim.words[:place], *claim.words[place + 1 :]]
    # Punctuation is part of the word before it and stays where the clause had it.
    mark = claim.words[place][len(claim.words[place].rstrip(",;:.")) :]
    if mark:
        plain[place - 1] += mark
    texts = [_join(before, words, after) for words in (plain, claim.words)]
    return Pair((texts[0], texts[1]), (int(sign > 0), int(sign < 0)), target - place - 1)


def write_contrast(stream: Stream) -> Pair:
    """A review of two claims that disagree: "A, yet B" in the first text, "B, yet A" in the second."""
    before, after = _plot(stream), _plot(stream)
    sign = _draw_sign(stream)
    claims = []
    for face in (sign, -sign):
        claim = Sentence(stream, _RECIPE)
        claim.add(grammar.PLAIN, face)
        claims.append(claim.words)
    joint = stream.below(len(grammar.patterns(grammar.CONTRASTS)))
    texts = [
        _join(before, _contrast(first, second, joint), after) for first, second in (claims, claims[::-1])
    ]
    return Pair((texts[0], texts[1]), (int(sign < 0), int(sign > 0)))


def write_control(stream: Stream) -> Pair:
    """A review with one claim; the plot around it is another in the second text, the verdict is not."""
    sign = _draw_sign(stream)
    claim = Sentence(stream, _RECIPE)
    claim.add(grammar.PLAIN, sign)
    texts = [_join(_plot(stream), claim.words, _plot(stream)) for _ in range(2)]
    return Pair((texts[0], texts[1]), (int(sign > 0), int(sign > 0)))


def write_pairs(kind: Callable[[Stream], Pair], count: int = NUM_PAIRS) -> list[Pair]:
    """``count`` pairs of a kind, always the same."""
    return [kind(Stream.keyed(NUM_PAIRS, number)) for number in range(count)]


def _draw_sign(stream: Stream) -> int:
    return 1 if stream.below(2) else -1


def _plot(stream: Stream) -> list[str]:
    sentence = Sentence(stream, _RECIPE)
    sentence.add(grammar.PLOT)
    return sentence.close().words


def _contrast(first: list[str], second: list[str], joint: int) -> list[str]:
    words = list(first)
    for piece in grammar.patterns(grammar.CONTRASTS)[joint]:
        if piece.word in grammar.PUNCTUATION:
            words[-1] += piece.word
        else:
            words.append(piece.word)
    return [*words, *second]


def _join(before: list[str], claim: list[str], after: list[str]) -> str:
    opened = [claim[0][0].upper() + claim[0][1:], *claim[1:]]
    return " ".join([*before, *opened]) + ". " + " ".join(after)


def _measure(subject: Subject) -> Finding:
    kinds = {"negation": write_negation, "contrast": write_contrast, "control": write_control}
    values: dict[str, Value] = {"num_pairs": NUM_PAIRS}
    curves = {}
    means: dict[str, Interval] = {}
    for name, kind in kinds.items():
        pairs = write_pairs(kind)
        right, flipped = _answers(subject, pairs)
        means[name] = pool_share(flipped)
        values |= means[name].values(f"{name}_flipped")
        if name != "control":
            values |= pool_share(right).values(f"{name}_right")
        if name == "negation":
            distances = np.array([pair.distance for pair in pairs])
            groups = np.digitize(distances, DISTANCES)
            used = [group for group in range(len(DISTANCES)) if (groups == group).any()]
            curves["negation_right_by_distance"] = to_curve(
                "words between negator and praise or blame",
                "pairs with both texts labelled right",
                [float(distances[groups == group].mean()) for group in used],
                [pool_share(right[:, groups == group]) for group in used],
            )
    return Finding(
        measure="pairs",
        model=subject.name,
        num_seeds=len(subject.runs),
        values=values,
        curves=curves,
        reference=(
            f"guessing labels both texts of a pair right in 0.25 of cases; where only plot changes, the "
            f"answer turns in {means['control'].mean:.3f}"
        ),
    )


def _answers(subject: Subject, pairs: list[Pair]) -> tuple[BoolArray, BoolArray]:
    """Per run and pair: whether both texts are labelled right, and whether their labels differ."""
    texts = [text for pair in pairs for text in pair.texts]
    labels: IntArray = np.array([pair.labels for pair in pairs], np.int32)
    tokens = subject.fitted[0].encode(texts)
    answers = subject.logits(tokens).argmax(axis=2).reshape(len(subject.fitted), len(pairs), 2)
    return (answers == labels).all(axis=2), answers[:, :, 0] != answers[:, :, 1]
