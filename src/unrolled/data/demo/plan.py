"""What a review is going to say, before a word of it is written."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from unrolled.data.demo.stream import Stream
from unrolled.data.demo.truth import INTENSIFIER_WEIGHT, VERDICT_WEIGHT
from unrolled.errors import UsageError

# exp(0.6 z) in 1/1024 at the 65 normal quantiles 0/64 to 64/64, both ends drawn in to 1/256 and 255/256.
# Logarithms of the lengths of IMDb's reviews scatter alike (0.65); integers are the same everywhere.
LENGTH_QUANTILES: Final = (
    *(
        208,
        281,
        335,
        375,
        408,
        437,
        464,
        490,
        514,
        536,
        559,
        580,
        601,
        622,
        643,
        663,
        683,
        703,
        723,
        744,
        764,
    ),
    *(784, 804, 825, 846, 867, 888, 910, 932, 954, 977, 1000, 1024, 1048, 1073, 1099, 1125, 1153, 1181, 1210),
    *(1240, 1271, 1304, 1337, 1373, 1410, 1449, 1491, 1535, 1582, 1632, 1685, 1744, 1807, 1877, 1955, 2042),
    *(2142, 2258, 2397, 2571, 2799, 3131, 3729, 5052),
)

# A review has a claim per so many words, and further claims and asides where it is long.
_WORDS_PER_CLAIM = 20
_WORDS_PER_FURTHER_CLAIM = 80


@dataclass(frozen=True, slots=True)
class Recipe:
    """How often each phenomenon occurs, in thousandths of its occasions.

    The defaults are the corpus whose figures stand in the documentation; other values make other corpora,
    for instance one without negation.

    Args:
        agree: a claim of the author's sides with the review as a whole.
        negated: a claim carries a negator.
        intensified: a claim that is neither pair nor verdict carries an intensifier.
        contrast: a claim is a pair joined by a contrast, of which the second counts.
        concession: a claim is a pair opened by a concession, of which the second counts.
        verdict_first: the review opens with its verdict.
        verdict_last: it closes with its verdict.
        aside: a sentence praises or blames what does not count (two occasions, more in a long review).
        gap: words stand between a claim's verb and its praise or blame.

    Raises:
        UsageError: a rate outside 0 to 1000, or rates of exclusive cases that add up to more than 1000.
    """

    agree: int = 980
    negated: int = 230
    intensified: int = 200
    contrast: int = 100
    concession: int = 70
    verdict_first: int = 350
    verdict_last: int = 350
    aside: int = 350
    gap: int = 600

    def __post_init__(self) -> None:
        rates = {field.name: getattr(self, field.name) for field in fields(self)}
        rates["contrast + concession"] = self.contrast + self.concession
        rates["verdict_first + verdict_last"] = self.verdict_first + self.verdict_last
        for name, rate in rates.items():
            if not isinstance(rate, int) or not 0 <= rate <= 1000:
                raise UsageError(
                    "demo recipe",
                    f"rate out of range (got {name}={rate})",
                    expected="thousandths, an integer from 0 to 1000",
                )


class Form(Enum):
    """How a claim is put, and how much it weighs."""

    PLAIN = "plain"
    INTENSIFIED = "intensified"
    CONTRAST = "contrast"
    CONCESSION = "concession"
    VERDICT = "verdict"

    @property
    def weight(self) -> int:
        """What one claim of this form adds to the evidence."""
        return {Form.INTENSIFIED: INTENSIFIER_WEIGHT, Form.VERDICT: VERDICT_WEIGHT}.get(self, 1)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence in which the author judges the film.

    Args:
        form: how it is put.
        sign: +1 for the film, -1 against it.
        negated: whether a negator turns its praise or blame around.
    """

    form: Form
    sign: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A review before it is written.

    Args:
        length: words to fill up to with plot.
        claims: what the author says, verdict apart.
        verdict: the verdict, or None.
        verdict_first: whether it opens the review; otherwise it closes it.
        asides: signs of the praise and blame that does not count.
    """

    length: int
    claims: tuple[Claim, ...]
    verdict: Claim | None
    verdict_first: bool
    asides: tuple[int, ...]


def draw_length(stream: Stream, median_words: int) -> int:
    """A length in words: log-normal around the median, clipped to between a quarter and three times of it."""
    place = stream.below((len(LENGTH_QUANTILES) - 1) << 10)
    step, part = place >> 10, place & 1023
    low, high = LENGTH_QUANTILES[step : step + 2]
    words = median_words * ((low << 10) + (high - low) * part) >> 20
    return min(max(words, median_words // 4), 3 * median_words)


def plan_review(stream: Stream, recipe: Recipe, median_words: int) -> Plan:
    """A plan whose claims weigh something: one side outweighs the other, by 2 where they disagree.

    Asides lean to neither side, so that they carry no information but noise to whoever counts words.
    """
    length = draw_length(stream, median_words)
    further = length // _WORDS_PER_FURTHER_CLAIM
    count = min(2 + stream.below(2) + further, 1 + length // _WORDS_PER_CLAIM)
    while True:
        stance = _draw_sign(stream)
        claims = [_draw_claim(stream, recipe, stance, _draw_form(stream, recipe)) for _ in range(count)]
        place = stream.below(1000)
        verdict = None
        if place < recipe.verdict_first + recipe.verdict_last:
            verdict = _draw_claim(stream, recipe, stance, Form.VERDICT)
        weights = [claim.sign * claim.form.weight for claim in (*claims, *([verdict] if verdict else []))]
        mixed = min(weights) < 0 < max(weights)
        if abs(sum(weights)) >= (2 if mixed else 1):
            break
    asides = tuple(_draw_sign(stream) for _ in range(2 + further) if stream.chance(recipe.aside))
    return Plan(length, tuple(claims), verdict, place < recipe.verdict_first, asides)


def _draw_sign(stream: Stream) -> int:
    return 1 if stream.below(2) else -1


def _draw_form(stream: Stream, recipe: Recipe) -> Form:
    place = stream.below(1000)
    if place < recipe.contrast:
        return Form.CONTRAST
    if place < recipe.contrast + recipe.concession:
        return Form.CONCESSION
    return Form.INTENSIFIED if stream.chance(recipe.intensified) else Form.PLAIN


def _draw_claim(stream: Stream, recipe: Recipe, stance: int, form: Form) -> Claim:
    sign = stance if stream.chance(recipe.agree) else -stance
    return Claim(form, sign, stream.chance(recipe.negated))
