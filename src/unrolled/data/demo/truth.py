"""What the words of a generated review truly do, and the rule that turns them into a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from unrolled.errors import UsageError

_DESCRIPTIONS: Final = {
    "filler": "says nothing about the film: plot, names, scenery, turns of phrase",
    "positive": "a word of praise that counts: +1 on its own",
    "negative": "a word of blame that counts: -1 on its own",
    "negator": "turns the next praise or blame around, up to a dozen words away",
    "intensifier": "doubles the next praise or blame",
    "contrast": "takes back the claim before it: what follows wins",
    "discounter": "hands the next praise or blame to someone else: critics, the poster, a hero, a concession",
    "discounted": "praise or blame that does not count: a discounter before it, or a contrast after it",
    "verdict": "announces the verdict: the next praise or blame counts three times",
}

ROLES: Final[tuple[str, ...]] = tuple(_DESCRIPTIONS)
"""Role names; an annotation holds indices into this tuple."""

(FILLER, POSITIVE, NEGATIVE, NEGATOR, INTENSIFIER, CONTRAST, DISCOUNTER, DISCOUNTED, VERDICT) = range(9)

INTENSIFIER_WEIGHT: Final = 2
VERDICT_WEIGHT: Final = 3


def describe_roles() -> dict[str, str]:
    """Role name to what a word of that role does, in the order of :data:`ROLES`."""
    return dict(_DESCRIPTIONS)


def weigh_evidence(roles: Iterable[int]) -> int:
    """The signed evidence of a review, read from the roles of its words alone, from left to right.

    Negators, intensifiers and verdict markers act on the next praise or blame and on nothing after it;
    the sum over all praise and blame that counts is the evidence, and its sign is the true label.

    Args:
        roles: one index into :data:`ROLES` per word.

    >>> weigh_evidence([POSITIVE, CONTRAST, NEGATOR, FILLER, NEGATIVE])
    2
    """
    evidence, factor = 0, 1
    for role in roles:
        if role == NEGATOR:
            factor = -factor
        elif role == INTENSIFIER:
            factor *= INTENSIFIER_WEIGHT
        elif role == VERDICT:
            factor *= VERDICT_WEIGHT
        elif role in (POSITIVE, NEGATIVE, DISCOUNTED):
            evidence += (role == POSITIVE) * factor - (role == NEGATIVE) * factor
            factor = 1
    return evidence


def reach_best_accuracy(label_noise: float) -> float:
    """The expected accuracy of a reader who understands every review: what no classifier can beat.

    The words fix the true label, and whether it is flipped hangs on nothing that a reader sees, so the Bayes
    classifier predicts the true label and errs exactly on the flipped reviews. Flips go by quota, so that a
    finite part has its share of them too: exactly, where its size times the noise is a whole number in
    hundreds of reviews, and to within a block's few flips otherwise.

    Args:
        label_noise: share in [0, 0.5).

    Raises:
        UsageError: the noise is outside its range.
    """
    if not 0.0 <= label_noise < 0.5:
        raise UsageError(
            "demo",
            f"label noise out of range (got label_noise={label_noise})",
            expected="a share from 0 up to, but not including, 0.5",
            action="0.04",
        )
    return 1.0 - label_noise
