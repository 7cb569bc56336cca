"""Writes planned reviews: words with their roles."""

from __future__ import annotations

import numpy as np

from unrolled.data.demo import grammar
from unrolled.data.demo.plan import Claim, Form, Plan, Recipe
from unrolled.data.demo.stream import Stream
from unrolled.data.demo.truth import DISCOUNTED, INTENSIFIER, NEGATIVE, POSITIVE, weigh_evidence
from unrolled.types import Annotation

_VOWELS = frozenset("aeiouAEIO")
_SHORTEST_FILLER = 6


class Sentence:
    """The words of one sentence, punctuation attached, each with its role.

    Args:
        stream: where choices come from.
        recipe: how often gaps are filled.
    """

    __slots__ = ("_recipe", "_stream", "roles", "words")

    def __init__(self, stream: Stream, recipe: Recipe) -> None:
        self._stream, self._recipe = stream, recipe
        self.words: list[str] = []
        self.roles: list[int] = []

    def add(self, lines: str, sign: int = 0, *, intensified: bool = False, discounted: bool = False) -> None:
        """Appends one of a block of patterns.

        Args:
            lines: a block of the grammar.
            sign: +1 or -1, what its praise or blame says on its face; 0 where it has none.
            intensified: choose a pattern with a place for an intensifier, and fill it.
            discounted: whether its praise or blame does not count.
        """
        patterns = grammar.patterns(lines, "very" if intensified else "")
        self._write(patterns[self._stream.below(len(patterns))], sign, intensified, discounted)

    def _write(self, pattern: grammar.Pattern, sign: int, intensified: bool, discounted: bool) -> None:
        stream, words = self._stream, self.words
        for piece in pattern:
            word, role = piece.word, piece.role
            if piece.table is not None:
                word = stream.draw(piece.table)
            elif piece.slot:
                if word == "gap":
                    if stream.chance(self._recipe.gap):
                        self.add(grammar.GAPS)
                    continue
                if word == "very":
                    if not intensified:
                        continue
                    word, role = stream.draw(grammar.intensifiers()), INTENSIFIER
                else:
                    word = stream.draw(grammar.polar_lists()[word, sign])
                    role = DISCOUNTED if discounted else POSITIVE if sign > 0 else NEGATIVE
            elif word in grammar.PUNCTUATION:
                words[-1] += word
                continue
            if words and words[-1] == "a" and word[0] in _VOWELS:
                words[-1] = "an"
            words.append(word)
            self.roles.append(role)

    def close(self) -> Sentence:
        """This sentence, with a capital at its start and a full stop at its end."""
        first = self.words[0]
        self.words[0] = "An" if first == "a" and self.words[1][0] in _VOWELS else first[0].upper() + first[1:]
        self.words[-1] += "."
        return self


def write_review(stream: Stream, recipe: Recipe, plan: Plan) -> tuple[str, Annotation]:
    """The text of a planned review, and what its words truly do.

    Claims and asides come first; plot fills up to the planned length, and all of it is shuffled between the
    verdict, where there is one, and the other end. A claim outweighs the length: nothing is cut.
    """
    verdict = None if plan.verdict is None else _write_claim(stream, recipe, plan.verdict)
    body = [_write_claim(stream, recipe, claim) for claim in plan.claims]
    for sign in plan.asides:
        aside = Sentence(stream, recipe)
        aside.add(grammar.ASIDES, sign, discounted=True)
        body.append(aside.close())
    missing = plan.length - sum(len(sentence.words) for sentence in body)
    missing -= len(verdict.words) if verdict else 0
    while missing >= _SHORTEST_FILLER:
        plot = Sentence(stream, recipe)
        plot.add(grammar.PLOT)
        body.append(plot.close())
        missing -= len(plot.words)
    stream.shuffle(body)
    if verdict:
        body.insert(0 if plan.verdict_first else len(body), verdict)
    roles = [role for sentence in body for role in sentence.roles]
    evidence = weigh_evidence(roles)
    annotation = Annotation(np.array(roles, np.int8), float(evidence), int(evidence > 0))
    return " ".join(word for sentence in body for word in sentence.words), annotation


def _write_claim(stream: Stream, recipe: Recipe, claim: Claim) -> Sentence:
    sentence = Sentence(stream, recipe)
    if claim.form is Form.CONTRAST:
        # What is taken back may carry a negator too: a reader who misses the contrast misses by two.
        _add_statement(sentence, -claim.sign, negated=stream.chance(recipe.negated), discounted=True)
        sentence.add(grammar.CONTRASTS)
    elif claim.form is Form.CONCESSION:
        sentence.add(grammar.CONCESSIONS, -claim.sign, discounted=True)
    elif claim.form is Form.VERDICT:
        sentence.add(grammar.VERDICTS)
    _add_statement(sentence, claim.sign, negated=claim.negated, intensified=claim.form is Form.INTENSIFIED)
    return sentence.close()


def _add_statement(
    sentence: Sentence, sign: int, *, negated: bool, intensified: bool = False, discounted: bool = False
) -> None:
    lines = grammar.NEGATED if negated else grammar.PLAIN
    sentence.add(lines, -sign if negated else sign, intensified=intensified, discounted=discounted)
