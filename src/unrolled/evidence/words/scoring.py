"""Attributions held against the truth: on the embedded corpus every word's role is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.data.demo import ROLES
from unrolled.data.demo.truth import INTENSIFIER_WEIGHT, VERDICT_WEIGHT
from unrolled.data.vocabulary import split_words
from unrolled.types import BoolArray, DoubleArray, LongArray, Split

EVIDENCE = frozenset(("positive", "negative", "negator", "intensifier", "verdict"))
"""Roles of the words that make the verdict; all others do not move it, or only say that others do not."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What the words of one review truly do, one entry per token of the vocabulary.

    Args:
        words: as the vocabulary reads them.
        roles: int, indices into ``ROLES``.
        effects: signed strength with which a word of praise or blame counts, negators and markers before it
            included; 0 for all other words.
    """

    words: tuple[str, ...]
    roles: LongArray
    effects: DoubleArray

    @property
    def evidence(self) -> BoolArray:
        """Which words make the verdict, bool, shape (words,)."""
        return np.array([ROLES[role] in EVIDENCE for role in self.roles], bool)


def read_truth(split: Split, row: int) -> Truth:
    """The truth on one review of a generated split."""
    if split.texts is None or split.annotations is None:
        raise ValueError("a generated split holds texts and annotations")
    parts = [[word for word in split_words(part) if word] for part in split.texts[row].split(" ")]
    roles = np.repeat(split.annotations[row].roles.astype(np.int64), [len(part) for part in parts])
    return Truth(tuple(word for part in parts for word in part), roles, find_effects(roles))


def find_effects(roles: LongArray) -> DoubleArray:
    """The signed strength of every word of praise or blame, by the generator's rule; the sum is its evidence.

    Args:
        roles: int64, shape (words,).
    """
    effects, factor = np.zeros(len(roles)), 1.0
    for place, name in enumerate(ROLES[role] for role in roles):
        if name == "negator":
            factor = -factor
        elif name == "intensifier":
            factor *= INTENSIFIER_WEIGHT
        elif name == "verdict":
            factor *= VERDICT_WEIGHT
        elif name in ("positive", "negative", "discounted"):
            effects[place] = factor * ((name == "positive") - (name == "negative"))
            factor = 1.0
    return effects


@dataclass(frozen=True, slots=True)
class Score:
    """How one review's attribution agrees with the truth; None where the review has no such words.

    Args:
        evidence: share of the attribution, without its sign, on words that make the verdict.
        chance: their share of the words: what an attribution that knows nothing puts there.
        shuffled: the share on them after the attribution was dealt out to other words of the review.
        discounted: the share on praise and blame that does not count.
        sign: share of praise and blame whose attribution has the sign of its effect.
        sign_negated: the same among words that a negator turns around.
    """

    evidence: float
    chance: float
    shuffled: float
    discounted: float
    sign: float | None
    sign_negated: float | None


def score_attribution(values: NDArray[np.float64], truth: Truth, random: np.random.Generator) -> Score | None:
    """One review's score; None where no word has an attribution, or none makes the verdict.

    Args:
        values: attribution of each word towards praise, shape (words,).
        truth: on the same words.
        random: deals out the shuffled control.
    """
    sizes = np.abs(values)
    total, evidence = float(sizes.sum()), truth.evidence
    if total <= 0 or not evidence.any():
        return None
    counts = truth.effects != 0
    # Praise that tells against the film, or blame that tells for it, was turned around.
    faces = np.where(truth.roles == ROLES.index("positive"), 1.0, -1.0)
    turned = counts & (np.sign(truth.effects) != faces)
    agrees = np.sign(values) == np.sign(truth.effects)
    discounted = truth.roles == ROLES.index("discounted")
    return Score(
        evidence=float(sizes[evidence].sum()) / total,
        chance=float(evidence.mean()),
        shuffled=float(random.permutation(sizes)[evidence].sum()) / total,
        discounted=float(sizes[discounted].sum()) / total,
        sign=float(agrees[counts].mean()) if counts.any() else None,
        sign_negated=float(agrees[turned].mean()) if turned.any() else None,
    )


def cut_truth(truth: Truth, num_read: int) -> Truth:
    """The truth on the last ``num_read`` words, all that a short network reads."""
    start = len(truth.words) - num_read
    return Truth(truth.words[start:], truth.roles[start:], truth.effects[start:])


def share_by_role(values: Sequence[DoubleArray], truths: Sequence[Truth]) -> list[tuple[str, float, float]]:
    """Each role with its share of the words and of the attribution, over all reviews."""
    roles = np.concatenate([truth.roles for truth in truths])
    sizes = np.abs(np.concatenate(values))
    return [
        (name, float((roles == place).mean()), float(sizes[roles == place].sum() / max(sizes.sum(), 1e-300)))
        for place, name in enumerate(ROLES)
    ]
